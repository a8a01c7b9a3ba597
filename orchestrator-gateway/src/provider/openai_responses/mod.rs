//! OpenAI Responses, streaming and stateless.
//!
//! A stream is `response.created`, then for each item of the output `response.output_item.added`,
//! pieces such as `response.output_text.delta` and `response.function_call_arguments.delta`, and
//! `response.output_item.done`; it ends with `response.completed`, `.incomplete` or `.failed`,
//! which carry the usage, or with `error`. `input_tokens` includes what was cached. Nothing is
//! stored at the server, so that reasoning is asked for in its encrypted form, to be sent back.

mod stream;
mod wire;

use super::{
    Endpoint, Provider, Request,
    caller::{Caller, Protocol},
    quirks::Quirks,
    read::Dialect,
};
use reqwest::header::{AUTHORIZATION, HeaderName};
use serde_json::Value;

/// The protocol.
#[derive(Debug)]
pub(crate) struct OpenAiResponses;

impl OpenAiResponses {
    pub(crate) fn at(endpoint: Endpoint) -> Box<dyn Provider> {
        Box::new(Caller::new(endpoint, Self))
    }
}

impl Protocol for OpenAiResponses {
    fn key_header(&self) -> (HeaderName, &'static str) {
        (AUTHORIZATION, "Bearer ")
    }

    fn path(&self, _: &str) -> String {
        "responses".to_owned()
    }

    fn body(&self, request: &Request, quirks: Quirks) -> Value {
        wire::body(request, quirks)
    }

    fn objection(&self, request: &Request) -> Option<String> {
        let stops = !request.stop_sequences.is_empty();
        stops.then(|| "it knows no stop sequences; use kind `openai-chat` or none of them".into())
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::<stream::Items>::default()
    }

    fn count(&self, request: &Request, quirks: Quirks) -> Option<(String, Value, &'static str)> {
        let body = wire::prompt(request, quirks);
        Some(("responses/input_tokens".to_owned(), body, "input_tokens"))
    }
}
