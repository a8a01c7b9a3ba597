//! The documents of Gemini.

use super::OWN_ID;
use crate::provider::{
    Author, Image, Message, Part, Request, ToolChoice, WireFormat, quirks::Quirks,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// The document that asks. The model is not in it: it is in the path.
pub(super) fn body(request: &Request, quirks: Quirks) -> Value {
    let contents: Vec<Value> = request.messages.iter().filter_map(content).collect();
    let mut body = json!({ "contents": contents });
    if let Some(system) = &request.system {
        body["systemInstruction"] = json!({ "parts": [{ "text": system }] });
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                json!({
                    "name": tool.name,
                    "description": tool.description,
                    "parametersJsonSchema": *tool.input_schema,
                })
            })
            .collect();
        body["tools"] = json!([{ "functionDeclarations": tools }]);
        let config = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::Any => Some(json!({ "mode": "ANY" })),
            ToolChoice::None => Some(json!({ "mode": "NONE" })),
            ToolChoice::Tool(name) => {
                Some(json!({ "mode": "ANY", "allowedFunctionNames": [name] }))
            }
        };
        if let Some(config) = config {
            body["toolConfig"] = json!({ "functionCallingConfig": config });
        }
    }
    let config = generation(request, quirks);
    if !config.is_empty() {
        body["generationConfig"] = Value::Object(config);
    }
    body
}

fn generation(request: &Request, quirks: Quirks) -> Map<String, Value> {
    let mut config = Map::new();
    if let Some(tokens) = request.max_tokens {
        config.insert("maxOutputTokens".into(), json!(tokens));
    }
    if !request.stop_sequences.is_empty() {
        config.insert("stopSequences".into(), json!(request.stop_sequences));
    }
    if let (Some(temperature), true) = (request.temperature, quirks.temperature) {
        config.insert("temperature".into(), json!(temperature));
    }
    if let (Some(schema), true) = (&request.output_schema, quirks.schema) {
        config.insert("responseMimeType".into(), json!("application/json"));
        config.insert("responseJsonSchema".into(), (**schema).clone());
    }
    config
}

/// A message; `None` when nothing in it can be said here.
fn content(message: &Message) -> Option<Value> {
    let role = match message.author {
        Author::User => "user",
        Author::Assistant => "model",
    };
    let mut parts: Vec<Value> = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => parts.push(json!({ "text": text })),
            Part::Image(image) => parts.push(picture(image)),
            Part::ToolCall(call) => {
                let made = json!({ "name": call.name, "args": call.arguments.to_object() });
                parts.push(json!({ "functionCall": with_id(made, &call.id) }));
            }
            Part::ToolResult(result) => {
                let key = if result.is_error { "error" } else { "output" };
                let given = json!({ "name": result.tool, "response": { key: result.text } });
                parts.push(json!({ "functionResponse": with_id(given, &result.call) }));
            }
            Part::Opaque(opaque) if opaque.protocol == WireFormat::Gemini => {
                let seal = opaque.value.as_object().filter(|fields| fields.len() == 1);
                match (seal.and_then(|fields| fields.get(SEAL)), parts.last_mut()) {
                    // The seal of the part before.
                    (Some(seal), Some(sealed)) => sealed[SEAL] = seal.clone(),
                    _ => parts.push(opaque.value.clone()),
                }
            }
            Part::Opaque(_) => {}
        }
    }
    (!parts.is_empty()).then(|| json!({ "role": role, "parts": parts }))
}

/// The field that holds a seal.
pub(super) const SEAL: &str = "thoughtSignature";

fn with_id(mut call: Value, id: &str) -> Value {
    if !id.starts_with(OWN_ID) {
        call["id"] = json!(id);
    }
    call
}

fn picture(image: &Image) -> Value {
    match image {
        Image::Bytes { media_type, bytes } => json!({
            "inlineData": { "mimeType": media_type, "data": BASE64_STANDARD.encode(bytes) },
        }),
        Image::Url(url) => {
            let mut file = json!({ "fileUri": url });
            if let Some(media_type) = media_type(url) {
                file["mimeType"] = json!(media_type);
            }
            json!({ "fileData": file })
        }
    }
}

/// What the end of a URL says of what it holds. The API fetches it, and wants to be told.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        "heic" => Some("image/heic"),
        "heif" => Some("image/heif"),
        "gif" => Some("image/gif"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::quirks::tests::START;

    #[test]
    fn a_request_holds_only_what_was_asked_for() {
        assert_eq!(
            body(&Request::new("m", "hi"), START),
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] })
        );
        let full = Request::new("m", "hi")
            .with_system("s")
            .with_max_tokens(7)
            .with_temperature(0.5)
            .with_stop_sequence("END");
        let full = body(&full, START);
        assert_eq!(full["systemInstruction"], json!({ "parts": [{ "text": "s" }] }));
        assert_eq!(
            full["generationConfig"],
            json!({ "maxOutputTokens": 7, "stopSequences": ["END"], "temperature": 0.5 })
        );
    }

    #[test]
    fn pictures_elsewhere_are_named_by_their_type() {
        for (url, expected) in [
            ("https://h/a.PNG?x=1.gif", Some("image/png")),
            ("https://h/a.jpeg#b", Some("image/jpeg")),
            ("https://h/a", None),
            ("https://generativelanguage.googleapis.com/v1beta/files/abc", None),
        ] {
            assert_eq!(media_type(url), expected, "{url}");
        }
    }
}
