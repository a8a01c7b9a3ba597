//! What is asked, in the one form in which it is compared.

use crate::{Image, Part, Request, Tool, ToolChoice};
use orchestrator_core::canonical_json;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// What tells one request from another.
pub(super) type Digest = [u8; 32];

/// All that `request` says. What is as usual is left out, so that a field that is added to requests
/// one day does not change those that do not use it. Pictures are told by a digest.
pub(super) fn canonical(request: &Request) -> Value {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("model", json!(request.model));
    if let Some(system) = &request.system {
        put("system", json!(system));
    }
    let messages = request.messages.iter().map(|message| {
        let parts: Vec<Value> = message.parts.iter().map(part).collect();
        json!({ "author": message.author, "parts": parts })
    });
    put("messages", messages.collect());
    if !request.tools.is_empty() {
        put("tools", request.tools.iter().map(tool).collect());
    }
    match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::Any => put("tool-choice", json!("any")),
        ToolChoice::None => put("tool-choice", json!("none")),
        ToolChoice::Tool(name) => put("tool-choice", json!({ "tool": name })),
    };
    if let Some(most) = request.max_tokens {
        put("max-tokens", json!(most));
    }
    if !request.stop_sequences.is_empty() {
        put("stop-sequences", json!(request.stop_sequences));
    }
    if let Some(schema) = &request.output_schema {
        put("output-schema", (**schema).clone());
    }
    if let Some(temperature) = request.temperature {
        // As it was written: 0.7, not the nearest binary fraction in more digits.
        put("temperature", temperature.to_string().parse::<f64>().map_or(Value::Null, Value::from));
    }
    Value::Object(all)
}

fn part(part: &Part) -> Value {
    match part {
        Part::Image(Image::Bytes { media_type, bytes }) => {
            let digest = hex(&Sha256::digest(bytes).into());
            json!({ "image": { "media-type": media_type, "sha256": digest } })
        }
        // Messages are made to be stored: what they hold has a form in JSON.
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    }
}

fn tool(tool: &Tool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "input-schema": *tool.input_schema,
    })
}

/// The digest of `values` together, whatever the order of the members of their objects.
pub(super) fn digest(values: &[&Value]) -> Digest {
    let mut digest = Sha256::new();
    for value in values {
        canonical_json(value, &mut |bytes| digest.update(bytes));
        digest.update(b"\n");
    }
    digest.finalize().into()
}

fn hex(bytes: &Digest) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, ToolCall, provider::Arguments};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn of(request: &Request) -> Digest {
        digest(&[&canonical(request)])
    }

    #[test]
    fn every_field_counts() {
        let plain = Request::new("m", "ask");
        let tool = Tool::new("t", "d", json!({ "type": "object" }));
        let call =
            ToolCall { id: "c".into(), name: "t".into(), arguments: Arguments::read("{\"a\":1}") };
        let image = |bytes: &[u8]| Message::user("").with(Image::bytes("image/png", bytes));
        let others = [
            Request::new("n", "ask"),
            Request::new("m", "asks"),
            plain.clone().with_system("s"),
            plain.clone().with_message(Message::assistant("a")),
            plain.clone().with_message(Message::user("a")),
            plain.clone().with_message(Message::results([call.result("r")])),
            plain.clone().with_message(Message::results([call.error("r")])),
            plain.clone().with_message(image(b"1")),
            plain.clone().with_message(image(b"2")),
            plain.clone().with_tool(tool.clone()),
            plain.clone().with_tool(tool).with_tool_choice(ToolChoice::Any),
            plain.clone().with_tool_choice(ToolChoice::None),
            plain.clone().with_tool_choice(ToolChoice::Tool("t".into())),
            plain.clone().with_max_tokens(9),
            plain.clone().with_stop_sequence("x"),
            plain.clone().with_output_schema(Arc::new(json!({}))),
            plain.clone().with_temperature(0.7),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(of(&plain), of(other), "{place}");
            assert!(others[..place].iter().all(|earlier| of(earlier) != of(other)), "{place}");
        }
        assert_eq!(canonical(&plain.with_temperature(0.7))["temperature"], json!(0.7));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same with the members of every object in the other order.
    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(members) => Value::Object(
                members.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect(),
            ),
            plain => plain.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_order_of_members_does_not_count_and_everything_else_does(
            one in any_json(), other in any_json(),
        ) {
            prop_assert_eq!(digest(&[&one]), digest(&[&reversed(&one)]));
            let read: Value = serde_json::from_str(&one.to_string()).unwrap();
            prop_assert_eq!(digest(&[&one]), digest(&[&read]));
            prop_assert_eq!(one == other, digest(&[&one]) == digest(&[&other]));
        }
    }
}
