//! Why an ended task ended so.

use super::reason::{Cause, Reason, Rule};
use crate::{
    error::{ErrorClass, Remedy},
    event::SkipReason,
    policy::{MAX_ATTEMPTS_IN_TOTAL, MAX_PARKS, MAX_REPAIRS},
    run::{Run, state::TaskState},
    task::{TaskKind, TaskStatus},
};
use std::collections::BTreeSet;

impl Run {
    pub(super) fn reason_of_end(&self, place: usize) -> Reason {
        let state = &self.tasks[place];
        let error = state.error();
        match state.status {
            TaskStatus::Failed => Reason::Failed {
                class: error.map_or(ErrorClass::Internal, |error| error.class),
                message: error.map(|error| error.message.clone()).unwrap_or_default(),
                attempts: state.attempts,
                causes: causes(state),
                rule: self.rule(place),
            },
            TaskStatus::Skipped => Reason::Skipped {
                reason: state.more(|more| more.skip.clone()).unwrap_or(SkipReason::When),
                when: self.spec(place).when.clone(),
            },
            TaskStatus::Cancelled => Reason::Cancelled {
                reason: error
                    .filter(|error| error.class == ErrorClass::Cancelled)
                    .map(|error| error.message.clone())
                    .or_else(|| self.cancelled.clone()),
            },
            TaskStatus::Succeeded if self.is_undone(place) => {
                Reason::Undone { failed: self.compensating.map(|failed| self.name(failed)) }
            }
            TaskStatus::Succeeded
            | TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Waiting => Reason::Succeeded {
                attempts: state.attempts,
                agent: state.last_agent.clone(),
                carried: state.more(|more| more.carried.clone()),
                cached: state.more(|more| Some(more.cached)).unwrap_or(false),
                by: state.more(|more| more.decided_by.clone()),
                request: state.work().and_then(|work| work.facts.as_ref()?.requested.clone()),
            },
        }
    }

    /// Whether what the task at `place` did was undone.
    pub(in super::super) fn is_undone(&self, place: usize) -> bool {
        let undo = self.places.get(self.name(place).undo().as_str());
        undo.is_some_and(|&undo| self.tasks[undo].status == TaskStatus::Succeeded)
    }

    /// Why the failed task at `place` was not tried again.
    fn rule(&self, place: usize) -> Rule {
        let (state, spec) = (&self.tasks[place], self.spec(place));
        let class = state.error().map_or(ErrorClass::Internal, |error| error.class);
        if state.items().is_some() {
            return Rule::Items {};
        }
        if let Some(limit) = spec.task_timeout
            && class == ErrorClass::TimedOut
            && let (Some(start), Some(end)) = (state.started_at, state.ended_at)
            && end.since(start) >= limit
        {
            return Rule::TaskTimeout {};
        }
        if state.attempts == 0 {
            return match spec.kind {
                TaskKind::Approval { .. } => Rule::Person {},
                _ => Rule::Expression {},
            };
        }
        if matches!(spec.kind, TaskKind::Workflow { .. }) {
            return Rule::Child {};
        }
        let revisions = state.more(|more| Some(more.revisions)).unwrap_or_default();
        if let Some(revise) = &spec.revise
            && class == ErrorClass::CheckFailed
            && revisions >= revise.max
        {
            return Rule::Revisions { most: revise.max };
        }
        let Some(tally) = state.more(|more| Some(&more.tally)) else { return Rule::Ending {} };
        if tally.total() >= MAX_ATTEMPTS_IN_TOTAL {
            return Rule::Total { most: MAX_ATTEMPTS_IN_TOTAL };
        }
        if spec.retry.never_repeat {
            return Rule::NeverRepeat {};
        }
        if self.is_final_undeclared(place, class) {
            return Rule::Undeclared {};
        }
        let most = spec.retry.max_attempts;
        let agents = u32::try_from(self.agents_for(place).len()).unwrap_or(u32::MAX);
        match class.remedy() {
            Remedy::Fail | Remedy::None => Rule::Class {},
            Remedy::Ask | Remedy::FailOver | Remedy::Restart => Rule::Person {},
            Remedy::Wait | Remedy::Park if tally.parks() >= MAX_PARKS => {
                Rule::Parks { most: MAX_PARKS }
            }
            Remedy::Repair
                if class == ErrorClass::BadOutput
                    && tally.of_agent(class) > MAX_REPAIRS
                    && tally.tries() < most =>
            {
                Rule::Repairs { most: MAX_REPAIRS }
            }
            _ if self.compensating.is_some() || self.cancelled.is_some() || self.timed_out => {
                Rule::Ending {}
            }
            _ => Rule::MaxAttempts { most, agents },
        }
    }

    /// From an ended task back to what made it end so: for a skipped one the needs down to the one
    /// that did not succeed by itself, for a `for-each` task the first item that failed.
    pub(super) fn way_back(&self, place: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut seen = BTreeSet::from([place]);
        let mut at = place;
        while let Some(next) = self.blamed(at) {
            if !seen.insert(next) {
                break;
            }
            path.push(next);
            at = next;
        }
        path
    }

    fn blamed(&self, place: usize) -> Option<usize> {
        let state = &self.tasks[place];
        match state.status {
            TaskStatus::Skipped => match state.more(|more| more.skip.as_ref())? {
                SkipReason::Needs { task } => self.place(task.as_str()),
                SkipReason::Compensating => self.compensating,
                SkipReason::When | SkipReason::TimedOut => None,
            },
            TaskStatus::Failed => {
                let items = state.items()?;
                (items.first..items.first + items.count as usize)
                    .find(|&item| self.tasks[item].status == TaskStatus::Failed)
            }
            TaskStatus::Succeeded if self.is_undone(place) => self.compensating,
            TaskStatus::Succeeded
            | TaskStatus::Cancelled
            | TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Waiting => None,
        }
    }
}

fn causes(state: &TaskState) -> Vec<Cause> {
    let Some(tally) = state.more(|more| Some(&more.tally)) else { return Vec::new() };
    let mut causes: Vec<Cause> = ErrorClass::ALL
        .into_iter()
        .map(|class| Cause { class, count: tally.of(class) })
        .filter(|cause| cause.count > 0)
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    causes
}
