//! What comes back from a model.

use super::{Arguments, Author, Message, Part, ToolCall};
use orchestrator_core::{
    error::Failure,
    id::ProviderName,
    usage::{Spend, TokenCount, Usage},
};

/// A piece of an answer, as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// The call goes to this account: one of several of the provider that was asked for. What was told
    /// of the call before concerns another account, which it has cost nothing.
    Account(ProviderName),
    /// The request goes out now; from here on it may cost something.
    Sent,
    /// The call waits, and for what.
    Waiting(String),
    /// Something that whoever pays should know: a budget is spent to a good part, one account
    /// refused and the call goes to another, another model is asked.
    Warning(String),
    /// This model is asked from now on.
    Asking {
        /// The provider.
        provider: ProviderName,
        /// The model.
        model: String,
    },
    /// What a model has used that failed, while another one is asked. It is part of the spending
    /// that the end of the call tells, too.
    Spent(Box<Spend>),
    /// All pieces of the answer so far do not count: it begins anew.
    StartOver,
    /// More of the answer.
    Text(String),
    /// More of the model's reasoning, which is not part of the answer.
    Reasoning(String),
    /// The model begins to call a tool.
    ToolCallStarted {
        /// Which call of the answer this is, from 0.
        index: usize,
        /// The id of the call.
        id: String,
        /// The name of the tool.
        name: String,
    },
    /// More of the arguments of a call: text, which is JSON when it is whole.
    ToolCallArguments {
        /// Which call of the answer this is, from 0.
        index: usize,
        /// The piece.
        text: String,
    },
    /// All that the answer has used so far, by the provider's own count. Replaces what was told
    /// before.
    Usage(Usage),
}

impl Delta {
    /// Whether it is a piece of the answer itself.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Reasoning(_)
            | Self::ToolCallStarted { .. }
            | Self::ToolCallArguments { .. } => true,
            Self::Account(_)
            | Self::Sent
            | Self::Waiting(_)
            | Self::Warning(_)
            | Self::Asking { .. }
            | Self::Spent(_)
            | Self::StartOver
            | Self::Usage(_) => false,
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The model was done, or reached a stop sequence.
    End,
    /// The model waits for the results of the tools that it calls.
    ToolCalls,
    /// The answer reached the most tokens that it may have; it is cut off.
    MaxTokens,
    /// The model, or a filter before or behind it, declined.
    Refused,
    /// The model tried to call a tool in a way that its provider could not read. Asking again
    /// usually helps.
    BadToolCall,
    /// Something else, by the provider's name for it.
    Other(String),
}

impl Stop {
    /// A stable name: `end`, `tool_calls`, `max_tokens`, `refused`, `bad_tool_call`, or the
    /// provider's own.
    pub fn as_str(&self) -> &str {
        match self {
            Self::End => "end",
            Self::ToolCalls => "tool_calls",
            Self::MaxTokens => "max_tokens",
            Self::Refused => "refused",
            Self::BadToolCall => "bad_tool_call",
            Self::Other(name) => name,
        }
    }

    /// The reason of that stable name.
    pub fn named(name: &str) -> Self {
        let known = [Self::End, Self::ToolCalls, Self::MaxTokens, Self::Refused, Self::BadToolCall];
        let found = known.into_iter().find(|known| known.as_str() == name);
        found.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

/// How many tokens a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The provider has counted, or its public encoding has.
    Exact(TokenCount),
    /// Neither is there: four bytes pass for a token.
    Estimate(TokenCount),
}

impl Counted {
    /// The number, however it was found.
    pub fn tokens(self) -> TokenCount {
        match self {
            Self::Exact(tokens) | Self::Estimate(tokens) => tokens,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) text: String,
    /// What to send back when the conversation goes on.
    pub(crate) message: Message,
    pub(crate) stop: Stop,
    /// `None` when the server did not count.
    pub(crate) usage: Option<Usage>,
    /// The model that answered, by the server's word.
    pub(crate) served_model: Option<String>,
}

impl Response {
    pub(crate) fn tool_calls(&self) -> Vec<ToolCall> {
        self.message.tool_calls().cloned().collect()
    }
}

/// A part of an answer under construction.
#[derive(Debug)]
pub(super) enum Piece {
    Whole(Part),
    /// A tool call whose arguments still arrive.
    Call {
        key: u64,
        id: String,
        name: String,
        arguments: String,
    },
}

impl Piece {
    fn into_part(self) -> Part {
        match self {
            Self::Whole(part) => part,
            Self::Call { id, name, arguments, .. } => {
                Part::ToolCall(ToolCall { id, name, arguments: Arguments::read(&arguments) })
            }
        }
    }
}

/// The message that `pieces` make.
pub(super) fn said(pieces: Vec<Piece>) -> Message {
    let parts = pieces.into_iter().map(Piece::into_part).collect();
    Message { author: Author::Assistant, parts }
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
