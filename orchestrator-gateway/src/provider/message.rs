//! What is said in a conversation, in words that no provider owns.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Author {
    /// The name of the role, the same in every protocol but Gemini's.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of the conversation. It can be stored and read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub author: Author,
    /// What is said, in order. The model says text, tool calls and what is opaque; the user says
    /// text, images and the results of tools. What a provider has no place for is left out.
    pub parts: Vec<Part>,
}

impl Message {
    /// Some text that the user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self { author: Author::User, parts: vec![Part::Text(text.into())] }
    }

    /// Some text that the model has said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { author: Author::Assistant, parts: vec![Part::Text(text.into())] }
    }

    /// What the tools gave that the model has called in its last turn: one result for each call.
    pub fn results(results: impl IntoIterator<Item = ToolResult>) -> Self {
        let parts = results.into_iter().map(Part::ToolResult).collect();
        Self { author: Author::User, parts }
    }

    /// The same with one more part at its end.
    #[must_use]
    pub fn with(mut self, part: impl Into<Part>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// All text of it, without anything between its parts.
    pub fn text(&self) -> String {
        let text =
            |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
        self.parts.iter().map(text).collect()
    }

    /// The tools that it calls, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Part {
    /// Text. Empty text is not sent.
    Text(String),
    /// A picture.
    Image(Image),
    /// The model wants a tool to be run.
    ToolCall(ToolCall),
    /// What a tool gave.
    ToolResult(ToolResult),
    /// What only the provider that made it can read.
    Opaque(Opaque),
}

impl From<Image> for Part {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<ToolResult> for Part {
    fn from(result: ToolResult) -> Self {
        Self::ToolResult(result)
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A picture that the model is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Image {
    /// The picture itself.
    Bytes {
        /// Its media type, such as `image/png`. What is taken is for the provider to say.
        media_type: String,
        /// The bytes of the file.
        #[serde(with = "as_base64")]
        bytes: Arc<[u8]>,
    },
    /// Where the provider finds it.
    Url(String),
}

impl Image {
    /// The picture in a file of `media_type`.
    pub fn bytes(media_type: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes { media_type: media_type.into(), bytes: bytes.into() }
    }

    /// A URL that holds it: its own, or one with the bytes in it.
    pub(crate) fn to_url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Bytes { media_type, bytes } => {
                format!("data:{media_type};base64,{}", BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// A tool that the model wants to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What its result is told apart by.
    pub id: String,
    /// The name of the tool. It may be none of those that were offered.
    pub name: String,
    /// What the tool is given.
    pub arguments: Arguments,
}

impl ToolCall {
    /// The result of this call.
    pub fn result(&self, text: impl Into<String>) -> ToolResult {
        let (call, tool) = (self.id.clone(), self.name.clone());
        ToolResult { call, tool, text: text.into(), is_error: false }
    }

    /// The result of this call when it did not work.
    pub fn error(&self, text: impl Into<String>) -> ToolResult {
        ToolResult { is_error: true, ..self.result(text) }
    }
}

/// What a model gives a tool. Nothing is checked against the tool's schema here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arguments {
    /// A JSON object. A model that wrote nothing at all means an empty one.
    Object(Value),
    /// What the model wrote is not a JSON object. Tell it so with [`ToolCall::error`].
    Malformed {
        /// What it wrote.
        text: String,
        /// What is wrong with that.
        error: String,
    },
}

impl Arguments {
    /// Reads what a model wrote.
    pub fn read(text: &str) -> Self {
        let error = match serde_json::from_str::<Value>(text.trim()) {
            Ok(object @ Value::Object(_)) => return Self::Object(object),
            Ok(_) => "it is JSON, but not an object".to_owned(),
            Err(_) if text.trim().is_empty() => {
                return Self::Object(Value::Object(Default::default()));
            }
            Err(error) => format!("it is not valid JSON ({error})"),
        };
        Self::Malformed { text: text.to_owned(), error }
    }

    /// What the model wrote, for protocols that take it as text.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Object(object) => object.to_string(),
            Self::Malformed { text, .. } => text.clone(),
        }
    }

    /// An object in every case, for protocols that take nothing else.
    pub(crate) fn to_object(&self) -> Value {
        match self {
            Self::Object(object) => object.clone(),
            Self::Malformed { text, .. } => serde_json::json!({ "malformed_arguments": text }),
        }
    }
}

/// What a tool gave. Pictures go beside it, as parts of the same message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The id of the call.
    pub call: String,
    /// The name of the tool.
    pub tool: String,
    /// What it gave; may be empty.
    pub text: String,
    /// Whether the tool failed. Where a protocol has no place for this, the text says it.
    pub is_error: bool,
}

impl ToolResult {
    /// The text, told apart from a good one where a protocol knows text only.
    pub(crate) fn plain(&self) -> String {
        if self.is_error { format!("error: {}", self.text) } else { self.text.clone() }
    }
}

/// What a provider wants back as it was, in its place, when the conversation goes on: its
/// reasoning, or its seal on the part before. Others are not sent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opaque {
    /// The protocol that it came in.
    pub protocol: WireFormat,
    /// Its form there.
    pub value: Value,
}

/// The protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WireFormat {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions.
    OpenaiChat,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Gemini `generateContent`.
    Gemini,
}

/// Bytes as base64 text, where they are stored.
mod as_base64 {
    use super::{Arc, BASE64_STANDARD, Engine};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map(Arc::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_an_object_or_are_said_to_be_none() {
        assert_eq!(Arguments::read(r#" {"a":1} "#), Arguments::Object(json!({ "a": 1 })));
        assert_eq!(Arguments::read(" "), Arguments::Object(json!({})));
        for (text, told) in
            [("{\"a\":", "not valid JSON"), ("[1]", "not an object"), ("{}{}", "not valid JSON")]
        {
            let Arguments::Malformed { text: kept, error } = Arguments::read(text) else {
                panic!("{text} was accepted");
            };
            assert_eq!(kept, text);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_message_is_stored_whole() {
        let call = ToolCall {
            id: "c1".into(),
            name: "look".into(),
            arguments: Arguments::Malformed { text: "{".into(), error: "e".into() },
        };
        let said =
            Message::assistant("Wait.").with(Part::ToolCall(call.clone())).with(Part::Opaque(
                Opaque { protocol: WireFormat::Gemini, value: json!({ "thoughtSignature": "s" }) },
            ));
        let shown = Message::results([call.result("3"), call.error("no")])
            .with(Image::bytes("image/png", [0_u8, 255, 7]))
            .with(Image::Url("https://h/x.png".into()));
        for message in [said, shown] {
            let stored = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<Message>(&stored).unwrap(), message, "{stored}");
        }
        assert_eq!(Message::user("a").with("b").text(), "ab");
    }
}
