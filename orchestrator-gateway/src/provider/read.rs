//! Reading an answer: a stream of events, or one JSON document where a server does not stream.

use super::{Billing, CallFailure, Delta, Endpoint, Response, Sink, Stop, Used};
use crate::{
    failure::{self, ErrorBody},
    sse::{Event, SseParser},
    transport::Body,
};
use orchestrator_core::{error::Failure, time::Timestamp, usage::Usage};
use serde_json::Value;

/// How a protocol builds an answer from what arrives.
pub(super) trait Dialect: Send {
    /// Takes one event of a stream.
    ///
    /// # Errors
    /// What the server says went wrong.
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>>;

    /// Takes an answer in one piece.
    ///
    /// # Errors
    /// What the server says went wrong.
    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>>;

    /// Whether a stream may close now without the word that ends it.
    fn may_close(&self, so_far: &Assembly<'_, '_>) -> bool;
}

/// An answer under construction.
pub(super) struct Assembly<'a, 's> {
    sink: &'a mut Sink<'s>,
    text: String,
    pub(super) refusal: String,
    /// Tokens so far; only what is [`Counts::complete`] is believed.
    counts: Counts,
    pub(super) stop: Option<Stop>,
    pub(super) served_model: Option<String>,
    /// The server said that nothing follows.
    pub(super) ended: bool,
    unknown: u32,
}

/// Token counts, and which of them the server has given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) usage: Usage,
    pub(super) has_input: bool,
    pub(super) has_output: bool,
}

impl Counts {
    /// A sum that lacks one side would give a wrong cost, so it counts as none.
    fn complete(&self) -> Option<Usage> {
        (self.has_input && self.has_output).then_some(self.usage)
    }
}

impl<'a, 's> Assembly<'a, 's> {
    fn new(sink: &'a mut Sink<'s>) -> Self {
        Self {
            sink,
            text: String::new(),
            refusal: String::new(),
            counts: Counts::default(),
            stop: None,
            served_model: None,
            ended: false,
            unknown: 0,
        }
    }

    pub(super) fn add_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            (self.sink)(Delta::Text(text.to_owned()));
        }
    }

    pub(super) fn add_reasoning(&mut self, text: &str) {
        if !text.is_empty() {
            (self.sink)(Delta::Reasoning(text.to_owned()));
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
        (self.sink)(Delta::Usage(counts.usage));
    }

    /// Something that this version does not know. It is passed over: servers add fields and events
    /// at any time, and none may break an answer.
    pub(super) fn unknown(&mut self, what: &str) {
        self.unknown += 1;
        tracing::debug!(what, "passed over an unknown part of an answer");
    }

    fn used(&self) -> Used {
        Used {
            usage: self.counts.usage,
            is_final: self.counts.complete().is_some() && (self.ended || self.stop.is_some()),
        }
    }

    fn into_response(self) -> Response {
        if self.unknown > 0 {
            tracing::info!(count = self.unknown, "passed over unknown parts of an answer");
        }
        let refused = !self.refusal.is_empty();
        let stop = if refused { Stop::Refused } else { self.stop.unwrap_or(Stop::End) };
        Response {
            text: if self.text.is_empty() { self.refusal } else { self.text },
            stop,
            usage: self.counts.complete(),
            served_model: self.served_model,
        }
    }
}

/// Reads the body of an answer of status 200.
pub(super) async fn answer(
    endpoint: &Endpoint,
    model: &str,
    mut body: Body,
    dialect: &mut dyn Dialect,
    now: &(dyn Fn() -> Timestamp + Sync),
    sink: &mut Sink<'_>,
) -> Result<Response, CallFailure> {
    let mut so_far = Assembly::new(sink);
    match pump(endpoint, model, &mut body, dialect, now, &mut so_far).await {
        Ok(()) => {
            body.finish();
            Ok(so_far.into_response())
        }
        Err(failure) => {
            let (used, billing) = (Some(so_far.used()), Billing::Possible);
            Err(CallFailure { failure, used, billing })
        }
    }
}

async fn pump(
    endpoint: &Endpoint,
    model: &str,
    body: &mut Body,
    dialect: &mut dyn Dialect,
    now: &(dyn Fn() -> Timestamp + Sync),
    so_far: &mut Assembly<'_, '_>,
) -> Result<(), Failure> {
    let server = |error: Box<ErrorBody>| failure::from_stream(endpoint, model, &error, now());
    let damaged = |what: &str| endpoint.transient(format!("sent a damaged answer: {what}"));
    let mut parser = SseParser::default();
    let mut events: Vec<Event> = Vec::new();
    // A JSON document starts with a brace, and no event stream does.
    let mut whole: Option<Vec<u8>> = None;
    let mut sniffed = false;
    while let Some(bytes) = body.next(endpoint).await? {
        if !sniffed && let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            sniffed = true;
            whole = (*first == b'{').then(Vec::new);
        }
        if let Some(document) = &mut whole {
            document.extend_from_slice(&bytes);
            continue;
        }
        parser.feed(&bytes, &mut events).map_err(|error| damaged(&error.to_string()))?;
        for event in events.drain(..) {
            if event.is_done() {
                so_far.ended = true;
                break;
            }
            let json: Value = serde_json::from_str(&event.data)
                .map_err(|error| damaged(&format!("an event is not JSON ({error})")))?;
            dialect.event(&json, so_far).map_err(server)?;
            if so_far.ended {
                break;
            }
        }
        if so_far.ended {
            return Ok(());
        }
    }
    if let Some(document) = whole {
        let json: Value = serde_json::from_slice(&document)
            .map_err(|error| damaged(&format!("it is not whole JSON ({error})")))?;
        dialect.whole(&json, so_far).map_err(server)?;
        so_far.ended = true;
    }
    if so_far.ended || dialect.may_close(so_far) {
        Ok(())
    } else {
        Err(endpoint.transient("ended its answer before it was complete"))
    }
}
