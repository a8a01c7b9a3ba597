//! Recording what passes, and answering from what was recorded.

use super::{Api, Routing, answer::Answer, credential, header::TOLD, refuse::Refused};
use crate::cassette::{
    Begun, Body, CassetteError, HttpPlayed, HttpResponse, Pending, Player, Recorder, Stopped,
    StoppedBy, asked, unstopped,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use orchestrator_core::{id::ProviderName, ledger::Payer, usage::Usage};
use serde_json::Value;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::{Sleep, sleep};

/// The headers of an answer that are kept, besides those that tell of its model: what its reader needs.
/// All others tell of the account, the connection or the moment.
static KEPT: [HeaderName; 3] =
    [header::CONTENT_TYPE, header::RETRY_AFTER, HeaderName::from_static("x-should-retry")];

/// The most bytes of an answer that is recorded.
const MOST: usize = 64 << 20;

/// The most bytes of a piece in which a recorded answer is sent that was stopped.
const PIECE: usize = 16 << 10;

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

/// One exchange that is being recorded. Dropped before its end it was given up by its client, and is
/// written as far as it had come.
pub(super) struct Tap(Option<Open>);

struct Open {
    pending: Pending,
    sent: bool,
    routing: Option<Routing>,
    head: Option<Head>,
    bytes: Vec<u8>,
}

/// The head of an answer, as far as it is kept.
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    /// What it says of its length, which counts only where less has come.
    length: Option<String>,
}

impl Tap {
    /// The request of `payer` came in.
    pub(super) async fn begin(
        recorder: &Recorder,
        payer: &Payer,
        parts: &Parts,
        body: &[u8],
    ) -> Self {
        let pending = recorder.begin(payer, request(parts, body)).await;
        let (sent, routing, head, bytes) = (false, None, None, Vec::new());
        Self(Some(Open { pending, sent, routing, head, bytes }))
    }

    /// It goes out to `account`.
    pub(super) fn sent(&mut self, account: &ProviderName) {
        if let Some(open) = &mut self.0 {
            open.sent = true;
            open.pending.goes_to(account);
        }
    }

    /// It gets to its model in that way.
    pub(super) fn routed(&mut self, routing: Option<Routing>) {
        if let Some(open) = &mut self.0 {
            open.routing = routing;
        }
    }

    /// The head of the answer is here.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(open) = &mut self.0 else { return };
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let kept = headers.iter().filter(|(name, _)| KEPT.contains(name) || TOLD.contains(name));
        let headers_kept = kept.filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        open.head = Some(Head {
            status: status.as_u16(),
            headers: headers_kept.collect(),
            length: headers.get(header::CONTENT_LENGTH).and_then(text),
        });
    }

    /// Takes the next bytes; false when they are too many.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        let Some(open) = &mut self.0 else { return true };
        if open.bytes.len() + bytes.len() > MOST {
            return false;
        }
        open.bytes.extend_from_slice(bytes);
        true
    }

    /// The answer has ended; writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end(mut self, usage: Option<Usage>) -> Result<(), CassetteError> {
        let Some(Open { pending, head: Some(head), bytes, routing, .. }) = self.0.take() else {
            return Ok(());
        };
        let Head { status, headers, length: _ } = head;
        pending.end(HttpResponse { status, headers, body: Body::of(bytes), usage, routing })
    }

    /// Writes an answer that is whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end_with(
        mut self,
        head: (StatusCode, &HeaderMap),
        body: &[u8],
    ) -> Result<(), CassetteError> {
        self.answered(head.0, head.1);
        self.read(body);
        self.end(None)
    }

    /// The provider has stopped it: writes what has come. `usage` is what that says, if it says all.
    pub(super) fn broke_off(mut self, usage: Option<Usage>) {
        self.stop(StoppedBy::Provider, usage);
    }

    /// Nothing is written of it.
    pub(super) fn forget(mut self) {
        self.0 = None;
    }

    fn stop(&mut self, by: StoppedBy, usage: Option<Usage>) {
        let Some(Open { pending, sent, routing, head, bytes }) = self.0.take() else { return };
        let response = head.map(|Head { status, mut headers, length }| {
            let is_short =
                |length: &String| length.parse::<usize>().is_ok_and(|length| bytes.len() < length);
            if let Some(length) = length.filter(is_short) {
                headers.push((header::CONTENT_LENGTH.to_string(), length));
            }
            HttpResponse { status, headers, body: Body::of(bytes), usage, routing }
        });
        if let Err(error) = pending.stopped(Begun { by, sent, response }) {
            tracing::error!(%error, "an exchange that was stopped is not recorded");
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop(StoppedBy::Caller, None);
    }
}

/// `answer` as the client gets it, recorded by `tap` if that was not done, or is not yet to be: what
/// passes is recorded when it has passed, and what never went out is not.
pub(super) fn kept(
    answer: Result<Response<Answer>, Refused>,
    tap: Option<Tap>,
    api: Api,
) -> Result<Response<Answer>, Refused> {
    let Some(tap) = tap else { return answer };
    let written = match &answer {
        Ok(response) => match response.body() {
            Answer::Whole(bytes) => {
                let bytes = bytes.as_deref().unwrap_or_default();
                tap.end_with((response.status(), response.headers()), bytes)
            }
            Answer::Passing(_) | Answer::Stopping(_) => {
                tap.forget();
                Ok(())
            }
        },
        Err(refused) if refused.is_of_a_call() => {
            let told = refused.answer(api);
            tap.end_with((told.status(), told.headers()), told.body())
        }
        Err(_) => {
            tap.forget();
            Ok(())
        }
    };
    written.map_err(|error| Refused::Unwritten(error.to_string()))?;
    answer
}

/// The recorded answer to a request of `payer`, with how it got to its model. One that was stopped
/// comes as far as it had come.
///
/// # Errors
/// [`Refused::NotRecorded`] with the nearest request.
pub(super) async fn replay(
    player: &Player,
    payer: &Payer,
    parts: &Parts,
    body: &[u8],
) -> Result<(Response<Answer>, Option<Routing>), Refused> {
    let found = player.http(payer, request(parts, body)).await.map_err(Refused::NotRecorded)?;
    let (found, stopped) = match found {
        HttpPlayed::Whole(response) => (response, None),
        HttpPlayed::Stopped(stopped) => match &stopped.response {
            Some(response) => (response, Some(stopped)),
            None => {
                // Whoever hung up then does so now.
                sleep(stopped.patience()).await;
                return Err(Refused::Unstopped);
            }
        },
    };
    let bytes = Bytes::copy_from_slice(found.body.bytes());
    let mut answer = Response::new(match stopped {
        None => Answer::Whole(Some(bytes)),
        Some(stopped) => Answer::Stopping(Stopping::new(bytes, stopped)),
    });
    *answer.status_mut() = StatusCode::from_u16(found.status)
        .map_err(|_| Refused::NotRecorded(format!("the record has the status {}", found.status)))?;
    for (name, value) in &found.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            answer.headers_mut().append(name, value);
        }
    }
    Ok((answer, found.routing.clone()))
}

/// A recorded answer that was stopped: its bytes, and then what came of it.
pub(super) struct Stopping {
    bytes: Bytes,
    /// A piece was handed out, and is to be sent before it goes on: a connection that breaks loses what
    /// it has not sent.
    rests: bool,
    /// How long it waits for its client to hang up; not at all where the provider broke it off.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Stopping {
    fn new(bytes: Bytes, stopped: &Stopped) -> Self {
        let patience = match stopped.by {
            StoppedBy::Caller => Some(Box::pin(sleep(stopped.patience()))),
            StoppedBy::Provider => None,
        };
        Self { bytes, rests: true, patience }
    }

    /// Its next piece, or why it goes no further.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, &'static str>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !self.bytes.is_empty() {
            self.rests = true;
            return Poll::Ready(Ok(self.bytes.split_to(self.bytes.len().min(PIECE))));
        }
        let Some(patience) = &mut self.patience else {
            return Poll::Ready(Err("the provider broke its answer off when it was recorded"));
        };
        ready!(patience.as_mut().poll(cx));
        tracing::error!("{}", unstopped());
        Poll::Ready(Err("its client hung up when it was recorded, and has not now"))
    }
}
