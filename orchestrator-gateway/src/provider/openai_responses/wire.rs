//! The documents of Responses.

use crate::provider::{Author, Message, Part, Request, ToolChoice, WireFormat, quirks::Quirks};
use serde_json::{Value, json};

/// The document that asks.
pub(super) fn body(request: &Request, quirks: Quirks) -> Value {
    let mut body = prompt(request, quirks);
    body["stream"] = json!(true);
    body["store"] = json!(false);
    if quirks.reasoning {
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if let Some(tokens) = request.max_tokens {
        body["max_output_tokens"] = json!(tokens);
    }
    if let (Some(temperature), true) = (request.temperature, quirks.temperature) {
        body["temperature"] = json!(temperature);
    }
    body
}

/// The part of it that makes the input.
pub(super) fn prompt(request: &Request, quirks: Quirks) -> Value {
    let input: Vec<Value> = request
        .messages
        .iter()
        .flat_map(|message| match message.author {
            Author::User => user(message),
            Author::Assistant => assistant(message),
        })
        .collect();
    let mut body = json!({ "model": request.model, "input": input });
    if let Some(system) = &request.system {
        body["instructions"] = json!(system);
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": *tool.input_schema,
                // Strict ones demand a dialect of JSON Schema that tools need not follow.
                "strict": false,
            })
        });
        body["tools"] = tools.collect();
        match &request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::Any => body["tool_choice"] = json!("required"),
            ToolChoice::None => body["tool_choice"] = json!("none"),
            ToolChoice::Tool(name) => {
                body["tool_choice"] = json!({ "type": "function", "name": name });
            }
        }
    }
    if let (Some(schema), true) = (&request.output_schema, quirks.schema) {
        body["text"] = json!({
            "format": {
                "type": "json_schema",
                "name": "output",
                "strict": false,
                "schema": **schema,
            },
        });
    }
    body
}

/// What the user says: results of tools are items of their own.
fn user(message: &Message) -> Vec<Value> {
    let mut items = Vec::new();
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) if !text.is_empty() => {
                content.push(json!({ "type": "input_text", "text": text }));
            }
            Part::Image(image) => content.push(json!({
                "type": "input_image",
                "detail": "auto",
                "image_url": image.to_url(),
            })),
            Part::ToolResult(result) => items.push(json!({
                "type": "function_call_output",
                "call_id": result.call,
                "output": result.plain(),
            })),
            Part::Text(_) | Part::ToolCall(_) | Part::Opaque(_) => {}
        }
    }
    match (content.as_slice(), message.parts.as_slice()) {
        ([], _) => {}
        (_, [Part::Text(text)]) => items.push(json!({ "role": "user", "content": text })),
        _ => items.push(json!({ "role": "user", "content": content })),
    }
    items
}

/// What the model has said: each part is an item, in the order in which they came.
fn assistant(message: &Message) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) if !text.is_empty() => {
                items.push(json!({ "role": "assistant", "content": text }));
            }
            Part::ToolCall(call) => items.push(json!({
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments.to_text(),
            })),
            Part::Opaque(opaque) if opaque.protocol == WireFormat::OpenaiResponses => {
                match (opaque.value.get("type"), items.last_mut()) {
                    (Some(_), _) => items.push(opaque.value.clone()),
                    // The phase of the text before.
                    (None, Some(said)) if said["role"] == "assistant" => {
                        said["phase"] = opaque.value["phase"].clone();
                    }
                    (None, _) => {}
                }
            }
            Part::Text(_) | Part::Image(_) | Part::ToolResult(_) | Part::Opaque(_) => {}
        }
    }
    items
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
                "model": "m", "stream": true, "store": false,
                "include": ["reasoning.encrypted_content"],
                "input": [{ "role": "user", "content": "hi" }],
            })
        );
        let mut given_up = START;
        (given_up.reasoning, given_up.temperature) = (false, false);
        let request = Request::new("m", "hi").with_temperature(0.5).with_max_tokens(99);
        let body = body(&request, given_up);
        assert_eq!((body.get("include"), body.get("temperature")), (None, None));
        assert_eq!(body["max_output_tokens"], 99);
    }
}
