//! Answers in the Anthropic Messages protocol.

use super::{ModelRequest, reply::Answer, reply::Ending};
use orchestrator_core::usage::Usage;
use serde_json::{Value, json};

/// The seal of thoughts.
const SIGNATURE: &str = "c2NyaXB0ZWQ=";

/// The text of the error body.
pub(super) fn error(kind: &str, message: &str) -> Value {
    json!({
        "type": "error",
        "error": { "type": kind, "message": message },
        "request_id": "req_scripted",
    })
}

/// Input is counted without what was cached.
fn usage(usage: Option<Usage>, output: u64) -> Value {
    match usage {
        None => json!(null),
        Some(usage) => json!({
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": output,
            "output_tokens_details": { "thinking_tokens": usage.reasoning.0.min(output) },
        }),
    }
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.ending {
        Ending::Done if !answer.calls.is_empty() => "tool_use",
        Ending::Done => "end_turn",
        Ending::MaxTokens => "max_tokens",
        Ending::Refusal => "refusal",
    }
}

/// The answer in one document.
pub(super) fn document(request: &ModelRequest, answer: &Answer) -> Value {
    let mut content = Vec::new();
    if !answer.reasoning.is_empty() {
        content.push(json!({
            "type": "thinking", "thinking": answer.reasoning, "signature": SIGNATURE,
        }));
    }
    if answer.strange {
        content.push(json!({ "type": "hologram", "shape": "cube" }));
    }
    if !answer.pieces.is_empty() {
        content.push(json!({ "type": "text", "text": answer.pieces.concat() }));
    }
    for call in &answer.calls {
        // A whole document has no place for what is not JSON.
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        content
            .push(json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input }));
    }
    json!({
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": request.model(),
        "content": content,
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": usage(answer.usage, answer.usage.map_or(0, |usage| usage.output.0)),
    })
}

/// The answer as events, each with its name.
pub(super) fn events(request: &ModelRequest, answer: &Answer) -> Vec<String> {
    let mut events = Events(Vec::new());
    let mut start = document(request, answer);
    start["content"] = json!([]);
    start["stop_reason"] = json!(null);
    start["usage"] = usage(answer.usage, 1);
    events.push(json!({ "type": "message_start", "message": start }));
    let mut index = 0;
    if !answer.reasoning.is_empty() {
        let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
        let thinking = json!({ "type": "thinking_delta", "thinking": answer.reasoning });
        let signature = json!({ "type": "signature_delta", "signature": SIGNATURE });
        events.block(index, block, vec![thinking, signature]);
        index += 1;
    }
    if answer.strange {
        events.push(json!({ "type": "weather_report", "sky": { "blue": true } }));
        let delta = json!({ "type": "hologram_delta", "shape": "cube" });
        events.block(index, json!({ "type": "hologram" }), vec![delta]);
        index += 1;
    }
    events.push(json!({ "type": "ping" }));
    let delta = |text: &String| json!({ "type": "text_delta", "text": text, "from_the_future": 1 });
    if !answer.pieces.is_empty() {
        let deltas = answer.pieces.iter().map(delta).collect();
        events.block(index, json!({ "type": "text", "text": "" }), deltas);
        index += 1;
    }
    for call in &answer.calls {
        let block = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
        let delta = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
        let deltas = [""].into_iter().chain(call.fragments()).map(delta).collect();
        events.block(index, block, deltas);
        index += 1;
    }
    let mut last = json!({
        "type": "message_delta",
        "delta": { "stop_reason": stop_reason(answer), "stop_sequence": null },
    });
    if let Some(usage) = answer.usage {
        let details = json!({ "thinking_tokens": usage.reasoning });
        last["usage"] = json!({ "output_tokens": usage.output, "output_tokens_details": details });
    }
    events.push(last);
    events.push(json!({ "type": "message_stop" }));
    events.0
}

/// An error in the middle of a stream.
pub(super) fn error_event(kind: &str, message: &str) -> String {
    framed(&error(kind, message))
}

fn framed(event: &Value) -> String {
    let name = event["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n")
}

struct Events(Vec<String>);

impl Events {
    fn push(&mut self, event: Value) {
        self.0.push(framed(&event));
    }

    fn block(&mut self, index: usize, start: Value, deltas: Vec<Value>) {
        let event =
            json!({ "type": "content_block_start", "index": index, "content_block": start });
        self.push(event);
        for delta in deltas {
            self.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        }
        self.push(json!({ "type": "content_block_stop", "index": index }));
    }
}
