//! What people call runs and tasks.

use super::{Opened, OrchestratorService};
use crate::ServiceError;
use orchestrator_core::{
    id::{RunId, TaskName},
    port::{Page, RunFilter, RunRow, TaskFilter, TaskRow},
    task::TaskStatus,
    workflow::did_you_mean,
};

/// The name of the run that was created last; children are a part of theirs.
pub(crate) const LATEST: &str = "latest";

/// How many runs are read at once when the last ones are children.
const LOOKED_THROUGH: usize = 200;

/// How many runs that fit are named when several do.
const SHOWN: usize = 5;

impl OrchestratorService {
    /// The run that `given` means: its id, a start of it that fits no other, or `latest`.
    pub(crate) async fn find_run(&self, given: &str) -> Result<(&Opened, RunRow), ServiceError> {
        let none = || match given {
            LATEST => ServiceError::NoRuns,
            _ => ServiceError::NoSuchRun(given.chars().take(128).collect()),
        };
        let Some(opened) = self.store_if_any()? else { return Err(none()) };
        let catalog = opened.catalog();
        if given == LATEST {
            let mut page = Page { limit: 1, cursor: None };
            loop {
                let runs = catalog.runs(&RunFilter::default(), &page).await;
                let runs = runs.map_err(|e| opened.failed(e))?;
                if let Some(latest) = runs.items.into_iter().find(|row| row.parent.is_none()) {
                    return Ok((opened, latest));
                }
                let cursor = runs.next;
                if cursor.is_none() {
                    return Err(none());
                }
                page = Page { limit: LOOKED_THROUGH, cursor };
            }
        }
        if given.is_empty() {
            return Err(none());
        }
        for start in [given.to_owned(), format!("r_{given}")] {
            let mut ids = catalog.run_ids(&start, SHOWN + 1).await.map_err(|e| opened.failed(e))?;
            if let Some(exact) = ids.iter().position(|id| id.as_str() == start) {
                ids = vec![ids.swap_remove(exact)];
            }
            match &ids[..] {
                [] => {}
                [only] => {
                    let row = catalog.run(only).await.map_err(|e| opened.failed(e))?;
                    return row.map(|row| (opened, row)).ok_or_else(none);
                }
                several => {
                    return Err(ServiceError::AmbiguousRun {
                        given: given.to_owned(),
                        matches: several.iter().take(SHOWN).map(RunId::to_string).collect(),
                    });
                }
            }
        }
        Err(none())
    }

    /// The task that `given` means: `RUN.TASK`, or a name in `run`, which is the latest by default.
    pub(crate) async fn find_task(
        &self,
        given: &str,
        run: Option<&str>,
    ) -> Result<(&Opened, RunRow, TaskRow), ServiceError> {
        let (run, name) = match given.rsplit_once('.') {
            Some((run, name)) => (run, name),
            None => (run.unwrap_or(LATEST), given),
        };
        let (opened, row) = self.find_run(run).await?;
        let tasks = opened.all_tasks(&row.id).await?;
        match tasks.iter().find(|task| task.name.as_str() == name) {
            Some(task) => Ok((opened, row, task.clone())),
            None => Err(ServiceError::NoSuchTask {
                run: row.id.to_string(),
                task: name.chars().take(64).collect(),
                suggestion: did_you_mean(name, tasks.iter().map(|task| task.name.as_str())),
            }),
        }
    }
}

impl Opened {
    /// All tasks of `run` in the order of its workflow.
    pub(crate) async fn all_tasks(&self, run: &RunId) -> Result<Vec<TaskRow>, ServiceError> {
        self.tasks_of(run, Vec::new()).await
    }

    /// The tasks of `run` that have one of these statuses, or any without one. All at once: where
    /// everything is wanted, each page would look at all of it again.
    pub(crate) async fn tasks_of(
        &self,
        run: &RunId,
        status: Vec<TaskStatus>,
    ) -> Result<Vec<TaskRow>, ServiceError> {
        let filter = TaskFilter { run: Some(run.clone()), status, ..TaskFilter::default() };
        let page = Page { limit: usize::MAX, cursor: None };
        let all = self.catalog().tasks(&filter, &page).await.map_err(|e| self.failed(e))?;
        Ok(all.items)
    }

    /// The first task of these names that `run` has.
    pub(crate) async fn has_task(&self, run: &RunId, name: &str) -> Result<bool, ServiceError> {
        let Ok(name) = TaskName::new(name) else { return Ok(false) };
        Ok(self.all_tasks(run).await?.iter().any(|task| task.name == name))
    }
}
