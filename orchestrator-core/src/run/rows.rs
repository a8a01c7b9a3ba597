//! The rows that lists and details are made of, derived from the state.

use super::{Changed, Run};
use crate::{
    port::{Rows, RunRow, TaskRow},
    task::{OnFailure, TaskStatus},
};

impl Run {
    /// Takes the rows that changed since the last call, the run's own always among them.
    pub fn take_rows(&mut self) -> Rows {
        let Changed { mut rows, tasks } = std::mem::take(&mut self.changed);
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
            created_at: self.created_at,
            ended_at: self.ended_at,
            tasks: count(self.tasks.len()),
            ended: count(self.tasks.len() - self.open),
            failed: self.failed,
            usage: self.usage,
            cost: self.cost,
            budget: created.budget,
            seq: self.seq,
        }
    }

    /// The row of the task at `place`.
    pub fn task_row(&self, place: usize) -> Option<TaskRow> {
        let (spec, state) = (self.created.workflow.tasks.get(place)?, self.tasks.get(place)?);
        Some(TaskRow {
            run: self.created.run.clone(),
            name: spec.name.clone(),
            position: u32::try_from(place).unwrap_or(u32::MAX),
            status: state.status,
            verified: None,
            agent: state.last_agent.clone(),
            attempts: state.attempts,
            started_at: state.started_at,
            ended_at: state.ended_at,
            usage: state.usage,
            cost: state.cost,
            error: state.error.clone(),
            output: state.output.clone(),
        })
    }

    pub(super) fn forget_changes(&mut self) {
        self.changed = Changed::default();
    }

    /// Whether a task failed whose failure is the run's.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
            && self.tasks().any(|task| {
                task.status() == TaskStatus::Failed && task.spec().on_failure == OnFailure::Fail
            })
    }
}
