//! What came of wishes about runs and tasks.

use crate::control::Told;
use orchestrator_core::id::{RunId, TaskName};
use serde::Serialize;

/// What came of a wish: to pause, to go on, to stop a task, to say something to what a task asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlView {
    /// `orchestrator.control/v1`.
    pub schema: &'static str,
    /// `pause`, `resume`, `kill`, `approve`, `reject`, `answer`, `send` or `interrupt`.
    pub action: &'static str,
    /// What it was about: one run or task, or all on which an agent was at work.
    pub items: Vec<Controlled>,
    /// The run to resume so that it goes on; null when a living process drives it, or it is over.
    pub resume: Option<String>,
}

/// One run or task that was asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controlled {
    /// The run.
    pub run: String,
    /// The task's name, when it is about one.
    pub task: Option<String>,
    /// Which of the things that the task's attempt asks was answered, when it is about one.
    pub question: Option<u32>,
    /// Where the run stands now.
    pub status: String,
    /// Whether a living process drives the run.
    pub driven: bool,
    /// Whether the wish has been carried out or is on its way; false when the process that drives
    /// the run has not taken it yet. It is recorded either way.
    pub taken: bool,
}

impl Controlled {
    pub(crate) fn of(run: &RunId, task: Option<&TaskName>, told: &Told) -> Self {
        Self {
            run: run.to_string(),
            task: task.map(ToString::to_string),
            question: None,
            status: told.status.as_str().to_owned(),
            driven: told.driven,
            taken: told.taken,
        }
    }
}

impl ControlView {
    pub(crate) fn none(action: &'static str) -> Self {
        Self { schema: "orchestrator.control/v1", action, items: Vec::new(), resume: None }
    }

    pub(crate) fn one(action: &'static str, item: Controlled) -> Self {
        Self { items: vec![item], ..Self::none(action) }
    }
}
