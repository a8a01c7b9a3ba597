//! What clients have asked.

use serde_json::Value;

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `POST …/messages`.
    Messages,
    /// `POST …/chat/completions`.
    Chat,
}

/// One recorded request.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The protocol that was asked.
    pub api: Api,
    /// The path.
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
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The system prompt, or nothing.
    pub fn system(&self) -> String {
        match self.api {
            Api::Messages => text(&self.body["system"]),
            Api::Chat => self.said_by("system").next().unwrap_or_default(),
        }
    }

    /// What the user said last.
    pub fn last_user_message(&self) -> String {
        self.said_by("user").last().unwrap_or_default()
    }

    /// Whether a stream was asked for.
    pub fn wants_stream(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or(false)
    }

    fn said_by<'a>(&'a self, role: &'a str) -> impl Iterator<Item = String> + 'a {
        let messages = self.body["messages"].as_array().into_iter().flatten();
        messages
            .filter(move |message| message["role"] == role)
            .map(|message| text(&message["content"]))
    }
}

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
