//! One exchange with a model, as a cassette holds it.

use super::{
    http::HttpResponse,
    request::{self, Digest},
};
use crate::{Completion, Counted, Delta, Message, Stop};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::Payer,
    time::Timestamp,
    usage::{Spend, TokenCount, Usage},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// An answer.
    Complete,
    /// How many tokens a request has.
    Count,
    /// An answer over HTTP, for a program that calls through the front.
    Http,
}

/// One exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Exchange {
    pub(crate) kind: Kind,
    /// The task that asked: its name, after the names of the tasks above it. It tells equal requests
    /// apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
    /// Which try of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    /// The account that was asked.
    pub(crate) account: ProviderName,
    pub(crate) model: String,
    pub(crate) request: Value,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Answer(Box<Answer>),
    Count(Count),
    Failure(Failed),
    Response(Box<HttpResponse>),
    Stopped(Box<Stopped>),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) message: Message,
    pub(crate) stop: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) served_model: Option<String>,
    pub(crate) spend: Spend,
    /// The pieces in which it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<Piece>,
}

/// A number of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Count {
    pub(crate) tokens: u64,
    pub(crate) exact: bool,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Failed {
    pub(crate) class: ErrorClass,
    pub(crate) message: String,
    /// How long after the end of the call another try made sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) spend: Vec<Spend>,
    /// The pieces that came before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<Piece>,
}

/// A call that had no end of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Stopped {
    pub(crate) by: StoppedBy,
    /// How long after the first call of its attempt; of a call of no attempt, after its own beginning.
    pub(crate) after_ms: u64,
    /// Whether it had gone out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sent: bool,
    /// The pieces of the answer that came before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<Piece>,
    /// What had passed of an answer over HTTP; nothing before its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response: Option<HttpResponse>,
}

/// Who stopped a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoppedBy {
    /// Whoever had made it: a program that hung up, an attempt that had to end.
    Caller,
    /// The provider: its answer broke off, or nothing more came of it.
    Provider,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Piece {
    Text(String),
    Reasoning(String),
    ToolCall { index: usize, id: String, name: String },
    Arguments { index: usize, text: String },
    Usage(Usage),
}

impl Piece {
    /// What `delta` is of the answer; nothing when it is about the call.
    pub(super) fn of(delta: &Delta) -> Option<Self> {
        Some(match delta {
            Delta::Text(text) => Self::Text(text.clone()),
            Delta::Reasoning(text) => Self::Reasoning(text.clone()),
            Delta::ToolCallStarted { index, id, name } => {
                Self::ToolCall { index: *index, id: id.clone(), name: name.clone() }
            }
            Delta::ToolCallArguments { index, text } => {
                Self::Arguments { index: *index, text: text.clone() }
            }
            Delta::Usage(usage) => Self::Usage(*usage),
            Delta::Account(_)
            | Delta::Asking { .. }
            | Delta::Sent
            | Delta::Spent(_)
            | Delta::StartOver
            | Delta::Waiting(_)
            | Delta::Warning(_) => return None,
        })
    }

    pub(super) fn to_delta(&self) -> Delta {
        match self {
            Self::Text(text) => Delta::Text(text.clone()),
            Self::Reasoning(text) => Delta::Reasoning(text.clone()),
            Self::ToolCall { index, id, name } => {
                Delta::ToolCallStarted { index: *index, id: id.clone(), name: name.clone() }
            }
            Self::Arguments { index, text } => {
                Delta::ToolCallArguments { index: *index, text: text.clone() }
            }
            Self::Usage(usage) => Delta::Usage(*usage),
        }
    }
}

/// Where a call was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) task: Option<String>,
    pub(crate) attempt: Option<u32>,
}

impl Exchange {
    /// What `payer` asked at `place`, and what came of it.
    pub(super) fn new(
        kind: Kind,
        payer: &Payer,
        place: Place,
        model: &str,
        request: Value,
        outcome: Outcome,
    ) -> Self {
        let Place { task, attempt } = place;
        let (account, model) = (payer.account.clone(), model.to_owned());
        Self { kind, task, attempt, account, model, request, outcome }
    }

    /// Whether whoever had made the call stopped it.
    pub(super) fn was_given_up(&self) -> bool {
        matches!(&self.outcome, Outcome::Stopped(stopped) if stopped.by == StoppedBy::Caller)
    }
}

/// What finds the exchange of `request`.
pub(super) fn digest(kind: Kind, account: &ProviderName, request: &Value) -> Digest {
    match kind {
        Kind::Complete | Kind::Count => request::digest(&[&json!([kind, account]), request]),
        // Which account that is called is for the front to say, not for who asks.
        Kind::Http => request::digest(&[&json!([kind]), request]),
    }
}

impl Answer {
    pub(super) fn of(completion: &Completion, pieces: Vec<Piece>) -> Self {
        Self {
            text: completion.text.clone(),
            message: completion.message.clone(),
            stop: completion.stop.as_str().to_owned(),
            usage: completion.usage,
            served_model: completion.served_model.clone(),
            spend: completion.spend.clone(),
            pieces,
        }
    }

    pub(super) fn to_completion(&self) -> Completion {
        Completion {
            text: self.text.clone(),
            tool_calls: self.message.tool_calls().cloned().collect(),
            message: self.message.clone(),
            stop: Stop::named(&self.stop),
            usage: self.usage,
            served_model: self.served_model.clone(),
            spend: self.spend.clone(),
        }
    }
}

impl Count {
    pub(super) fn of(counted: Counted) -> Self {
        Self { tokens: counted.tokens().0, exact: matches!(counted, Counted::Exact(_)) }
    }

    pub(super) fn to_counted(&self) -> Counted {
        let tokens = TokenCount(self.tokens);
        if self.exact { Counted::Exact(tokens) } else { Counted::Estimate(tokens) }
    }
}

impl Failed {
    pub(super) fn of(failure: &Failure, pieces: Vec<Piece>, now: Timestamp) -> Self {
        Self {
            class: failure.class,
            message: failure.message.clone(),
            retry_after_ms: failure.retry_at.map(|at| at.0.saturating_sub(now.0)),
            spend: failure.spend.clone(),
            pieces,
        }
    }

    pub(super) fn to_failure(&self, now: Timestamp) -> Failure {
        let failure = Failure::new(self.class, self.message.clone()).spent(self.spend.clone());
        match self.retry_after_ms {
            Some(ms) => failure.retry_at(now.after(Duration::from_millis(ms))),
            None => failure,
        }
    }
}
