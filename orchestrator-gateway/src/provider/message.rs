//! Requests and answers, in words that no provider owns.

use orchestrator_core::{error::Failure, usage::Usage};
use serde_json::Value;
use std::sync::Arc;

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The model, by the provider's own name for it.
    pub model: String,
    /// What it is told before the conversation.
    pub system: Option<String>,
    /// The conversation, oldest first; it starts and ends with the user.
    pub messages: Vec<Message>,
    /// The most tokens that the answer may have. Default: the provider's, or 32,000 where the
    /// protocol demands a number.
    pub max_tokens: Option<u32>,
    /// The JSON Schema that the answer should fit, for providers that can be held to one. Others
    /// do not see it: say it in the conversation, too.
    pub output_schema: Option<Arc<Value>>,
    /// How freely it draws, 0 to 2. Default: the model's.
    pub temperature: Option<f32>,
}

impl Request {
    /// One question to `model`.
    pub fn new(model: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            system: None,
            messages: vec![Message::user(prompt)],
            max_tokens: None,
            output_schema: None,
            temperature: None,
        }
    }

    /// The same with a system prompt.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// The same with a bound on the answer.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// The same with a schema for the answer.
    #[must_use]
    pub fn with_output_schema(mut self, schema: Arc<Value>) -> Self {
        self.output_schema = Some(schema);
        self
    }

    /// The same at another temperature.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Roughly how many tokens the prompt has, at four bytes each; at least 1.
    pub(crate) fn estimated_tokens(&self) -> u32 {
        let text = self.messages.iter().map(|message| message.text.len());
        let bytes: usize = text.sum::<usize>() + self.system.as_ref().map_or(0, String::len);
        u32::try_from(bytes / 4 + 1).unwrap_or(u32::MAX)
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Author {
    /// The name of the role, the same in every protocol.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub author: Author,
    /// What is said; not empty.
    pub text: String,
}

impl Message {
    /// Something that the user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self { author: Author::User, text: text.into() }
    }

    /// Something that the model has said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { author: Author::Assistant, text: text.into() }
    }
}

/// A piece of an answer, as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// The request goes out now; from here on it may cost something.
    Sent,
    /// The call waits, and for what.
    Waiting(String),
    /// A budget is spent to a good part.
    Warning(String),
    /// More of the answer.
    Text(String),
    /// More of the model's reasoning, which is not part of the answer.
    Reasoning(String),
    /// All that the answer has used so far, by the provider's own count. Replaces what was told
    /// before.
    Usage(Usage),
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The model was done.
    End,
    /// The answer reached the most tokens that it may have; it is cut off.
    MaxTokens,
    /// The model, or a filter behind it, declined.
    Refused,
    /// Something else, by the provider's name for it.
    Other(String),
}

impl Stop {
    /// A stable name: `end`, `max_tokens`, `refused`, or the provider's own.
    pub fn as_str(&self) -> &str {
        match self {
            Self::End => "end",
            Self::MaxTokens => "max_tokens",
            Self::Refused => "refused",
            Self::Other(name) => name,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) text: String,
    pub(crate) stop: Stop,
    /// `None` when the server did not count.
    pub(crate) usage: Option<Usage>,
    /// The model that answered, by the server's word.
    pub(crate) served_model: Option<String>,
}

/// A call that did not give a whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallFailure {
    pub(crate) failure: Failure,
    /// What was used by then: `None` before the server began to answer.
    pub(crate) used: Option<Used>,
    /// Whether it may cost something, where nobody says what was used.
    pub(crate) billing: Billing,
}

/// Whether a call that failed may cost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Billing {
    /// It was not made, or the server refused it.
    None,
    /// The server had it, and may have worked on it.
    Possible,
}

/// What a broken call has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) usage: Usage,
    /// Whether that is the provider's last word on it.
    pub(crate) is_final: bool,
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, used: None, billing: Billing::None }
    }
}
