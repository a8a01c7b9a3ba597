//! From a task that waits to the root of the matter.

use super::Reason;
use crate::{
    id::TaskName, run::Run, schedule::HeldUp, task::OnFailure, task::TaskStatus, time::Timestamp,
};
use std::collections::{BTreeMap, VecDeque};

/// The most tasks that are looked at.
const LOOKED_AT: usize = 10_000;

impl Reason {
    /// How telling it is; what only waits for something else says nothing.
    fn weight(&self) -> u32 {
        match self {
            Self::Budget { .. } => 12,
            Self::Person { .. } => 11,
            Self::Reset { .. } => 10,
            Self::HeldUp { held_up: HeldUp::Breaker { .. } } => 9,
            Self::Retry { .. } => 8,
            Self::Paused {} | Self::Undriven {} => 7,
            Self::HeldUp { .. } => 6,
            Self::Child { .. } => 5,
            Self::Delay { .. } => 4,
            Self::Stopping { .. } | Self::Cancelling { .. } | Self::Compensating { .. } => 4,
            Self::Attempt { .. } | Self::Checking { .. } | Self::Landing { .. } => 3,
            Self::Evaluating { .. } | Self::Turn {} => 2,
            Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Cancelled { .. }
            | Self::Undone { .. } => 1,
            Self::Needs { .. } | Self::Items { .. } => 0,
        }
    }
}

impl Run {
    /// The tasks from behind `place` to the most telling reason why it waits, the nearest of those
    /// that are equally so. Each needs the next or has it as an item, so no circle is possible.
    pub(super) fn way_to_root(&self, place: usize, now: Timestamp) -> Vec<usize> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open = VecDeque::from([place]);
        let mut best = (0, place);
        let mut looked_at = 0;
        while let Some(at) = open.pop_front() {
            looked_at += 1;
            if looked_at > LOOKED_AT {
                break;
            }
            let next: Vec<usize> = if self.has_open_items(at) {
                self.open_items(at).collect()
            } else if self.waits_for_needs(at) {
                self.graph.needs(at).filter(|&need| !self.tasks[need].status.is_final()).collect()
            } else {
                let weight = self.reason_to_wait(at, now).weight();
                if weight > best.0 {
                    best = (weight, at);
                }
                continue;
            };
            for next in next {
                if next != place && !came_from.contains_key(&next) {
                    came_from.insert(next, at);
                    open.push_back(next);
                }
            }
        }
        let mut path = Vec::new();
        let mut at = best.1;
        while at != place {
            path.push(at);
            match came_from.get(&at) {
                Some(before) => at = *before,
                None => break,
            }
        }
        path.reverse();
        path
    }

    /// The task that says most about where the run stands: of an open one the one with the most
    /// telling reason, of an ended one the first that failed.
    pub fn most_telling(&self, now: Timestamp) -> Option<TaskName> {
        let counts = |place: &usize| !self.tasks[*place].retired;
        if self.status.is_final() {
            let failed = |place: &usize| {
                matches!(self.tasks[*place].status, TaskStatus::Failed | TaskStatus::Cancelled)
                    && self.spec(*place).on_failure != OnFailure::Continue
                    && self.group_of(*place).is_none()
            };
            return (0..self.tasks.len()).filter(counts).find(failed).map(|place| self.name(place));
        }
        let open = (0..self.tasks.len()).filter(counts).filter(|&place| {
            !self.tasks[place].status.is_final()
                && !self.has_open_items(place)
                && !self.waits_for_needs(place)
        });
        let mut best: Option<(u32, usize)> = None;
        for place in open.take(LOOKED_AT) {
            let weight = self.reason_to_wait(place, now).weight();
            if best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, place));
            }
        }
        best.map(|(_, place)| self.name(place))
    }

    fn has_open_items(&self, place: usize) -> bool {
        let state = &self.tasks[place];
        state.status == TaskStatus::Running && state.items().is_some_and(|items| items.open > 0)
    }

    fn open_items(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let items = self.tasks[place].items();
        let range = items.map_or(0..0, |items| items.first..items.first + items.count as usize);
        range.filter(|&item| !self.tasks[item].status.is_final()).take(LOOKED_AT)
    }

    fn waits_for_needs(&self, place: usize) -> bool {
        let state = &self.tasks[place];
        state.unmet > 0
            && state.current.is_none()
            && state.ask().is_none()
            && self.cancelled.is_none()
            && !self.asked.contains_key(&place)
    }
}
