//! What people say to what they are asked.

use super::refuse_over;
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{ControlView, Controlled},
};
use orchestrator_core::{
    event::{Reply, Verdict},
    id::TaskName,
    port::{RunRow, Signal, TaskRow},
};

/// How far up the runs are followed that wait for another.
const DEPTH: usize = 64;

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Approve,
    /// No, and why.
    Reject(String),
    /// Something else, in words.
    Answer(String),
}

impl Answer {
    fn action(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject(_) => "reject",
            Self::Answer(_) => "answer",
        }
    }
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Approve => Self::Approved,
            Answer::Reject(reason) => Self::Rejected(reason),
            Answer::Answer(text) => Self::Answered(text),
        }
    }
}

impl OrchestratorService {
    /// Says `answer` to what a task asks, in the name of `by`. The task is `RUN.TASK`, or a name:
    /// then the newest open run counts in which such a task waits for a person.
    ///
    /// # Errors
    /// An unknown task, one that waits for nobody, or an answer that does not fit.
    pub async fn reply(
        &self,
        task: &str,
        answer: Answer,
        by: &str,
    ) -> Result<ControlView, ServiceError> {
        let (opened, run, row) = self.find_asking(task).await?;
        if row.ask.is_none() {
            return Err(nobody_asked(&run, &row));
        }
        let action = answer.action();
        let reply = Reply { verdict: answer.into(), by: by.to_owned() };
        let signal = Signal::Reply { task: row.name.clone(), reply };
        let told = self.ask(opened, &run, signal).await?;
        let mut view = ControlView::one(action, Controlled::of(&run.id, Some(&row.name), &told));
        if !told.driven && !told.status.is_final() {
            view.resume = Some(self.root(opened, &run).await?.id.to_string());
        }
        Ok(view)
    }

    async fn find_asking(&self, given: &str) -> Result<(&Opened, RunRow, TaskRow), ServiceError> {
        if given.contains('.') {
            let (opened, run, row) = self.find_task(given, None).await?;
            refuse_over(&run, "answer a task of")?;
            return Ok((opened, run, row));
        }
        let Some(opened) = self.store_if_any()? else { return Err(ServiceError::NoRuns) };
        let asks = |task: &TaskRow| task.ask.is_some();
        if let Some((run, row)) = self.newest_task(opened, given, asks).await? {
            return Ok((opened, run, row));
        }
        // Nobody is asked: said of the task that was most likely meant.
        let (_, run, row) = self.find_task(given, None).await?;
        Err(nobody_asked(&run, &row))
    }

    /// The run at the top of those that wait for `row` as for a child, as far up as they are open.
    pub(crate) async fn root(&self, opened: &Opened, row: &RunRow) -> Result<RunRow, ServiceError> {
        let mut top = row.clone();
        // Bounded, because ids that were forged into a circle would lead nowhere.
        for _ in 0..DEPTH {
            let Some(parent) = top.parent.clone() else { break };
            let parent = opened.catalog().run(&parent).await.map_err(|e| opened.failed(e))?;
            match parent {
                Some(parent) if !parent.status.is_final() => top = parent,
                _ => break,
            }
        }
        Ok(top)
    }
}

fn task_id(run: &RunRow, name: &TaskName) -> String {
    format!("{}.{name}", run.id)
}

fn nobody_asked(run: &RunRow, row: &TaskRow) -> ServiceError {
    ServiceError::NobodyAsked { task: task_id(run, &row.name), status: row.status.to_string() }
}
