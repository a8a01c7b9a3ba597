//! The Gemini API, version `v1beta`, streaming.
//!
//! A stream is chunks of `candidates[0].content.parts`, each with the counts so far in
//! `usageMetadata`; the last has a `finishReason`, and then the server closes. A prompt that is
//! blocked gets `promptFeedback.blockReason` instead. `promptTokenCount` includes what was cached;
//! thoughts are counted beside the candidates. A `thoughtSignature` seals the part that it is on
//! and must come back there.

mod stream;
mod wire;

use super::{
    Endpoint, Provider, Request,
    caller::{Caller, Protocol},
    quirks::Quirks,
    read::Dialect,
};
use reqwest::header::HeaderName;
use serde_json::{Value, json};

/// What ids of calls begin with that the server gave none. They are not sent to it.
const OWN_ID: &str = "gemini-call-";

/// The protocol.
#[derive(Debug)]
pub(crate) struct Gemini;

impl Gemini {
    pub(crate) fn at(endpoint: Endpoint) -> Box<dyn Provider> {
        Box::new(Caller::new(endpoint, Self))
    }
}

impl Protocol for Gemini {
    fn key_header(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-goog-api-key"), "")
    }

    fn path(&self, model: &str) -> String {
        format!("{}:streamGenerateContent", resource(model))
    }

    fn query(&self) -> Option<&'static str> {
        Some("alt=sse")
    }

    fn body(&self, request: &Request, quirks: Quirks) -> Value {
        wire::body(request, quirks)
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::<stream::Chunks>::default()
    }

    fn count(&self, request: &Request, quirks: Quirks) -> Option<(String, Value, &'static str)> {
        let model = resource(&request.model);
        let mut asked = json!({ "model": model });
        if let (Value::Object(asked), Value::Object(body)) =
            (&mut asked, wire::body(request, quirks))
        {
            asked.extend(body);
        }
        let body = json!({ "generateContentRequest": asked });
        Some((format!("{model}:countTokens"), body, "totalTokens"))
    }
}

/// The model as the API names it: tuned ones have a collection of their own.
fn resource(model: &str) -> String {
    if model.contains('/') { model.to_owned() } else { format!("models/{model}") }
}
