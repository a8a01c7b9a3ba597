//! Answers as the two protocols stream them.

use super::plan::Usage;
use serde_json::{Value, json};

/// The protocol of a request, by where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Messages,
    Chat,
}

/// An answer: what comes before its final count, that count, and its end.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) before: Vec<String>,
    pub(crate) count: String,
    pub(crate) end: String,
}

/// An answer that says what it has used, unless it is not counted.
pub(crate) fn stream(wire: Wire, model: &str, usage: Option<Usage>) -> Stream {
    match wire {
        Wire::Messages => messages(model, usage),
        Wire::Chat => chat(model, usage),
    }
}

fn messages(model: &str, usage: Option<Usage>) -> Stream {
    let event = |json: Value| {
        format!("event: {}\ndata: {json}\n\n", json["type"].as_str().unwrap_or_default())
    };
    let counted = |output: u64| {
        usage.map(|usage| {
            json!({
                "input_tokens": usage.input,
                "cache_read_input_tokens": usage.cache_read,
                "cache_creation_input_tokens": usage.cache_write,
                "output_tokens": output,
            })
        })
    };
    let start = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": counted(1),
    });
    let block = json!({ "type": "text", "text": "" });
    let text = |text: &str| {
        let delta = json!({ "type": "text_delta", "text": text });
        event(json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
    };
    let mut last = json!({
        "type": "message_delta",
        "delta": { "stop_reason": "end_turn", "stop_sequence": null },
    });
    if let Some(usage) = usage {
        last["usage"] = json!({ "output_tokens": usage.output });
    }
    Stream {
        before: vec![
            event(json!({ "type": "message_start", "message": start })),
            event(json!({ "type": "content_block_start", "index": 0, "content_block": block })),
            text("one "),
            text("two"),
            event(json!({ "type": "content_block_stop", "index": 0 })),
        ],
        count: event(last),
        end: event(json!({ "type": "message_stop" })),
    }
}

fn chat(model: &str, usage: Option<Usage>) -> Stream {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": model, "choices": choices,
        });
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, reason: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        chunk(json!([choice]), Value::Null)
    };
    let counted = usage.map(|usage| {
        let prompt = usage.input + usage.cache_read + usage.cache_write;
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": usage.output,
            "total_tokens": prompt + usage.output,
            "prompt_tokens_details": {
                "cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write,
            },
        })
    });
    Stream {
        before: vec![
            choice(json!({ "role": "assistant", "content": "one " }), None),
            choice(json!({ "content": "two" }), None),
            choice(json!({}), Some("stop")),
        ],
        count: counted.map(|usage| chunk(json!([]), usage)).unwrap_or_default(),
        end: "data: [DONE]\n\n".to_owned(),
    }
}
