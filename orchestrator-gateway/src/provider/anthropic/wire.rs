//! The documents of Messages.

use crate::provider::{
    Author, DEFAULT_MAX_TOKENS, Image, Message, Part, Request, ToolChoice, WireFormat,
    quirks::Quirks,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// The document that asks.
pub(super) fn body(request: &Request, quirks: Quirks) -> Value {
    let mut body = prompt(request, quirks);
    body["max_tokens"] = json!(request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS));
    body["stream"] = json!(true);
    if !request.stop_sequences.is_empty() {
        body["stop_sequences"] = json!(request.stop_sequences);
    }
    if let (Some(temperature), true) = (request.temperature, quirks.temperature) {
        body["temperature"] = json!(temperature);
    }
    body
}

/// The part of it that makes the input.
pub(super) fn prompt(request: &Request, quirks: Quirks) -> Value {
    let messages: Vec<Value> = request.messages.iter().filter_map(message).collect();
    let mut body = json!({ "model": request.model, "messages": messages });
    if let Some(system) = &request.system {
        body["system"] = json!(system);
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": *tool.input_schema,
            })
        });
        body["tools"] = tools.collect();
        match &request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::Any => body["tool_choice"] = json!({ "type": "any" }),
            ToolChoice::None => body["tool_choice"] = json!({ "type": "none" }),
            ToolChoice::Tool(name) => {
                body["tool_choice"] = json!({ "type": "tool", "name": name });
            }
        }
    }
    if let (Some(schema), true) = (&request.output_schema, quirks.schema) {
        body["output_config"] = json!({ "format": { "type": "json_schema", "schema": **schema } });
    }
    body
}

/// A message; `None` when nothing in it can be said here.
fn message(message: &Message) -> Option<Value> {
    let role = message.author.as_str();
    if let [Part::Text(text)] = message.parts.as_slice() {
        return (!text.is_empty()).then(|| json!({ "role": role, "content": text }));
    }
    let blocks = message.parts.iter().filter_map(|part| block(part, message.author));
    let mut blocks: Vec<Value> = blocks.collect();
    // Results must be the first thing that is said after the calls.
    blocks.sort_by_key(|block| block["type"] != "tool_result" && message.author == Author::User);
    (!blocks.is_empty()).then(|| json!({ "role": role, "content": blocks }))
}

fn block(part: &Part, author: Author) -> Option<Value> {
    Some(match (part, author) {
        // Blocks of white space are refused.
        (Part::Text(text), _) if text.trim().is_empty() => return None,
        (Part::Text(text), _) => json!({ "type": "text", "text": text }),
        (Part::Image(image), Author::User) => json!({ "type": "image", "source": source(image) }),
        (Part::ToolResult(result), Author::User) => json!({
            "type": "tool_result",
            "tool_use_id": result.call,
            "content": result.text,
            "is_error": result.is_error,
        }),
        (Part::ToolCall(call), Author::Assistant) => json!({
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": call.arguments.to_object(),
        }),
        (Part::Opaque(opaque), Author::Assistant) if opaque.protocol == WireFormat::Anthropic => {
            opaque.value.clone()
        }
        _ => return None,
    })
}

fn source(image: &Image) -> Value {
    match image {
        Image::Url(url) => json!({ "type": "url", "url": url }),
        Image::Bytes { media_type, bytes } => json!({
            "type": "base64",
            "media_type": media_type,
            "data": BASE64_STANDARD.encode(bytes),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::quirks::tests::START;

    #[test]
    fn a_request_holds_only_what_was_asked_for() {
        let plain = body(&Request::new("m", "hi"), START);
        assert_eq!(
            plain,
            json!({
                "model": "m", "max_tokens": 32_000, "stream": true,
                "messages": [{ "role": "user", "content": "hi" }],
            })
        );
        let full = Request::new("m", "hi")
            .with_system("s")
            .with_max_tokens(7)
            .with_temperature(0.5)
            .with_stop_sequence("END");
        let full = body(&full, START);
        assert_eq!((&full["system"], &full["max_tokens"]), (&json!("s"), &json!(7)));
        assert_eq!(full["temperature"], json!(0.5));
        assert_eq!(full["stop_sequences"], json!(["END"]));
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let other = Part::Opaque(crate::provider::Opaque {
            protocol: WireFormat::Gemini,
            value: json!({ "thoughtSignature": "s" }),
        });
        let request = Request::new("m", "hi")
            .with_message(Message { author: Author::Assistant, parts: vec![other] })
            .with_message(Message::user(""))
            .with_message(Message::assistant(" \n").with("more"));
        assert_eq!(
            body(&request, START)["messages"],
            json!([
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": [{ "type": "text", "text": "more" }] },
            ])
        );
    }
}
