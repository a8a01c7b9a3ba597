//! Reading an answer: a stream of events, or one JSON document where a server does not stream.

use super::{Billing, CallFailure, Endpoint, Response, Sink, assembly::Assembly};
use crate::{
    failure::{self, ErrorBody},
    sse::{Event, SseParser},
    transport::Body,
};
use orchestrator_core::{error::Failure, time::Timestamp};
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

    /// Adds what can be told only when everything has arrived.
    fn finish(&mut self, so_far: &mut Assembly<'_, '_>);
}

/// Why an answer cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// What arrived is not what the protocol says.
    Damaged(String),
    /// The server says that something went wrong.
    Server(Box<ErrorBody>),
    /// It ended too early.
    Cut,
}

/// Reads bytes, wherever the network happened to cut them.
pub(super) struct Reader<'d> {
    dialect: &'d mut dyn Dialect,
    parser: SseParser,
    events: Vec<Event>,
    /// A JSON document starts with a brace, and no event stream does.
    whole: Option<Vec<u8>>,
    sniffed: bool,
}

impl<'d> Reader<'d> {
    pub(super) fn new(dialect: &'d mut dyn Dialect) -> Self {
        Self {
            dialect,
            parser: SseParser::default(),
            events: Vec::new(),
            whole: None,
            sniffed: false,
        }
    }

    /// Takes `bytes`; nothing more is needed once `so_far` has ended.
    ///
    /// # Errors
    /// [`Fault`]; the reader is of no use after that.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        so_far: &mut Assembly<'_, '_>,
    ) -> Result<(), Fault> {
        if !self.sniffed
            && let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.sniffed = true;
            self.whole = (*first == b'{').then(Vec::new);
        }
        if let Some(document) = &mut self.whole {
            document.extend_from_slice(bytes);
            return Ok(());
        }
        // What came before a fault in the same piece counts as if it had come by itself.
        let fed = self.parser.feed(bytes, &mut self.events);
        for event in std::mem::take(&mut self.events) {
            if so_far.ended {
                break;
            }
            if event.is_done() {
                so_far.ended = true;
                break;
            }
            let json: Value = serde_json::from_str(&event.data)
                .map_err(|error| Fault::Damaged(format!("an event is not JSON ({error})")))?;
            self.dialect.event(&json, so_far).map_err(Fault::Server)?;
        }
        match fed {
            Err(error) if !so_far.ended => Err(Fault::Damaged(error.to_string())),
            _ => Ok(()),
        }
    }

    /// Takes note that nothing follows.
    ///
    /// # Errors
    /// [`Fault`]
    pub(super) fn finish(&mut self, so_far: &mut Assembly<'_, '_>) -> Result<(), Fault> {
        if let Some(document) = self.whole.take() {
            let json: Value = serde_json::from_slice(&document)
                .map_err(|error| Fault::Damaged(format!("it is not whole JSON ({error})")))?;
            self.dialect.whole(&json, so_far).map_err(Fault::Server)?;
            so_far.ended = true;
        }
        if !so_far.ended && !self.dialect.may_close(so_far) {
            return Err(Fault::Cut);
        }
        self.dialect.finish(so_far);
        Ok(())
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
    let failure = match pump(endpoint, &mut body, dialect, &mut so_far).await {
        Ok(Ok(())) => {
            body.finish();
            return Ok(so_far.into_response());
        }
        Ok(Err(Fault::Damaged(what))) => {
            endpoint.transient(format!("sent a damaged answer: {what}"))
        }
        Ok(Err(Fault::Server(error))) => failure::from_stream(endpoint, model, &error, now()),
        Ok(Err(Fault::Cut)) => endpoint.transient("ended its answer before it was complete"),
        Err(broken) => broken,
    };
    Err(CallFailure { failure, used: Some(so_far.used()), billing: Billing::Possible })
}

/// The outer error is the connection's, the inner one that of what it carried.
async fn pump(
    endpoint: &Endpoint,
    body: &mut Body,
    dialect: &mut dyn Dialect,
    so_far: &mut Assembly<'_, '_>,
) -> Result<Result<(), Fault>, Failure> {
    let mut reader = Reader::new(dialect);
    while !so_far.ended {
        let Some(bytes) = body.next(endpoint).await? else { break };
        if let Err(fault) = reader.feed(&bytes, so_far) {
            return Ok(Err(fault));
        }
    }
    Ok(reader.finish(so_far))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
