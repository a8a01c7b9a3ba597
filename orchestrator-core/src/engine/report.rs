//! What the starter of a run holds, and what it gets in the end.

use super::{EngineError, driver::Input};
use crate::{
    error::Failure,
    event::Content,
    id::{RunId, TaskName},
    run::{Run, RunStatus},
    task::TaskStatus,
    usage::{Cost, Usage},
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};

/// A run that is being driven. Dropping it does not stop the run.
#[derive(Debug)]
pub struct RunHandle {
    id: RunId,
    inbox: mpsc::UnboundedSender<Input>,
    driver: JoinHandle<Result<RunReport, EngineError>>,
}

impl RunHandle {
    pub(super) fn new(
        id: RunId,
        inbox: mpsc::UnboundedSender<Input>,
        driver: JoinHandle<Result<RunReport, EngineError>>,
    ) -> Self {
        Self { id, inbox, driver }
    }

    /// The run's id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Asks the run to stop; [`RunHandle::wait`] tells when it has.
    pub fn cancel(&self, reason: impl Into<String>) {
        // A driver that is gone has nothing left to cancel.
        let _ = self.inbox.send(Input::Cancel { reason: reason.into() });
    }

    /// Waits until the run has ended, or the engine was interrupted.
    ///
    /// # Errors
    /// The store failed, or somebody else took the run over; it can be resumed.
    pub async fn wait(self) -> Result<RunReport, EngineError> {
        match self.driver.await {
            Ok(outcome) => outcome,
            Err(error) => Err(EngineError::Internal(error.to_string())),
        }
    }
}

/// How a run ended, or where it stood when it was put down.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// How it ended; still `running` when it was put down.
    pub status: RunStatus,
    /// Its tasks, in the order of the workflow.
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
