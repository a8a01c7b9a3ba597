//! The Anthropic Messages API, version 2023-06-01, streaming.
//!
//! A stream is `message_start` (usage of the input), blocks of `content_block_start`, `_delta` and
//! `_stop`, then `message_delta` (stop reason, final count of the output) and `message_stop`, with
//! `ping` anywhere and `error` instead of an end. `input_tokens` excludes what was cached. Thinking
//! blocks are signed and must come back as they were.

mod stream;
mod wire;

use super::{
    Endpoint, Provider, Request,
    caller::{Caller, Protocol},
    quirks::Quirks,
    read::Dialect,
};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

/// The protocol.
#[derive(Debug)]
pub(crate) struct Anthropic;

impl Anthropic {
    pub(crate) fn at(endpoint: Endpoint) -> Box<dyn Provider> {
        Box::new(Caller::new(endpoint, Self))
    }
}

impl Protocol for Anthropic {
    fn key_header(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-api-key"), "")
    }

    fn version_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let name = HeaderName::from_static("anthropic-version");
        Some((name, HeaderValue::from_static("2023-06-01")))
    }

    fn path(&self, _: &str) -> String {
        "messages".to_owned()
    }

    fn body(&self, request: &Request, quirks: Quirks) -> Value {
        wire::body(request, quirks)
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::<stream::Messages>::default()
    }

    fn count(&self, request: &Request, quirks: Quirks) -> Option<(String, Value, &'static str)> {
        let body = wire::prompt(request, quirks);
        Some(("messages/count_tokens".to_owned(), body, "input_tokens"))
    }
}
