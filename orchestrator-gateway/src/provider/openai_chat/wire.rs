//! The documents of Chat Completions.

use crate::provider::{
    Author, Message, Part, Request, ToolChoice, WireFormat,
    quirks::{Bound, Quirks},
};
use serde_json::{Value, json};

/// The document that asks.
pub(super) fn body(request: &Request, quirks: Quirks) -> Value {
    let system = request.system.iter().map(|text| json!({ "role": "system", "content": text }));
    let turns = request.messages.iter().flat_map(|message| match message.author {
        Author::User => user(message),
        Author::Assistant => assistant(message),
    });
    let messages: Vec<Value> = system.chain(turns).collect();
    let mut body = json!({ "model": request.model, "stream": true, "messages": messages });
    if quirks.stream_options {
        body["stream_options"] = json!({ "include_usage": true });
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": *tool.input_schema,
                },
            })
        });
        body["tools"] = tools.collect();
        match &request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::Any => body["tool_choice"] = json!("required"),
            ToolChoice::None => body["tool_choice"] = json!("none"),
            ToolChoice::Tool(name) => {
                body["tool_choice"] = json!({ "type": "function", "function": { "name": name } });
            }
        }
    }
    if let Some(tokens) = request.max_tokens {
        match quirks.bound {
            Bound::Completion => body["max_completion_tokens"] = json!(tokens),
            Bound::Plain => body["max_tokens"] = json!(tokens),
            Bound::None => {}
        }
    }
    if !request.stop_sequences.is_empty() {
        body["stop"] = json!(request.stop_sequences);
    }
    if let (Some(temperature), true) = (request.temperature, quirks.temperature) {
        body["temperature"] = json!(temperature);
    }
    if let (Some(schema), true) = (&request.output_schema, quirks.schema) {
        // Not strict: that demands a dialect of JSON Schema that users' schemas need not follow.
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": { "name": "output", "strict": false, "schema": **schema },
        });
    }
    body
}

/// What the user says: results of tools are messages of their own.
fn user(message: &Message) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) if !text.is_empty() => {
                content.push(json!({ "type": "text", "text": text }));
            }
            Part::Image(image) => {
                content
                    .push(json!({ "type": "image_url", "image_url": { "url": image.to_url() } }));
            }
            Part::ToolResult(result) => messages.push(json!({
                "role": "tool",
                "tool_call_id": result.call,
                "content": result.plain(),
            })),
            Part::Text(_) | Part::ToolCall(_) | Part::Opaque(_) => {}
        }
    }
    match (content.as_slice(), message.parts.as_slice()) {
        ([], _) => {}
        // Many compatible servers know text as a plain string only.
        (_, [Part::Text(text)]) => messages.push(json!({ "role": "user", "content": text })),
        _ => messages.push(json!({ "role": "user", "content": content })),
    }
    messages
}

/// What the model has said, in one message.
fn assistant(message: &Message) -> Vec<Value> {
    let text = message.text();
    let calls: Vec<Value> = message
        .tool_calls()
        .map(|call| {
            json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": call.arguments.to_text() },
            })
        })
        .collect();
    if text.is_empty() && calls.is_empty() {
        return Vec::new();
    }
    let content = if text.is_empty() { Value::Null } else { Value::String(text) };
    let mut said = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        said["tool_calls"] = Value::Array(calls);
    }
    for part in &message.parts {
        if let Part::Opaque(opaque) = part
            && opaque.protocol == WireFormat::OpenaiChat
            && let Value::Object(fields) = &opaque.value
        {
            for (name, value) in fields {
                said[name.as_str()] = value.clone();
            }
        }
    }
    vec![said]
}
