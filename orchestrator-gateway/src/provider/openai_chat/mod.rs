//! OpenAI Chat Completions, streaming, as OpenAI, DeepSeek, Ollama and many others serve it.
//!
//! A stream is `data` chunks with `choices[0].delta`, one of them with a `finish_reason`, then,
//! where `stream_options.include_usage` is understood, a chunk without choices that has `usage`,
//! and last `[DONE]`. `prompt_tokens` includes what was cached. Servers differ in what they take;
//! what a model refuses is given up and remembered.

mod stream;
pub(crate) mod tokens;
mod wire;

use super::{
    Endpoint, Provider, Request,
    caller::{Caller, Protocol},
    quirks::Quirks,
    read::Dialect,
};
#[cfg(feature = "tokenizers")]
use orchestrator_core::usage::TokenCount;
use reqwest::header::{AUTHORIZATION, HeaderName};
use serde_json::Value;

/// The protocol.
#[derive(Debug)]
pub(crate) struct OpenAiChat;

impl OpenAiChat {
    pub(crate) fn at(endpoint: Endpoint) -> Box<dyn Provider> {
        Box::new(Caller::new(endpoint, Self))
    }
}

impl Protocol for OpenAiChat {
    fn key_header(&self) -> (HeaderName, &'static str) {
        (AUTHORIZATION, "Bearer ")
    }

    fn path(&self, _: &str) -> String {
        "chat/completions".to_owned()
    }

    fn body(&self, request: &Request, quirks: Quirks) -> Value {
        wire::body(request, quirks)
    }

    #[cfg(feature = "tokenizers")]
    fn count_here(&self, request: &Request) -> Option<TokenCount> {
        tokens::count(request)
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::<stream::Chat>::default()
    }
}
