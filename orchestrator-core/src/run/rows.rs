//! The rows that lists and details are made of, derived from the state.

use super::{Run, state::TaskState};
use crate::{
    port::{ItemCounts, Rows, RunRow, TaskRow},
    task::{OnFailure, TaskStatus},
};

impl Run {
    /// Takes the rows that changed since the last call, the run's own always among them.
    pub fn take_rows(&mut self) -> Rows {
        let (mut rows, tasks) = self.changed.take();
        rows.tasks = tasks.into_iter().filter_map(|place| self.task_row(place)).collect();
        rows.run = Some(self.run_row());
        rows
    }

    /// The run's own row.
    pub fn run_row(&self) -> RunRow {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let created = &self.created;
        RunRow {
            tenant: created.tenant.clone(),
            project: created.project.clone(),
            id: created.run.clone(),
            workflow: created.workflow.name.clone(),
            version: created.workflow.version.clone(),
            source: created.source.clone(),
            status: self.status,
            parent: created.parent.clone(),
            origin: created.origin.clone(),
            created_at: self.created_at,
            ended_at: self.ended_at,
            tasks: count(self.counted()),
            ended: count(self.counted() - self.open),
            failed: self.failed,
            usage: self.usage,
            cost: self.cost,
            budget: self.budget,
            replayed: created.is_replay(),
            seq: self.seq,
        }
    }

    /// The row of the task at `place`.
    pub fn task_row(&self, place: usize) -> Option<TaskRow> {
        let state = self.tasks.get(place).filter(|state| !state.retired)?;
        let held = self.lanes.iter().filter_map(|lane| lane.held.as_ref());
        Some(TaskRow {
            run: self.created.run.clone(),
            name: self.name(place),
            position: u32::try_from(place).unwrap_or(u32::MAX),
            status: state.status,
            verified: self.verified(place),
            agent: state.last_agent.clone(),
            attempts: state.attempts,
            started_at: state.started_at,
            ended_at: state.ended_at,
            usage: state.usage,
            cost: state.cost,
            error: state.error().cloned(),
            output: state.output.clone(),
            items: state.items().map(|items| ItemCounts {
                count: items.count,
                ended: items.count - items.open,
                failed: items.failed,
            }),
            held_up: held.clone().find(|(at, _)| *at == place).map(|(_, by)| by.clone()),
            ask: state.asks().first().map(|asked| asked.ask.clone()),
            more_asks: state.asks().iter().skip(1).map(|asked| (*asked.ask).clone()).collect(),
        })
    }

    /// Whether the checks of the task at `place` passed on what it has made.
    pub(super) fn verified(&self, place: usize) -> Option<bool> {
        if !self.spec(place).is_proved() || self.is_undo(place) {
            return None;
        }
        let state = &self.tasks[place];
        if let Some(items) = state.items() {
            let items = &self.tasks[items.first..items.first + items.count as usize];
            let ended = state.status.is_final() && state.status != TaskStatus::Skipped;
            return ended.then(|| items.iter().all(TaskState::is_verified));
        }
        let known = state.work().and_then(|work| work.facts.as_ref()?.evidence.as_ref()).is_some()
            || state.attempts > 0 && state.status.is_final();
        known.then(|| state.is_verified())
    }

    /// How many tasks count: those that are not retired.
    fn counted(&self) -> usize {
        self.tasks.len() - self.retired
    }

    /// Rows of the tasks that the gate holds up are told anew with the next rows.
    pub fn publish_held_up(&mut self) -> bool {
        let places: Vec<usize> =
            self.lanes.iter().filter_map(|lane| Some(lane.held.as_ref()?.0)).collect();
        places.iter().for_each(|place| self.changed.note(*place));
        !places.is_empty()
    }

    /// Whether a task failed whose failure is the run's.
    pub(super) fn has_failed(&self) -> bool {
        (0..self.tasks.len()).any(|place| {
            let state = &self.tasks[place];
            matches!(state.status, TaskStatus::Failed | TaskStatus::Cancelled)
                && !state.retired
                && self.group_of(place).is_none()
                && self.spec(place).on_failure != OnFailure::Continue
        })
    }
}
