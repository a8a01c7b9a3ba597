//! Doing runs again: as they were, from a task on, with their latest definition, or another way.
//!
//! A run that has ended stays as it is. What it has done holds in a new run, which names it as its
//! origin: tasks that are carried over are not done again, and large results are shared, since blobs
//! are found by their content.

mod fork;
mod latest;
mod retry;

pub use fork::ForkRequest;
pub use retry::RetryRequest;

use crate::{OrchestratorService, ServiceError, service::Opened};
use orchestrator_core::{
    event::{Recorded, RunCreated},
    id::{RunId, TaskName},
    port::{RunRow, StoreError},
    run::{Run, StartRun},
};
use std::collections::BTreeSet;

/// A run as its log, or the beginning of it, has it.
struct Before {
    row: RunRow,
    run: Run,
    events: Vec<Recorded>,
}

impl Before {
    fn created(&self) -> &RunCreated {
        self.run.created()
    }

    /// The task of that name.
    fn find(&self, name: &str) -> Result<usize, ServiceError> {
        self.run.place(name).ok_or_else(|| {
            let known: Vec<TaskName> = self.run.tasks().take(1_000).map(|t| t.name()).collect();
            ServiceError::NoSuchTask {
                run: self.row.id.to_string(),
                task: name.chars().take(64).collect(),
                suggestion: orchestrator_core::workflow::did_you_mean(
                    name,
                    known.iter().map(TaskName::as_str),
                ),
            }
        })
    }

    /// The names of the task at `place` and of all that follow from it.
    fn downstream(&self, place: usize) -> BTreeSet<TaskName> {
        let owner = self.run.task(place).and_then(|task| task.item_of());
        let owner = owner.map_or(place, |(group, _)| group);
        let mut names: BTreeSet<TaskName> =
            self.run.graph().downstream(owner).into_iter().map(|at| self.run.name(at)).collect();
        names.insert(self.run.name(place));
        names
    }

    /// The same run again, with nothing done yet.
    fn start(&self, service: &OrchestratorService) -> StartRun {
        let created = self.created();
        let mut start = StartRun::new(created.workflow.clone());
        start.inputs = (*created.inputs).clone();
        start.source.clone_from(&created.source);
        start.directory = service.project().to_owned();
        start.budget = created.budget;
        start.max_parallel = created.max_parallel;
        start.library.clone_from(&created.library);
        // What was offline stays so.
        start.cassette = created.cassette.clone().filter(|_| created.is_replay());
        start
    }
}

impl Opened {
    /// The run of `row` as its log has it.
    async fn before(&self, row: RunRow) -> Result<Before, ServiceError> {
        let events = self.events(&row.id, orchestrator_core::id::Sequence(0)).await?;
        let run = self.folded(&row.id, &events)?;
        Ok(Before { row, run, events })
    }

    fn folded(&self, id: &RunId, events: &[Recorded]) -> Result<Run, ServiceError> {
        Run::replay(events).map_err(|error| {
            self.failed(StoreError::Damaged(format!("cannot replay run `{id}`: {error}")))
        })
    }
}
