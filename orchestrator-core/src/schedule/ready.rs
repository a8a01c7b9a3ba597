//! Who runs next among the tasks that are ready.

use crate::{task::Priority, time::Timestamp};
use std::{cmp::Reverse, collections::BinaryHeap};

/// How much earlier than it did a task counts as ready for each step of its priority above the
/// lowest, in milliseconds: a `high` task overtakes a `normal` one that has waited less than five
/// minutes longer, and nothing waits for ever.
pub const HEAD_START_MS: u64 = 5 * 60 * 1_000;

/// How urgent a task of that priority is which got ready at that instant; the smallest number is the
/// most urgent.
pub fn urgency(priority: Priority, ready_at: Timestamp) -> i128 {
    let steps = match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
        Priority::Critical => 3,
    };
    i128::from(ready_at.0) - i128::from(HEAD_START_MS * steps)
}

/// Ready tasks, most urgent first.
///
/// Urgency is a number that is fixed when the task gets ready: its instant less its head start.
/// Ageing is in that number, since whoever gets ready later has a larger one.
#[derive(Debug, Clone, Default)]
pub struct ReadyQueue {
    heap: BinaryHeap<Reverse<(i128, usize)>>,
}

impl ReadyQueue {
    /// Adds the task at `place` of the run.
    pub fn push(&mut self, place: usize, priority: Priority, ready_at: Timestamp) {
        self.heap.push(Reverse((urgency(priority, ready_at), place)));
    }

    /// Takes the most urgent task; of equally urgent ones the first in the run.
    pub fn pop(&mut self) -> Option<usize> {
        self.heap.pop().map(|Reverse((_, place))| place)
    }

    /// The most urgent task with its urgency.
    pub fn peek(&self) -> Option<(i128, usize)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Whether no task is ready.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.heap.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(tasks: &[(Priority, u64)]) -> Vec<usize> {
        let mut queue = ReadyQueue::default();
        for (place, (priority, at)) in tasks.iter().enumerate() {
            queue.push(place, *priority, Timestamp(*at));
        }
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn priority_comes_first_then_the_order_of_the_file() {
        use Priority::{Critical, High, Low, Normal};
        assert_eq!(
            order(&[(Normal, 0), (Low, 0), (High, 0), (Normal, 0), (Critical, 0)]),
            [4, 2, 0, 3, 1]
        );
    }

    #[test]
    fn a_low_task_is_not_overtaken_for_ever() {
        let late = HEAD_START_MS * 3;
        let tasks =
            [(Priority::Low, 0), (Priority::Critical, late - 1), (Priority::Critical, late + 1)];
        assert_eq!(order(&tasks), [1, 0, 2]);
    }
}
