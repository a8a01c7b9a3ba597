//! How often a task has failed, and of what.

use crate::error::{ErrorClass, Remedy};
use std::collections::BTreeMap;

/// The failed attempts of one task: facts, folded from its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// With the agent at work, since the last revision.
    here: BTreeMap<ErrorClass, u32>,
    /// With the agents before it, since the last revision.
    before: BTreeMap<ErrorClass, u32>,
    total: u32,
    interruptions: u32,
    parks: u32,
}

impl Tally {
    /// One more attempt failed. A cancelled one counts for nothing.
    pub fn note(&mut self, class: ErrorClass) {
        if class == ErrorClass::Cancelled {
            return;
        }
        bump(self.here.entry(class).or_default(), 1);
        bump(&mut self.total, 1);
        match class.remedy() {
            Remedy::Restart => bump(&mut self.interruptions, 1),
            Remedy::Wait | Remedy::Park => bump(&mut self.parks, 1),
            _ => {}
        }
    }

    /// Another agent took over: what is counted for each agent begins again.
    pub fn switched(&mut self) {
        for (class, count) in std::mem::take(&mut self.here) {
            bump(self.before.entry(class).or_default(), count);
        }
    }

    /// A revision was asked for: what is counted for each agent and each class begins again.
    /// [`total`](Self::total), [`interruptions`](Self::interruptions) and [`parks`](Self::parks) do
    /// not.
    pub fn revised(&mut self) {
        self.here.clear();
        self.before.clear();
    }

    /// Failures of that class since the last revision, with all agents.
    pub fn of(&self, class: ErrorClass) -> u32 {
        let before = self.before.get(&class).copied().unwrap_or_default();
        self.of_agent(class).saturating_add(before)
    }

    /// Failures of that class with the agent at work, since the last revision.
    pub fn of_agent(&self, class: ErrorClass) -> u32 {
        self.here.get(&class).copied().unwrap_or_default()
    }

    /// Failures of all classes, agents and revisions.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Failures with the agent at work since the last revision, those aside that were cut off.
    pub fn with_agent(&self) -> u32 {
        self.sum(|remedy| remedy != Remedy::Restart)
    }

    /// Those of them that [`RetryPolicy::max_attempts`](super::RetryPolicy::max_attempts) bounds:
    /// what an attempt did wrong itself, not what put it off or what a person has dealt with.
    pub fn tries(&self) -> u32 {
        self.sum(|remedy| {
            matches!(remedy, Remedy::Retry | Remedy::RetrySlowly | Remedy::Compact | Remedy::Repair)
        })
    }

    /// Attempts that were cut off, of all agents and revisions.
    pub fn interruptions(&self) -> u32 {
        self.interruptions
    }

    /// Attempts that a rate limit or a quota put off, of all agents and revisions.
    pub fn parks(&self) -> u32 {
        self.parks
    }

    fn sum(&self, counts: impl Fn(Remedy) -> bool) -> u32 {
        let counted = self.here.iter().filter(|(class, _)| counts(class.remedy()));
        counted.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

fn bump(counter: &mut u32, by: u32) {
    *counter = counter.saturating_add(by);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `of(transient)`, `of_agent(transient)`, `with_agent`, `tries`, `total`, `interruptions`,
    /// `parks`.
    fn check(tally: &Tally, expected: [u32; 7]) {
        let class = ErrorClass::Transient;
        let found = [
            tally.of(class),
            tally.of_agent(class),
            tally.with_agent(),
            tally.tries(),
            tally.total(),
            tally.interruptions(),
            tally.parks(),
        ];
        assert_eq!(found, expected, "{tally:?}");
    }

    #[test]
    fn each_count_begins_again_when_it_should() {
        let mut tally = Tally::default();
        let classes = [
            ErrorClass::Transient,
            ErrorClass::Transient,
            ErrorClass::Crashed,
            ErrorClass::QuotaExhausted,
            ErrorClass::OverBudget,
            ErrorClass::Cancelled,
        ];
        classes.into_iter().for_each(|class| tally.note(class));
        check(&tally, [2, 2, 4, 2, 5, 1, 1]);
        tally.switched();
        check(&tally, [2, 0, 0, 0, 5, 1, 1]);
        tally.note(ErrorClass::Transient);
        check(&tally, [3, 1, 1, 1, 6, 1, 1]);
        tally.revised();
        check(&tally, [0, 0, 0, 0, 6, 1, 1]);
    }
}
