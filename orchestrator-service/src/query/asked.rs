//! What people are asked, and whether anything else is waited for.

use crate::{OrchestratorService, ServiceError, service::Opened, views::AskedView};
use orchestrator_core::{
    id::RunId,
    port::{AttemptStatus, RunRow, TaskRow},
    run::RunStatus,
    task::TaskStatus,
};

/// How deep children of children are looked into.
const DEPTH: usize = 64;

impl OrchestratorService {
    /// What people are asked in `rows` and their children, when nothing else can go on and nobody
    /// but them is waited for. Empty when something runs, could start, or goes on by itself later.
    pub(crate) async fn asked(
        &self,
        opened: &Opened,
        rows: &[RunRow],
    ) -> Result<Vec<AskedView>, ServiceError> {
        let mut asks = Vec::new();
        for row in rows {
            if !self.waits(opened, row, &mut asks, DEPTH).await? {
                return Ok(Vec::new());
            }
        }
        Ok(asks)
    }

    /// Whether nothing of the run goes on by itself; adds what it asks.
    async fn waits(
        &self,
        opened: &Opened,
        row: &RunRow,
        asks: &mut Vec<AskedView>,
        depth: usize,
    ) -> Result<bool, ServiceError> {
        match row.status {
            RunStatus::Running | RunStatus::Waiting if depth > 0 => {}
            // A paused child asks for nothing but to be resumed.
            _ => return Ok(row.status.is_final()),
        }
        let tasks = opened.unfinished(&row.id).await?;
        for task in &tasks {
            if task.ask.is_some() {
                asks.extend(task.asks().map(|ask| AskedView::new(task, ask)));
                continue;
            }
            match task.status {
                // Its items say what it waits for.
                _ if task.items.is_some() => {}
                TaskStatus::Running => {
                    let Some(child) = opened.child_of(&row.id, task).await? else {
                        return Ok(false);
                    };
                    let row = opened.catalog().run(&child).await;
                    let Some(row) = row.map_err(|error| opened.failed(error))? else {
                        return Ok(false);
                    };
                    if row.status.is_final()
                        || !Box::pin(self.waits(opened, &row, asks, depth - 1)).await?
                    {
                        return Ok(false);
                    }
                }
                TaskStatus::Ready | TaskStatus::Waiting => return Ok(false),
                TaskStatus::Pending
                | TaskStatus::Succeeded
                | TaskStatus::Failed
                | TaskStatus::Skipped
                | TaskStatus::Cancelled => {}
            }
        }
        Ok(true)
    }
}

impl Opened {
    /// The tasks of `run` that have begun or could begin, and have not ended.
    async fn unfinished(&self, run: &RunId) -> Result<Vec<TaskRow>, ServiceError> {
        let open = vec![TaskStatus::Ready, TaskStatus::Running, TaskStatus::Waiting];
        self.tasks_of(run, open).await
    }

    /// The child run that the attempt under way of `task` is.
    async fn child_of(&self, run: &RunId, task: &TaskRow) -> Result<Option<RunId>, ServiceError> {
        let attempts = self.catalog().attempts(run, Some(&task.name)).await;
        let attempts = attempts.map_err(|error| self.failed(error))?;
        let last = attempts.into_iter().next_back();
        Ok(last.filter(|last| last.status == AttemptStatus::Running).and_then(|last| last.child))
    }
}
