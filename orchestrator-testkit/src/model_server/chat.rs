//! Answers in the OpenAI Chat Completions protocol.

use super::{ModelRequest, reply::Answer, reply::Ending};
use orchestrator_core::usage::Usage;
use serde_json::{Value, json};

/// The text of the error body.
pub(super) fn error(kind: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": kind } })
}

/// The prompt is counted with what was cached.
fn usage(usage: Usage) -> Value {
    let prompt = usage.input + usage.cache_read + usage.cache_write;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer.ending {
        Ending::Done if !answer.calls.is_empty() => "tool_calls",
        Ending::Done => "stop",
        Ending::MaxTokens => "length",
        Ending::Refusal => "content_filter",
    }
}

/// The answer in one document.
pub(super) fn document(request: &ModelRequest, answer: &Answer) -> Value {
    let mut message = json!({ "role": "assistant", "content": answer.pieces.concat() });
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = json!(answer.reasoning);
    }
    if answer.strange {
        message["hologram"] = json!({ "shape": "cube" });
    }
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter().map(|call| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        });
        message["tool_calls"] = calls.collect();
    }
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.model(),
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(answer),
        }],
        "usage": answer.usage.map(usage),
    })
}

/// The answer as events. The count comes only when it is asked for, as at OpenAI.
pub(super) fn events(request: &ModelRequest, answer: &Answer) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": request.model(),
            "choices": choices,
        });
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        framed(&chunk)
    };
    let choice = |delta: Value, reason: Option<&str>| {
        let choices =
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
        chunk(choices, json!(null))
    };
    let mut events = vec![choice(json!({ "role": "assistant", "content": "" }), None)];
    if !answer.reasoning.is_empty() {
        events.push(choice(json!({ "reasoning_content": answer.reasoning }), None));
    }
    if answer.strange {
        events.push(": keep-alive\n\n".to_owned());
        events.push(framed(&json!({ "object": "weather.report", "sky": { "blue": true } })));
        events.push(choice(json!({ "hologram": { "shape": "cube" } }), None));
    }
    events.extend(answer.pieces.iter().map(|piece| choice(json!({ "content": piece }), None)));
    for (index, call) in answer.calls.iter().enumerate() {
        let piece = |piece: Value| choice(json!({ "tool_calls": [piece] }), None);
        events.push(piece(json!({
            "index": index,
            "id": call.id,
            "type": "function",
            "function": { "name": call.name, "arguments": "" },
        })));
        events.extend(
            call.fragments()
                .into_iter()
                .map(|text| piece(json!({ "index": index, "function": { "arguments": text } }))),
        );
    }
    events.push(choice(json!({}), Some(finish_reason(answer))));
    let counted = request.body["stream_options"]["include_usage"] == true;
    if let (Some(tokens), true) = (answer.usage, counted) {
        events.push(chunk(json!([]), usage(tokens)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// An error in the middle of a stream.
pub(super) fn error_event(kind: &str, message: &str) -> String {
    framed(&error(kind, message))
}

fn framed(event: &Value) -> String {
    format!("data: {event}\n\n")
}
