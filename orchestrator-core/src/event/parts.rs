//! What events are made of: turns, questions and answers, values in the log or beside it.

use crate::{
    id::{
        AgentName, AttemptNumber, BlobId, CacheKey, MessageNumber, QuestionNumber, RunId, TaskName,
        TurnNumber,
    },
    permission::{Action, PermissionRule},
    port::{Call, Feedback, Steer},
    time::Timestamp,
    usage::Spend,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A turn of an attempt: one model call, tool call or question, with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Turn {
    /// Its place in the attempt's journal, from 1.
    pub number: TurnNumber,
    /// What kind of call it was, such as `model` or `tool`.
    pub kind: String,
    /// Who or what was called, for people: a model, a tool.
    pub name: String,
    /// A digest of what was sent; the same call gives the same digest.
    pub input: String,
    /// What came back.
    pub output: Content,
    /// What it spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spend: Vec<Spend>,
}

/// Why a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskKind {
    /// The task is an approval.
    Approval,
    /// The agent at work has a question.
    Question,
    /// The agent at work wants to do something that its rules do not allow by themselves.
    Permission,
    /// The attempt failed with something that only a person can mend; yes tries again.
    Failure,
    /// Nobody knows whether an attempt that must not be repeated has happened; yes does it again,
    /// an answer is taken for its result.
    Outcome,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ask {
    /// Why.
    pub kind: AskKind,
    /// What, in words.
    pub message: String,
    /// When it is too late to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Which turn of the attempt under way asks, for a question of records before version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnNumber>,
    /// What tells it from all else that attempts of the task ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionNumber>,
    /// What the agent wants to do, for a permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Box<Action>>,
}

impl Ask {
    /// What is asked about the task itself, for as long as it takes.
    pub fn new(kind: AskKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, expires: None, turn: None, question: None, action: None }
    }

    /// The same, until `expires`.
    #[must_use]
    pub fn until(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// Whether an attempt asks, and waits for the answer.
    pub fn is_of_attempt(&self) -> bool {
        match self.kind {
            AskKind::Question | AskKind::Permission => true,
            AskKind::Approval | AskKind::Failure | AskKind::Outcome => false,
        }
    }

    /// The turn that it is once it is answered.
    pub fn call(&self) -> Call {
        match &self.action {
            Some(action) => action.call(),
            None => Call::new("person", "ask", &self.message),
        }
    }
}

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reply {
    /// Yes, no, or something else.
    pub verdict: Verdict,
    /// Who.
    pub by: String,
    /// To which of the things that the task asks; to the only one when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionNumber>,
    /// Whether a yes to a permission holds for the rest of the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
}

impl Reply {
    /// What `by` says to the only thing that a task asks.
    pub fn new(verdict: Verdict, by: impl Into<String>) -> Self {
        Self { verdict, by: by.into(), question: None, always: false }
    }

    /// The same to what has that number.
    #[must_use]
    pub fn to(mut self, question: Option<QuestionNumber>) -> Self {
        self.question = question;
        self
    }

    /// The same for the rest of the run.
    #[must_use]
    pub fn for_good(mut self) -> Self {
        self.always = true;
        self
    }
}

/// A message that a person sends to the agent at work on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Message {
    /// Its place among the messages of the task, from 1.
    pub number: MessageNumber,
    /// What is said; an interruption may say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether the agent leaves off what it is doing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupts: bool,
}

impl Message {
    /// What the agent is given.
    pub fn steer(&self) -> Steer {
        let (number, text) = (self.number, self.text.clone());
        match self.interrupts {
            true => Steer::Interrupt { number, text },
            false => Steer::Say { number, text: text.unwrap_or_default() },
        }
    }
}

/// A message, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// The message.
    pub message: Message,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The attempt that has it.
    pub delivered: Option<AttemptNumber>,
}

/// What a person has allowed an agent for the rest of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The agent.
    pub agent: AgentName,
    /// What it may do.
    pub rule: PermissionRule,
    /// The task that asked.
    pub task: TaskName,
    /// Who allowed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Yes, no, or something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Yes.
    Approved,
    /// No, and why.
    Rejected(String),
    /// An answer in words.
    Answered(String),
    /// Nobody has said anything in time.
    Expired,
}

/// Where a result was made that was taken from the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CacheHit {
    /// The key.
    pub key: CacheKey,
    /// The run that made it.
    pub run: RunId,
    /// The task of that run.
    pub task: TaskName,
    /// When it was made.
    pub at: Timestamp,
}

/// When and with whom a task is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NextAttempt {
    /// The earliest instant.
    pub at: Timestamp,
    /// The place of the agent in the task's binding.
    pub agent: usize,
    /// What it is told about the one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// Whether it must make do with a shorter prompt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compact: bool,
    /// Whether it begins anew rather than going on with the journal of the one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
}

/// Why a task did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum SkipReason {
    /// A task that it needs did not succeed.
    Needs {
        /// That task.
        task: TaskName,
    },
    /// Its `when` is false.
    When,
    /// The run undoes what was done.
    Compensating,
    /// The run took too long.
    TimedOut,
}

/// A value in the log, or where it lies when it is large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// The value itself.
    Inline(Value),
    /// JSON in a blob.
    Blob {
        /// Its id.
        id: BlobId,
        /// Its length.
        bytes: u64,
    },
}

impl Content {
    /// The largest JSON text that is kept in the log itself, in bytes.
    pub const INLINE_LIMIT: usize = 32 * 1024;

    /// The deepest nesting of a value in the log. Readers of JSON bound their recursion (serde_json
    /// at 128 levels, the event around the value included), and what is written must be readable.
    pub const MAX_DEPTH: usize = 64;

    /// Whether `value` is shallow enough to be kept.
    pub fn admits(value: &Value) -> bool {
        fn within(value: &Value, left: usize) -> bool {
            match value {
                Value::Array(items) => left > 0 && items.iter().all(|v| within(v, left - 1)),
                Value::Object(map) => left > 0 && map.values().all(|v| within(v, left - 1)),
                _ => true,
            }
        }
        within(value, Self::MAX_DEPTH)
    }

    /// The value, when it is in the log.
    pub fn inline(&self) -> Option<&Value> {
        match self {
            Self::Inline(value) => Some(value),
            Self::Blob { .. } => None,
        }
    }

    /// The blob that holds it, when it is not.
    pub fn blob(&self) -> Option<&BlobId> {
        match self {
            Self::Inline(_) => None,
            Self::Blob { id, .. } => Some(id),
        }
    }
}

/// A file that an attempt made, kept as a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ArtifactRef {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Where its bytes are.
    pub blob: BlobId,
    /// How many they are.
    pub bytes: u64,
}
