//! What keeps a run from being started, resumed or driven.

use crate::{
    id::{AgentName, RunId, TaskName},
    port::StoreError,
    run::{ReplayError, RunStatus},
    workflow::Problem,
};

/// A run that could not be started, resumed or driven to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The definition is wrong.
    #[error("the workflow has {} problem(s), the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<Problem>),
    /// Nobody can do a task.
    #[error(
        "the task `{task}` asks for the agent `{wanted}`, which is neither an agent nor a role here"
    )]
    UnknownAgent {
        /// The task.
        task: TaskName,
        /// The name or role that it asks for.
        wanted: String,
        /// Who it may have meant.
        suggestion: Option<String>,
    },
    /// A run in the store asks for an agent that this engine does not have.
    #[error("run `{run}` needs the agent `{agent}`, which is not set up any more")]
    MissingAgent {
        /// The run.
        run: RunId,
        /// The agent.
        agent: AgentName,
    },
    /// The run is over.
    #[error("run `{run}` has ended: {status}")]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        status: RunStatus,
    },
    /// The store refused or failed. What was acknowledged is safe; the run can be resumed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log of the run does not make sense.
    #[error("cannot replay run `{run}`")]
    Replay {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        source: ReplayError,
    },
    /// The engine failed in a way that it should not.
    #[error("internal error: {0}")]
    Internal(String),
}
