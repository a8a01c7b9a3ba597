//! What the starter of a run holds, and what it gets in the end.

use super::{EngineError, Shared, registry::Listener};
use crate::{
    error::Failure,
    event::{Content, Reply},
    id::{RunId, TaskName},
    port::Signal,
    run::{Run, RunStatus},
    task::TaskStatus,
    usage::{Cost, Usage},
};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

/// A run that this engine has. Dropping it does not stop the run.
pub struct RunHandle {
    id: RunId,
    shared: Arc<Shared>,
    listener: Listener,
}

impl std::fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RunHandle {
    pub(super) fn new(id: RunId, shared: Arc<Shared>, listener: Listener) -> Self {
        Self { id, shared, listener }
    }

    /// The run's id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Where the run stands, now and whenever that changes: `waiting` and `paused` too, when it
    /// needs somebody's word to go on.
    pub fn status(&self) -> watch::Receiver<RunStatus> {
        self.listener.status.clone()
    }

    /// Puts a signal into the run's inbox; it is durable when this returns, and acted on soon after.
    ///
    /// # Errors
    /// The store failed.
    pub async fn signal(&self, signal: Signal) -> Result<(), EngineError> {
        Ok(self.shared.signal(&self.id, signal).await?)
    }

    /// Asks the run to stop, and its children; [`RunHandle::wait`] tells when it has.
    ///
    /// # Errors
    /// The store failed.
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<(), EngineError> {
        self.signal(Signal::Cancel { reason: reason.into() }).await
    }

    /// Asks the run to start nothing more; what runs finishes, or stops at its next turn when it is
    /// to be paused `now`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn pause(&self, now: bool) -> Result<(), EngineError> {
        self.signal(Signal::Pause { now }).await
    }

    /// Asks the run to go on after a pause.
    ///
    /// # Errors
    /// The store failed.
    pub async fn resume(&self) -> Result<(), EngineError> {
        self.signal(Signal::Resume {}).await
    }

    /// Says what a person says to what `task` asks.
    ///
    /// # Errors
    /// The store failed.
    pub async fn reply(&self, task: TaskName, reply: Reply) -> Result<(), EngineError> {
        self.signal(Signal::Reply { task, reply }).await
    }

    /// Asks for one task to stop; it ends as cancelled.
    ///
    /// # Errors
    /// The store failed.
    pub async fn kill(&self, task: TaskName, reason: impl Into<String>) -> Result<(), EngineError> {
        self.signal(Signal::Kill { task, reason: reason.into() }).await
    }

    /// Says something to the agent at work on `task`.
    ///
    /// # Errors
    /// The store failed. Whether the task takes messages is told in the log: see
    /// [`Run::refuses_message`](crate::run::Run::refuses_message).
    pub async fn send(&self, task: TaskName, text: impl Into<String>) -> Result<(), EngineError> {
        self.signal(Signal::Say { task, text: text.into() }).await
    }

    /// Lets the agent at work on `task` leave off what it is doing, and go on with `text`.
    ///
    /// # Errors
    /// As for [`RunHandle::send`].
    pub async fn interrupt(&self, task: TaskName, text: Option<String>) -> Result<(), EngineError> {
        self.signal(Signal::Interrupt { task, text }).await
    }

    /// Waits until the run has ended, or the engine was interrupted.
    ///
    /// # Errors
    /// The store failed, or somebody else took the run over; it can be resumed.
    pub async fn wait(self) -> Result<RunReport, EngineError> {
        match self.listener.outcome.await {
            Ok(outcome) => outcome,
            Err(_) => Err(EngineError::Internal(format!("the driver of `{}` has died", self.id))),
        }
    }
}

/// How a run ended, or where it stood when it was put down.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// How it ended; still open when it was put down.
    pub status: RunStatus,
    /// Its tasks, in the order of the workflow, then those that were made on the way.
    pub tasks: Vec<TaskReport>,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
    /// Whether the engine was interrupted; the run can be resumed then.
    pub interrupted: bool,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskReport {
    /// Its name.
    pub name: TaskName,
    /// How it ended.
    pub status: TaskStatus,
    /// What it left.
    pub output: Option<Content>,
    /// Why it failed.
    pub error: Option<Failure>,
}

impl RunReport {
    pub(super) fn of(run: &Run, interrupted: bool) -> Self {
        Self {
            run: run.id().clone(),
            status: run.status(),
            tasks: run
                .tasks()
                .map(|task| TaskReport {
                    name: task.spec().name.clone(),
                    status: task.status(),
                    output: task.output().cloned(),
                    error: task.error().cloned(),
                })
                .collect(),
            usage: run.usage(),
            cost: run.cost(),
            interrupted,
        }
    }

    /// The output of the task of that name, when it left one that is kept in the log itself
    /// (up to [`Content::INLINE_LIMIT`]).
    pub fn output(&self, task: &str) -> Option<&Value> {
        self.tasks.iter().find(|t| t.name.as_str() == task)?.output.as_ref()?.inline()
    }
}
