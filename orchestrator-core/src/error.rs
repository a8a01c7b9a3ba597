//! Error classes: what kind of failure it is, and what is done about it by default.

use crate::{time::Timestamp, usage::Spend};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The class of a failure. Adapters map their world onto it; policy decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// A reset, a 500, 502, 503 or 504, a stream cut in the middle.
    Transient,
    /// The provider says that it is overloaded (529).
    Overloaded,
    /// Too many requests (429), often with a reset time.
    RateLimited,
    /// A subscription window is used up.
    QuotaExhausted,
    /// Credit is exhausted.
    Billing,
    /// 401 or 403.
    Auth,
    /// The prompt does not fit the model's context.
    ContextOverflow,
    /// The request itself is wrong (400).
    InvalidRequest,
    /// The model declines.
    Refused,
    /// The answer does not fit the output schema.
    BadOutput,
    /// A tool or a program failed.
    ToolFailed,
    /// A check did not pass.
    CheckFailed,
    /// The same turn again and again, or cost without change.
    NoProgress,
    /// A reservation was refused.
    OverBudget,
    /// Past the time limit.
    TimedOut,
    /// The agent's process or the engine that drove it died.
    Crashed,
    /// A program printed what its adapter does not know.
    Incompatible,
    /// An action outside the sandbox or the policy.
    Unsafe,
    /// A person or a parent stopped it.
    Cancelled,
    /// A bug.
    Internal,
}

/// What is done about a failure unless the task says otherwise. How each is bounded is told by
/// [`policy::decide`](fn@crate::policy::decide).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Try again after a backoff, then use the next agent.
    Retry,
    /// Try again after a longer backoff, then use the next agent.
    RetrySlowly,
    /// Wait for the reset time, or use the next agent when that is far.
    Wait,
    /// Use the next agent; when there is none, wait for the reset time, however far it is.
    Park,
    /// Use the next agent; when there is none, ask a person.
    FailOver,
    /// Try again once with a shorter prompt, then use the next agent.
    Compact,
    /// Try again, telling the agent what was wrong.
    Repair,
    /// Start a new attempt at once; the work was cut off through no fault of its own.
    Restart,
    /// Ask a person.
    Ask,
    /// Give up on the task.
    Fail,
    /// Nothing: the end was asked for.
    None,
}

impl ErrorClass {
    /// Every class, in the order of the architecture's table.
    pub const ALL: [Self; 20] = [
        Self::Transient,
        Self::Overloaded,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Billing,
        Self::Auth,
        Self::ContextOverflow,
        Self::InvalidRequest,
        Self::Refused,
        Self::BadOutput,
        Self::ToolFailed,
        Self::CheckFailed,
        Self::NoProgress,
        Self::OverBudget,
        Self::TimedOut,
        Self::Crashed,
        Self::Incompatible,
        Self::Unsafe,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The stable name, as in the log and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Billing => "billing",
            Self::Auth => "auth",
            Self::ContextOverflow => "context_overflow",
            Self::InvalidRequest => "invalid_request",
            Self::Refused => "refused",
            Self::BadOutput => "bad_output",
            Self::ToolFailed => "tool_failed",
            Self::CheckFailed => "check_failed",
            Self::NoProgress => "no_progress",
            Self::OverBudget => "over_budget",
            Self::TimedOut => "timed_out",
            Self::Crashed => "crashed",
            Self::Incompatible => "incompatible",
            Self::Unsafe => "unsafe",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// The class with that stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The default remedy.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Transient | Self::TimedOut => Remedy::Retry,
            Self::Overloaded => Remedy::RetrySlowly,
            Self::RateLimited => Remedy::Wait,
            Self::QuotaExhausted => Remedy::Park,
            Self::Billing => Remedy::FailOver,
            Self::ContextOverflow => Remedy::Compact,
            Self::BadOutput | Self::ToolFailed | Self::CheckFailed => Remedy::Repair,
            Self::Crashed => Remedy::Restart,
            Self::Auth | Self::NoProgress | Self::OverBudget => Remedy::Ask,
            Self::InvalidRequest
            | Self::Refused
            | Self::Incompatible
            | Self::Unsafe
            | Self::Internal => Remedy::Fail,
            Self::Cancelled => Remedy::None,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an attempt ended without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[error("{message}")]
pub struct Failure {
    /// The class.
    pub class: ErrorClass,
    /// What was attempted, on what, and what can be done: a lower-case fragment without a secret.
    pub message: String,
    /// When it is worth trying again, when the other side said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// What was spent before it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spend: Vec<Spend>,
}

impl Failure {
    /// A failure of `class` with `message`.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_at: None, spend: Vec::new() }
    }

    /// The same with the time from which another try makes sense.
    #[must_use]
    pub fn retry_at(mut self, at: Timestamp) -> Self {
        self.retry_at = Some(at);
        self
    }

    /// The same with what was spent before it failed.
    #[must_use]
    pub fn spent(mut self, spend: Vec<Spend>) -> Self {
        self.spend = spend;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_one_stable_name() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::from_name(class.as_str()), Some(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }
}
