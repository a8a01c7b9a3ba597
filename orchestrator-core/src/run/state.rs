//! What a run knows of each of its tasks.

use crate::{
    error::Failure,
    event::Content,
    id::{AgentName, AttemptNumber, Epoch, Sequence},
    port::Feedback,
    task::{TaskSpec, TaskStatus},
    time::Timestamp,
    usage::{Cost, Usage},
};

/// One task of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskState {
    pub(super) status: TaskStatus,
    /// Needs that have not ended.
    pub(super) unmet: u32,
    /// Attempts started, over all revisions.
    pub(super) attempts: u32,
    /// Failed attempts since the last revision or change of agent.
    pub(super) failures: u32,
    /// Attempts that the engine's own end cut off.
    pub(super) interruptions: u32,
    /// The place of the agent in the task's binding.
    pub(super) agent: usize,
    /// The attempt under way.
    pub(super) current: Option<Current>,
    /// When the next attempt is due, between two.
    pub(super) due: Option<Timestamp>,
    /// Revisions that this task has asked for.
    pub(super) revisions: u32,
    pub(super) feedback: Vec<Feedback>,
    pub(super) output: Option<Content>,
    pub(super) error: Option<Failure>,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
    pub(super) last_agent: Option<AgentName>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
}

/// An attempt under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Current {
    pub(super) attempt: AttemptNumber,
    pub(super) epoch: Epoch,
    pub(super) agent: AgentName,
    pub(super) started_at: Timestamp,
}

impl TaskState {
    pub(super) fn new(unmet: u32) -> Self {
        Self {
            status: TaskStatus::Pending,
            unmet,
            attempts: 0,
            failures: 0,
            interruptions: 0,
            agent: 0,
            current: None,
            due: None,
            revisions: 0,
            feedback: Vec::new(),
            output: None,
            error: None,
            usage: Usage::default(),
            cost: Cost::default(),
            last_agent: None,
            started_at: None,
            ended_at: None,
        }
    }
}

/// A task as others may see it.
#[derive(Debug, Clone, Copy)]
pub struct TaskView<'r> {
    pub(super) spec: &'r TaskSpec,
    pub(super) state: &'r TaskState,
}

impl<'r> TaskView<'r> {
    /// What it asks for.
    pub fn spec(&self) -> &'r TaskSpec {
        self.spec
    }

    /// Where it stands.
    pub fn status(&self) -> TaskStatus {
        self.state.status
    }

    /// What it left.
    pub fn output(&self) -> Option<&'r Content> {
        self.state.output.as_ref()
    }

    /// Why it failed, or why its last attempt did.
    pub fn error(&self) -> Option<&'r Failure> {
        self.state.error.as_ref()
    }

    /// How many attempts were started.
    pub fn attempts(&self) -> u32 {
        self.state.attempts
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        self.state.cost
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        self.state.usage
    }

    /// Why earlier work was sent back, oldest first.
    pub fn feedback(&self) -> &'r [Feedback] {
        &self.state.feedback
    }
}

/// Events that are not the log of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There are none.
    #[error("the log is empty")]
    Empty,
    /// The first does not create a run.
    #[error("the log does not begin with the creation of a run")]
    NoCreation,
    /// One is missing or out of order.
    #[error("event {found} of the log stands where {expected} must be")]
    Gap {
        /// The number that must come.
        expected: Sequence,
        /// The number that came.
        found: Sequence,
    },
    /// One cannot follow from those before it.
    #[error("event {seq} of the log cannot follow from those before it: {reason}")]
    Mismatch {
        /// Its number.
        seq: Sequence,
        /// Why not.
        reason: String,
    },
}
