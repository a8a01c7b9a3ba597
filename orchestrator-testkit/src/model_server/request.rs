//! What clients have asked.

use serde_json::Value;

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `POST …/messages`.
    Messages,
    /// `POST …/chat/completions`.
    Chat,
    /// `POST …/responses`.
    Responses,
    /// `POST …/models/MODEL:streamGenerateContent` and `:generateContent`.
    Gemini,
}

/// One recorded request.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The protocol that was asked.
    pub api: Api,
    /// The path, with what follows its `?`.
    pub path: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
}

impl ModelRequest {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The model that was asked for.
    pub fn model(&self) -> &str {
        match self.api {
            Api::Gemini => {
                let resource = self.path.rsplit('/').next().unwrap_or_default();
                resource.split(':').next().unwrap_or_default()
            }
            _ => self.body["model"].as_str().unwrap_or_default(),
        }
    }

    /// Whether only the number of tokens is asked for.
    pub fn wants_count(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        COUNTING.iter().any(|end| path.ends_with(end))
    }

    /// The system prompt, or nothing.
    pub fn system(&self) -> String {
        match self.api {
            Api::Messages => text(&self.body["system"]),
            Api::Chat => self.said_by("system").next().unwrap_or_default(),
            Api::Responses => text(&self.body["instructions"]),
            Api::Gemini => text(&self.body["systemInstruction"]["parts"]),
        }
    }

    /// What the user said last.
    pub fn last_user_message(&self) -> String {
        self.said_by("user").last().unwrap_or_default()
    }

    /// Whether a stream was asked for.
    pub fn wants_stream(&self) -> bool {
        match self.api {
            Api::Gemini => self.path.contains(":streamGenerateContent"),
            _ => self.body["stream"].as_bool().unwrap_or(false),
        }
    }

    fn said_by<'a>(&'a self, role: &'a str) -> impl Iterator<Item = String> + 'a {
        let (messages, content) = match self.api {
            Api::Messages | Api::Chat => ("messages", "content"),
            Api::Responses => ("input", "content"),
            Api::Gemini => ("contents", "parts"),
        };
        let messages = self.body[messages].as_array().into_iter().flatten();
        messages
            .filter(move |message| message["role"] == role)
            .map(move |message| text(&message[content]))
    }
}

/// How the paths end where tokens are counted.
pub(super) const COUNTING: [&str; 3] = ["/count_tokens", "/input_tokens", ":countTokens"];

/// Content as text: a string, or blocks of which some have text.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
