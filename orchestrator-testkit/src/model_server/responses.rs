//! Answers in the OpenAI Responses protocol.

use super::{ModelRequest, reply::Answer, reply::Ending};
use orchestrator_core::usage::Usage;
use serde_json::{Value, json};

/// Reasoning that only the server can read.
const ENCRYPTED: &str = "Z0FBQXNjcmlwdGVk";

/// The input is counted with what was cached.
fn usage(usage: Usage) -> Value {
    let input = usage.input + usage.cache_read + usage.cache_write;
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": input + usage.output,
    })
}

/// The items of the output, in order.
fn items(answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    if !answer.reasoning.is_empty() {
        items.push(json!({
            "id": "rs_scripted",
            "type": "reasoning",
            "summary": [{ "type": "summary_text", "text": answer.reasoning }],
            "encrypted_content": ENCRYPTED,
        }));
    }
    if answer.strange {
        items.push(json!({ "id": "ho_scripted", "type": "hologram", "shape": "cube" }));
    }
    if !answer.pieces.is_empty() {
        let text = answer.pieces.concat();
        items.push(json!({
            "id": "msg_scripted",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }));
    }
    for call in &answer.calls {
        items.push(json!({
            "id": format!("fc_{}", call.id),
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }));
    }
    items
}

fn status(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "completed",
        Ending::MaxTokens | Ending::Refusal => "incomplete",
    }
}

/// The answer in one document.
pub(super) fn document(request: &ModelRequest, answer: &Answer) -> Value {
    let details = match answer.ending {
        Ending::Done => json!(null),
        Ending::MaxTokens => json!({ "reason": "max_output_tokens" }),
        Ending::Refusal => json!({ "reason": "content_filter" }),
    };
    json!({
        "id": "resp_scripted",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": request.model(),
        "status": status(answer.ending),
        "error": null,
        "incomplete_details": details,
        "output": items(answer),
        "usage": answer.usage.map(usage),
    })
}

/// The answer as events, numbered, each with its name.
pub(super) fn events(request: &ModelRequest, answer: &Answer) -> Vec<String> {
    let mut events = Events(Vec::new());
    let whole = document(request, answer);
    let mut start = whole.clone();
    start["status"] = json!("in_progress");
    start["output"] = json!([]);
    start["usage"] = json!(null);
    events.push("response.created", json!({ "response": start }));
    events.push("response.in_progress", json!({ "response": start }));
    for (index, item) in items(answer).iter().enumerate() {
        let kind = item["type"].as_str().unwrap_or_default();
        let mut added = item.clone();
        match kind {
            "reasoning" => added["summary"] = json!([]),
            "message" => added["content"] = json!([]),
            "function_call" => added["arguments"] = json!(""),
            _ => events.push("response.weather_report", json!({ "sky": { "blue": true } })),
        }
        let place = json!({ "output_index": index, "item_id": item["id"] });
        events.push("response.output_item.added", json!({ "output_index": index, "item": added }));
        match kind {
            "reasoning" => {
                let delta = json!({ "summary_index": 0, "delta": answer.reasoning });
                events.push("response.reasoning_summary_text.delta", with(&place, delta));
            }
            "message" => {
                let part = json!({ "type": "output_text", "text": "", "annotations": [] });
                let part = json!({ "content_index": 0, "part": part });
                events.push("response.content_part.added", with(&place, part));
                for piece in &answer.pieces {
                    let delta = json!({ "content_index": 0, "delta": piece, "obfuscation": "x9" });
                    events.push("response.output_text.delta", with(&place, delta));
                }
                let done = json!({ "content_index": 0, "text": answer.pieces.concat() });
                events.push("response.output_text.done", with(&place, done));
            }
            "function_call" => {
                let call = answer.calls.iter().find(|call| item["call_id"] == call.id);
                for piece in call.map(|call| call.fragments()).unwrap_or_default() {
                    let delta = json!({ "delta": piece });
                    events.push("response.function_call_arguments.delta", with(&place, delta));
                }
                let done = json!({ "name": item["name"], "arguments": item["arguments"] });
                events.push("response.function_call_arguments.done", with(&place, done));
            }
            _ => {}
        }
        events.push("response.output_item.done", json!({ "output_index": index, "item": item }));
    }
    let last = format!("response.{}", status(answer.ending));
    events.push(&last, json!({ "response": whole }));
    events.0
}

fn with(place: &Value, more: Value) -> Value {
    let mut fields = place.clone();
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more);
    }
    fields
}

/// An error in the middle of a stream.
pub(super) fn error_event(kind: &str, message: &str) -> String {
    let event = json!({ "type": "error", "code": kind, "message": message, "param": null });
    format!("event: error\ndata: {event}\n\n")
}

struct Events(Vec<String>);

impl Events {
    fn push(&mut self, name: &str, fields: Value) {
        let head = json!({ "type": name, "sequence_number": self.0.len() });
        let event = with(&head, fields);
        self.0.push(format!("event: {name}\ndata: {event}\n\n"));
    }
}
