//! Compensation: what was done is undone, the last first.

use super::{super::Run, Deciding};
use crate::{
    event::{Event, SkipReason},
    task::TaskStatus,
};

impl Run {
    /// Everything that has not begun is left out.
    pub(super) fn skip_idle(&mut self, reason: &SkipReason, to: &mut Deciding<'_>) {
        for place in 0..self.tasks.len() {
            if self.is_idle(place) {
                let (task, reason) = (self.name(place), reason.clone());
                self.record(to, Event::TaskSkipped { task, reason });
            }
        }
    }

    /// Whether the task at `place` is open and nothing of it is under way.
    pub(super) fn is_idle(&self, place: usize) -> bool {
        let state = &self.tasks[place];
        let has_items = state.items().is_some_and(|items| items.open > 0 || items.count == 0)
            && state.status == TaskStatus::Running;
        state.current.is_none() && !state.status.is_final() && !state.retired && !has_items
    }

    /// Nothing runs any more: what succeeded and can be undone is, the last first.
    pub(super) fn plan_undo(&mut self, to: &mut Deciding<'_>) {
        let mut done: Vec<usize> = (0..self.tasks.len())
            .filter(|&place| {
                let state = &self.tasks[place];
                state.status == TaskStatus::Succeeded
                    && !state.retired
                    && !self.is_undo(place)
                    && self.spec(place).compensate.is_some()
                    // Of a `for-each` its items are undone.
                    && state.items().is_none()
            })
            .collect();
        done.sort_by_key(|&place| std::cmp::Reverse((self.tasks[place].ended_seq, place)));
        let tasks = done.into_iter().map(|place| self.name(place)).collect();
        self.record(to, Event::UndoPlanned { tasks });
    }
}
