//! The run: one execution of one workflow, as a fold over its events.
//!
//! [`Run::create`] and [`Run::handle`] decide: they return the events that follow from a command and
//! have already applied them. [`Run::replay`] folds stored events into the same state with the same
//! code, so that replay equals live. Nothing here waits, reads a clock, or draws a number.

mod apply;
mod decide;
mod rows;
mod state;
mod status;
#[cfg(test)]
mod tests;

pub use decide::StartRun;
pub use state::{ReplayError, TaskView};
pub use status::RunStatus;

use crate::{
    effect::Effect,
    event::{Recorded, RunCreated},
    graph::Graph,
    id::{Epoch, RunId, Sequence, TaskName},
    port::Rows,
    schedule::ReadyQueue,
    time::Timestamp,
    usage::{Cost, Usage},
};
use state::TaskState;
use std::collections::{BTreeSet, HashMap};

/// One execution of one workflow.
#[derive(Debug, Clone)]
pub struct Run {
    created: RunCreated,
    graph: Graph,
    places: HashMap<TaskName, usize>,
    tasks: Vec<TaskState>,
    status: RunStatus,
    seq: Sequence,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// The last fencing token that was given to an attempt.
    epoch: Epoch,
    usage: Usage,
    cost: Cost,
    /// How many attempts are under way.
    running: usize,
    /// How many tasks have not ended.
    open: usize,
    /// How many tasks have failed.
    failed: u32,
    cancelled: bool,
    /// Whether its driver goes down: nothing is started any more. Not a fact of the run, so no
    /// event says it.
    draining: bool,
    /// Tasks whose needs have all ended, to be looked at by the next decision.
    settled: Vec<usize>,
    ready: ReadyQueue,
    /// Tasks between attempts, by when the next is due.
    waiting: BTreeSet<(Timestamp, usize)>,
    effects: Vec<Effect>,
    changed: Changed,
}

/// What has changed since the rows were last taken.
#[derive(Debug, Clone, Default)]
struct Changed {
    rows: Rows,
    tasks: BTreeSet<usize>,
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.created.run
    }

    /// With what it began.
    pub fn created(&self) -> &RunCreated {
        &self.created
    }

    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// Its last event.
    pub fn seq(&self) -> Sequence {
        self.seq
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The DAG of its workflow.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many attempts are under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// The earliest instant at which a [`Tick`](crate::command::Command::Tick) may start something.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.running >= self.created.max_parallel as usize || self.cancelled {
            return None;
        }
        self.waiting.first().map(|(at, _)| *at)
    }

    /// The place of the task of that name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The task at `place`, as others may see it.
    pub fn task(&self, place: usize) -> Option<TaskView<'_>> {
        let state = self.tasks.get(place)?;
        Some(TaskView { spec: self.created.workflow.tasks.get(place)?, state })
    }

    /// Every task, in the order of the workflow.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.created
            .workflow
            .tasks
            .iter()
            .zip(&self.tasks)
            .map(|(spec, state)| TaskView { spec, state })
    }

    /// Starts nothing from now on, whatever is decided: its driver goes down.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Takes what is to be done outside, in order. To be done only once the events that were
    /// returned so far are durable.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Folds stored events, the first of which creates the run.
    ///
    /// # Errors
    /// [`ReplayError`] when the events are not the log of a run.
    pub fn replay(events: &[Recorded]) -> Result<Self, ReplayError> {
        let mut run = apply::first(events)?;
        for event in &events[1..] {
            run.replay_one(event)?;
        }
        run.forget_changes();
        run.settle_replayed();
        Ok(run)
    }
}
