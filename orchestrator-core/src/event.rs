//! What happened in a run: the records that its log is made of.
//!
//! An event is a fact; it is never changed and never removed. Fields may be added with a default;
//! anything else is a new [`VERSION`] with a reader for the old one.

use crate::{
    agent::AgentSpec,
    error::Failure,
    id::{AgentName, AttemptNumber, BlobId, Epoch, ProjectId, RunId, Sequence, TaskName, TenantId},
    money::MicroUsd,
    port::{Feedback, LogLine},
    run::RunStatus,
    task::Binding,
    time::Timestamp,
    usage::Spend,
    workflow::Workflow,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};

/// The version of the records that this build writes.
pub const VERSION: u32 = 1;

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its place, from 1, without gaps.
    pub seq: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The run exists. Always the first event of a log.
    RunCreated(Box<RunCreated>),
    /// An agent was given the task.
    AttemptStarted {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The fencing token that the attempt's writes must name.
        epoch: Epoch,
        /// Who works on it.
        agent: AgentName,
    },
    /// The attempt had something to say.
    AttemptLogged {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// What it said.
        lines: Vec<LogLine>,
        /// Lines that were not kept because the attempt said too much.
        #[serde(default)]
        dropped: u64,
    },
    /// The attempt's answer was accepted; the task has succeeded.
    AttemptSucceeded {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Its output.
        output: Content,
        /// What it spent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spend: Vec<Spend>,
        /// Files that it made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<ArtifactRef>,
    },
    /// The attempt failed. Without `next` the task has failed with it.
    AttemptFailed {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Why.
        failure: Failure,
        /// When and with whom it is tried again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<NextAttempt>,
    },
    /// The task will not run.
    TaskSkipped {
        /// The task.
        task: TaskName,
        /// Why not.
        reason: SkipReason,
    },
    /// The task was stopped before it ended, or before it began.
    TaskCancelled {
        /// The task.
        task: TaskName,
    },
    /// The task could not be judged or started; no attempt was made.
    TaskFailed {
        /// The task.
        task: TaskName,
        /// Why.
        failure: Failure,
    },
    /// A judgement sent work back.
    RevisionRequested {
        /// The task that judged.
        by: TaskName,
        /// Which revision that it asks for, from 1.
        number: u32,
        /// What to do differently.
        feedback: Feedback,
        /// The tasks that are open again: the target first, the judging one last.
        reopened: Vec<TaskName>,
    },
    /// Somebody asked for the run to stop.
    CancelRequested {
        /// Who or why.
        reason: String,
    },
    /// Another process took the run up after its driver had died.
    RunRecovered {
        /// The epoch of the new driver's lease.
        lease: Epoch,
    },
    /// The run is over. Always the last event of a log, unless work is reopened.
    RunEnded {
        /// How it ended.
        status: RunStatus,
    },
}

/// With what a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunCreated {
    /// Its id.
    pub run: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The project's directory.
    pub directory: PathBuf,
    /// The definition, pinned: changing the file does not change the run.
    pub workflow: Arc<Workflow>,
    /// Where the definition came from: a file, or `template:NAME`.
    pub source: String,
    /// The inputs: an object.
    pub inputs: Arc<Value>,
    /// Who may do what, best first.
    pub bindings: Vec<Binding>,
    /// The agents that the bindings name, as they were.
    pub agents: Vec<AgentSpec>,
    /// The most that it may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<MicroUsd>,
    /// The most attempts at once.
    pub max_parallel: u32,
    /// The run that started it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
}

/// When and with whom a task is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NextAttempt {
    /// The earliest instant.
    pub at: Timestamp,
    /// The place of the agent in the task's binding.
    pub agent: usize,
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

impl Event {
    /// The stable names of every kind.
    pub const KINDS: [&str; 12] = [
        "run-created",
        "attempt-started",
        "attempt-logged",
        "attempt-succeeded",
        "attempt-failed",
        "task-skipped",
        "task-cancelled",
        "task-failed",
        "revision-requested",
        "cancel-requested",
        "run-recovered",
        "run-ended",
    ];

    /// The stable name of its kind, as in the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated(_) => "run-created",
            Self::AttemptStarted { .. } => "attempt-started",
            Self::AttemptLogged { .. } => "attempt-logged",
            Self::AttemptSucceeded { .. } => "attempt-succeeded",
            Self::AttemptFailed { .. } => "attempt-failed",
            Self::TaskSkipped { .. } => "task-skipped",
            Self::TaskCancelled { .. } => "task-cancelled",
            Self::TaskFailed { .. } => "task-failed",
            Self::RevisionRequested { .. } => "revision-requested",
            Self::CancelRequested { .. } => "cancel-requested",
            Self::RunRecovered { .. } => "run-recovered",
            Self::RunEnded { .. } => "run-ended",
        }
    }

    /// The task that it is about, if it is about one.
    pub fn task(&self) -> Option<&TaskName> {
        match self {
            Self::AttemptStarted { task, .. }
            | Self::AttemptLogged { task, .. }
            | Self::AttemptSucceeded { task, .. }
            | Self::AttemptFailed { task, .. }
            | Self::TaskSkipped { task, .. }
            | Self::TaskCancelled { task }
            | Self::TaskFailed { task, .. }
            | Self::RevisionRequested { by: task, .. } => Some(task),
            Self::RunCreated(_)
            | Self::CancelRequested { .. }
            | Self::RunRecovered { .. }
            | Self::RunEnded { .. } => None,
        }
    }

    /// The blobs that it refers to.
    pub fn blobs(&self) -> Vec<&BlobId> {
        match self {
            Self::AttemptSucceeded { output, artifacts, .. } => {
                let output = match output {
                    Content::Blob { id, .. } => Some(id),
                    Content::Inline(_) => None,
                };
                output.into_iter().chain(artifacts.iter().map(|a| &a.blob)).collect()
            }
            _ => Vec::new(),
        }
    }
}
