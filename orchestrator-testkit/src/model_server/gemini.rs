//! Answers in the protocol of Gemini.

use super::{ModelRequest, reply::Answer, reply::Ending};
use orchestrator_core::usage::Usage;
use serde_json::{Value, json};

/// The seal of thoughts.
const SIGNATURE: &str = "c2NyaXB0ZWQ=";

/// The text of the error body.
pub(super) fn error(status: u16, kind: &str, message: &str) -> Value {
    json!({ "error": { "code": status, "message": message, "status": kind } })
}

/// The prompt is counted with what was cached; nothing is said of what a cache took. Thoughts are
/// counted beside the candidates.
fn usage(usage: Usage) -> Value {
    let prompt = usage.input + usage.cache_read + usage.cache_write;
    json!({
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": usage.output.0.saturating_sub(usage.reasoning.0),
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": prompt + usage.output,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": prompt }],
    })
}

/// The parts of the answer, in order: text in pieces, calls whole. What cannot be read as a call
/// is not sent.
fn parts(answer: &Answer) -> Vec<Value> {
    let mut parts = Vec::new();
    if !answer.reasoning.is_empty() {
        parts.push(json!({ "text": answer.reasoning, "thought": true }));
    }
    if answer.strange {
        parts.push(json!({ "hologram": { "shape": "cube" } }));
    }
    parts.extend(answer.pieces.iter().map(|piece| json!({ "text": piece })));
    let mut sealed = answer.reasoning.is_empty();
    for call in &answer.calls {
        let Ok(arguments) = serde_json::from_str::<Value>(&call.arguments) else { continue };
        let mut made = json!({ "name": call.name, "args": arguments });
        if !call.id.is_empty() {
            made["id"] = json!(call.id);
        }
        let mut part = json!({ "functionCall": made });
        // Of several calls only the first is sealed.
        if !std::mem::replace(&mut sealed, true) {
            part["thoughtSignature"] = json!(SIGNATURE);
        }
        parts.push(part);
    }
    parts
}

fn finish_reason(answer: &Answer) -> &'static str {
    let unreadable = |arguments: &str| serde_json::from_str::<Value>(arguments).is_err();
    match answer.ending {
        Ending::Done if answer.calls.iter().any(|call| unreadable(&call.arguments)) => {
            "MALFORMED_FUNCTION_CALL"
        }
        Ending::Done => "STOP",
        Ending::MaxTokens => "MAX_TOKENS",
        Ending::Refusal => "SAFETY",
    }
}

fn chunk(request: &ModelRequest, parts: &[Value], reason: Option<&str>, counts: Value) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    let mut chunk = json!({
        "candidates": [candidate],
        "modelVersion": request.model(),
        "responseId": "scripted",
    });
    if !counts.is_null() {
        chunk["usageMetadata"] = counts;
    }
    chunk
}

/// The answer in one document.
pub(super) fn document(request: &ModelRequest, answer: &Answer) -> Value {
    let counts = answer.usage.map_or(Value::Null, usage);
    chunk(request, &parts(answer), Some(finish_reason(answer)), counts)
}

/// The answer as events. Every chunk has the counts so far; only the last has them all.
pub(super) fn events(request: &ModelRequest, answer: &Answer) -> Vec<String> {
    let counts = |done: bool| match answer.usage {
        None => Value::Null,
        Some(used) if done => usage(used),
        Some(used) => {
            let prompt = used.input + used.cache_read + used.cache_write;
            json!({
                "promptTokenCount": prompt,
                "cachedContentTokenCount": used.cache_read,
                "totalTokenCount": prompt,
            })
        }
    };
    let mut events = Vec::new();
    if answer.strange {
        events.push(": keep-alive\r\n\r\n".to_owned());
        events.push(framed(&json!({ "weather": { "blue": true } })));
    }
    for part in parts(answer) {
        events.push(framed(&chunk(request, &[part], None, counts(false))));
    }
    let last = [json!({ "text": "" })];
    events.push(framed(&chunk(request, &last, Some(finish_reason(answer)), counts(true))));
    events
}

/// An error in the middle of a stream.
pub(super) fn error_event(kind: &str, message: &str) -> String {
    let status = match kind {
        "RESOURCE_EXHAUSTED" => 429,
        "UNAVAILABLE" => 503,
        "INVALID_ARGUMENT" => 400,
        _ => 500,
    };
    framed(&error(status, kind, message))
}

fn framed(event: &Value) -> String {
    format!("data: {event}\r\n\r\n")
}
