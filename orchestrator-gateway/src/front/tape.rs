//! Recording what passes, and answering from what was recorded.

use super::{answer::Answer, credential, refuse::Refused};
use crate::cassette::{Body, CassetteError, HttpResponse, Pending, Player, Recorder, asked};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use orchestrator_core::{ledger::Payer, usage::Usage};
use serde_json::Value;
use std::sync::Arc;

/// The headers of an answer that are kept: what its reader needs. All others tell of the account, the
/// connection or the moment.
static KEPT: [HeaderName; 3] =
    [header::CONTENT_TYPE, header::RETRY_AFTER, HeaderName::from_static("x-should-retry")];

/// The most bytes of an answer that is recorded.
const MOST: usize = 64 << 20;

/// What stands beside the accounts of a front, or in their place.
#[derive(Debug, Clone)]
pub(super) enum Tape {
    Recorder(Recorder),
    Player(Arc<Player>),
}

/// A request as it is kept and compared.
fn request(parts: &Parts, body: &[u8]) -> Value {
    let query = credential::without_credentials(parts.uri.query());
    asked(parts.method.as_str(), parts.uri.path(), query.as_deref(), body)
}

/// One exchange that is being recorded. When it is dropped before its end nothing is written: what
/// was cut off could not be answered with.
pub(super) struct Tap {
    pending: Pending,
    status: u16,
    headers: Vec<(String, String)>,
    bytes: Vec<u8>,
}

impl Tap {
    /// The request of `payer` goes out.
    pub(super) async fn begin(
        recorder: &Recorder,
        payer: &Payer,
        parts: &Parts,
        body: &[u8],
    ) -> Self {
        let pending = recorder.begin(payer, request(parts, body)).await;
        Self { pending, status: 0, headers: Vec::new(), bytes: Vec::new() }
    }

    /// The head of the answer is here.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = status.as_u16();
        let kept = headers.iter().filter(|(name, _)| KEPT.contains(name));
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        self.headers =
            kept.filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
    }

    /// Takes the next bytes; false when they are too many.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        if self.bytes.len() + bytes.len() > MOST {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// The answer has ended; writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end(self, usage: Option<Usage>) -> Result<(), CassetteError> {
        let Self { pending, status, headers, bytes } = self;
        pending.end(HttpResponse { status, headers, body: Body::of(bytes), usage })
    }
}

/// The recorded answer to a request of `payer`.
///
/// # Errors
/// [`Refused::NotRecorded`] with the nearest request.
pub(super) async fn replay(
    player: &Player,
    payer: &Payer,
    parts: &Parts,
    body: &[u8],
) -> Result<Response<Answer>, Refused> {
    let found = player.http(payer, request(parts, body)).await.map_err(Refused::NotRecorded)?;
    let bytes = Bytes::copy_from_slice(found.body.bytes());
    let mut answer = Response::new(Answer::Whole(Some(bytes)));
    *answer.status_mut() = StatusCode::from_u16(found.status)
        .map_err(|_| Refused::NotRecorded(format!("the record has the status {}", found.status)))?;
    for (name, value) in &found.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            answer.headers_mut().append(name, value);
        }
    }
    Ok(answer)
}
