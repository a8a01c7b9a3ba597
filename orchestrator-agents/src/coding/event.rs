//! What coding CLIs say, in words that are the same for all of them.

pub use orchestrator_core::permission::{Action, ActionKind};
use orchestrator_core::{error::Failure, money::MicroUsd, usage::Usage};
use serde_json::Value;
use std::time::Duration;

/// Something that a program said.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It has said the name of its session.
    Session {
        /// Its own name for the session, which resumes it.
        id: String,
        /// The model, when it says so.
        model: Option<String>,
        /// The program's version, when it says so.
        version: Option<String>,
    },
    /// A piece of a message, as it comes; the whole follows in a [`Event::Message`].
    Delta(String),
    /// Something that the model thought.
    Thought(String),
    /// The model said this, whole. One answer of a model may come as several messages.
    Message {
        /// The text.
        text: String,
        /// The model, when it is said.
        model: Option<String>,
    },
    /// A tool begins.
    ToolStarted {
        /// The call's own name.
        id: String,
        /// What is to be done.
        action: Action,
        /// What the tool is given, as the program says it.
        input: Value,
    },
    /// A tool has ended.
    ToolEnded {
        /// The call's own name.
        id: String,
        /// How.
        result: ToolResult,
    },
    /// It asks whether it may do something, and waits for [`Dialogue::answer`](super::Dialogue::answer).
    Permission {
        /// The request.
        id: RequestId,
        /// What it wants to do.
        action: Action,
        /// What the tool would be given.
        input: Value,
    },
    /// It does not wait for an answer to that request any more.
    Withdrawn {
        /// The request.
        id: RequestId,
    },
    /// A call of a model failed and is made again.
    Retrying(Retry),
    /// Tokens and money were used.
    Used(Counted),
    /// A remark for people: a warning, a state. Never a failure.
    Notice(String),
    /// A kind of event that the adapter does not know. It is counted and shown, and nothing more.
    Unknown {
        /// Its name, such as `system/turn_snapshot`.
        kind: String,
    },
    /// A line that cannot be read.
    Garbage {
        /// Its beginning.
        line: String,
    },
    /// One piece of work is over: the terminal event of the stream.
    Ended(Ended),
}

/// A request of a program, as it names it: text or a number, given back as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestId(pub Value);

/// Whether an action may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not, for this reason, which the program is told.
    Deny(String),
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// How.
    pub outcome: Outcome,
    /// What it left, as the program says it.
    pub output: Value,
}

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// With an error, which the model was told.
    Failed,
    /// It was not allowed, which the model was told.
    Denied,
}

/// A call that is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Which try failed, from 1, when it is said.
    pub attempt: Option<u32>,
    /// The HTTP status, when there was one.
    pub status: Option<u16>,
    /// How long it waits before the next, when it is said.
    pub wait: Option<Duration>,
    /// What it says of it.
    pub message: String,
}

/// What was used, as a program counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Since when it counts.
    pub scope: Scope,
    /// By model; a program that does not name the model has one line without a name.
    pub models: Vec<ModelUsage>,
}

/// Since when a program counts what it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This is to be added to what was said before.
    Since,
    /// All of this process so far: the last one counts.
    Process,
    /// All of the session so far, through every resumption: what earlier processes used is in it.
    Session,
    /// All of the session and of those that it was forked from.
    Lineage,
}

/// What one model used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUsage {
    /// The model; none when the program does not say.
    pub model: Option<String>,
    /// How many requests, when it is said.
    pub requests: Option<u32>,
    /// Tokens.
    pub usage: Usage,
    /// What the program says that it cost. It is computed from list prices, also where a
    /// subscription pays.
    pub cost: Option<MicroUsd>,
}

/// The end of one piece of work, as the program says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// What it left, or why it failed. Whether the exit code agrees is judged afterwards.
    pub result: Result<Finish, Failure>,
}

/// What was left by work that ended well.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finish {
    /// The last thing that was said.
    pub text: Option<String>,
    /// The answer that fits the output schema, where the program can be asked for one.
    pub structured: Option<Value>,
    /// Actions that were not allowed, in words.
    pub denied: Vec<String>,
}
