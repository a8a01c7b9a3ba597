//! The Anthropic Messages API, version 2023-06-01, streaming.
//!
//! A stream is `message_start` (usage of the input), blocks of `content_block_start`, `_delta` and
//! `_stop`, then `message_delta` (stop reason, final count of the output) and `message_stop`, with
//! `ping` anywhere and `error` instead of an end. `input_tokens` excludes what was cached.

use super::{
    CallFailure, Delta, Endpoint, Provider, Request, Response, Sink, Stop,
    read::{self, Assembly, Counts, Dialect},
};
use crate::{failure::ErrorBody, transport};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
    usage::TokenCount,
};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// The protocol demands a bound. Models that think count their thoughts, so it must be ample;
/// what is not used costs nothing.
const DEFAULT_MAX_TOKENS: u32 = 32_000;

/// The adapter.
#[derive(Debug)]
pub(crate) struct Anthropic {
    endpoint: Endpoint,
}

impl Anthropic {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        let key = self.endpoint.key_header("");
        if let Some(key) = key.map_err(|e| Failure::new(ErrorClass::Auth, e.to_string()))? {
            headers.insert("x-api-key", key);
        }
        Ok(headers)
    }
}

fn body(request: &Request) -> Value {
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| json!({ "role": message.author.as_str(), "content": message.text }))
        .collect();
    let mut body = json!({
        "model": request.model,
        "max_tokens": request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        "stream": true,
        "messages": messages,
    });
    if let Some(system) = &request.system {
        body["system"] = json!(system);
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    body
}

#[async_trait]
impl Provider for Anthropic {
    async fn complete(
        &self,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Response, CallFailure> {
        let endpoint = &self.endpoint;
        let headers = self.headers()?;
        let json = body(request).to_string().into_bytes();
        sink(Delta::Sent);
        let answer = transport::send(endpoint, &endpoint.url("messages"), headers, json).await?;
        if answer.status != 200 {
            return Err(endpoint.refusal(&request.model, answer, now).await.0.into());
        }
        read::answer(endpoint, &request.model, answer.body, &mut Messages, now, sink).await
    }

    async fn look(&self) -> Result<u16, Failure> {
        transport::look(&self.endpoint, &self.endpoint.url("models"), self.headers()?).await
    }
}

/// How Messages answers are read.
struct Messages;

impl Dialect for Messages {
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match json["type"].as_str().unwrap_or_default() {
            "message_start" => {
                let message = &json["message"];
                so_far.served_model = message["model"].as_str().map(str::to_owned);
                count(&message["usage"], so_far);
            }
            "content_block_start" => {
                let block = &json["content_block"];
                match block["type"].as_str().unwrap_or_default() {
                    "text" => so_far.add_text(&text(&block["text"])),
                    "thinking" => so_far.add_reasoning(&text(&block["thinking"])),
                    "redacted_thinking" => {}
                    other => so_far.unknown(other),
                }
            }
            "content_block_delta" => {
                let delta = &json["delta"];
                match delta["type"].as_str().unwrap_or_default() {
                    "text_delta" => so_far.add_text(&text(&delta["text"])),
                    "thinking_delta" => so_far.add_reasoning(&text(&delta["thinking"])),
                    "signature_delta" | "citations_delta" => {}
                    other => so_far.unknown(other),
                }
            }
            "message_delta" => {
                count(&json["usage"], so_far);
                if let Some(reason) = json["delta"]["stop_reason"].as_str() {
                    so_far.stop = Some(stop(reason));
                }
            }
            "message_stop" => so_far.ended = true,
            "content_block_stop" | "ping" => {}
            "error" => return Err(Box::new(ErrorBody::from_json(json))),
            other => so_far.unknown(other),
        }
        Ok(())
    }

    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        let Some(blocks) = json["content"].as_array() else {
            return Err(Box::new(ErrorBody::from_json(json)));
        };
        so_far.served_model = json["model"].as_str().map(str::to_owned);
        for block in blocks {
            match block["type"].as_str().unwrap_or_default() {
                "text" => so_far.add_text(block["text"].as_str().unwrap_or_default()),
                "thinking" => so_far.add_reasoning(block["thinking"].as_str().unwrap_or_default()),
                "redacted_thinking" => {}
                other => so_far.unknown(other),
            }
        }
        count(&json["usage"], so_far);
        so_far.stop = json["stop_reason"].as_str().map(stop);
        Ok(())
    }

    fn may_close(&self, _: &Assembly<'_, '_>) -> bool {
        false
    }
}

/// Takes counts over; each is a running total, and a later event may leave some out.
fn count(usage: &Value, so_far: &mut Assembly<'_, '_>) {
    if !usage.is_object() {
        return;
    }
    let mut counts: Counts = so_far.counts();
    let number = |key: &str| usage[key].as_u64().map(TokenCount);
    if let Some(tokens) = number("input_tokens") {
        counts.usage.input = tokens;
        counts.has_input = true;
    }
    if let Some(tokens) = number("output_tokens") {
        counts.usage.output = tokens;
        counts.has_output = true;
    }
    if let Some(tokens) = number("cache_read_input_tokens") {
        counts.usage.cache_read = tokens;
    }
    if let Some(tokens) = number("cache_creation_input_tokens") {
        counts.usage.cache_write = tokens;
    }
    so_far.set_counts(counts);
}

fn stop(reason: &str) -> Stop {
    match reason {
        "end_turn" | "stop_sequence" => Stop::End,
        "max_tokens" | "model_context_window_exceeded" => Stop::MaxTokens,
        "refusal" => Stop::Refused,
        other => Stop::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_holds_only_what_was_asked_for() {
        let plain = body(&Request::new("m", "hi"));
        assert_eq!(
            plain,
            json!({
                "model": "m", "max_tokens": 32_000, "stream": true,
                "messages": [{ "role": "user", "content": "hi" }],
            })
        );
        let full =
            Request::new("m", "hi").with_system("s").with_max_tokens(7).with_temperature(0.5);
        let full = body(&full);
        assert_eq!((&full["system"], &full["max_tokens"]), (&json!("s"), &json!(7)));
        assert_eq!(full["temperature"], json!(0.5));
    }

    #[test]
    fn stop_reasons_are_mapped() {
        for (reason, expected) in [
            ("end_turn", "end"),
            ("stop_sequence", "end"),
            ("max_tokens", "max_tokens"),
            ("model_context_window_exceeded", "max_tokens"),
            ("refusal", "refused"),
            ("pause_turn", "pause_turn"),
        ] {
            assert_eq!(stop(reason).as_str(), expected);
        }
    }
}
