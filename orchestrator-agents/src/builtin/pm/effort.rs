//! How long a task may take: minutes to begin, and minutes for each place.
//!
//! The figures are rules of thumb, stated with each task so that a team can put its own in their
//! place. They are for ordering and for a first look, not for promises.

/// What one kind of finding costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// To understand it and to prove that it is done, in minutes.
    pub(super) start: u32,
    /// For each finding, in minutes.
    pub(super) each: u32,
}

/// By what a rule's id contains, the first that fits.
const COSTS: &[(&str, Cost)] = &[
    ("-in-history", Cost { start: 60, each: 20 }),
    ("private-key", Cost { start: 45, each: 30 }),
    ("licence-conflict", Cost { start: 120, each: 120 }),
    ("licence-obligations", Cost { start: 60, each: 10 }),
    ("licence", Cost { start: 20, each: 10 }),
    ("untested", Cost { start: 30, each: 120 }),
    ("no-tests", Cost { start: 240, each: 240 }),
    ("no-test-command", Cost { start: 30, each: 30 }),
    ("no-continuous-integration", Cost { start: 30, each: 60 }),
    ("large", Cost { start: 60, each: 120 }),
    ("unpinned", Cost { start: 15, each: 5 }),
    ("-file", Cost { start: 30, each: 15 }),
    ("-token", Cost { start: 30, each: 20 }),
    ("-key", Cost { start: 30, each: 20 }),
    ("missing-readme", Cost { start: 120, each: 0 }),
    ("missing", Cost { start: 30, each: 15 }),
    ("dead-link", Cost { start: 10, each: 3 }),
    ("link", Cost { start: 15, each: 5 }),
    ("undocumented", Cost { start: 20, each: 20 }),
    ("without-test", Cost { start: 60, each: 60 }),
    ("skipped", Cost { start: 20, each: 20 }),
    ("oversized", Cost { start: 60, each: 120 }),
    ("duplicate", Cost { start: 30, each: 10 }),
    ("pm/todo", Cost { start: 15, each: 30 }),
    ("pm/fixme", Cost { start: 30, each: 60 }),
    ("pm/hack", Cost { start: 30, each: 60 }),
    ("pm/xxx", Cost { start: 20, each: 30 }),
];

/// What a finding of `rule` costs.
pub(super) fn cost(rule: &str) -> Cost {
    COSTS
        .iter()
        .find(|(part, _)| rule.contains(part))
        .map_or(Cost { start: 30, each: 20 }, |(_, cost)| *cost)
}

/// The minutes that `count` findings of one kind take together.
pub(super) fn minutes(cost: Cost, count: usize) -> u32 {
    cost.start.saturating_add(cost.each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_grow_with_the_places() {
        for (rule, count, expected) in [
            ("docs/missing-readme", 1, 120),
            ("pm/todo", 4, 135),
            ("security/github-token", 1, 50),
            ("security/github-token-in-history", 1, 80),
            ("of-my-own", 2, 70),
            // A part of a longer name must not hide what the rule is about.
            ("qa/untested-files", 1, 150),
            ("dev/large-source-file", 2, 300),
            ("qa/no-tests", 1, 480),
            ("dev/missing-lock-file", 1, 45),
        ] {
            assert_eq!(minutes(cost(rule), count), expected, "{rule}");
        }
        assert_eq!(minutes(Cost { start: 1, each: 1 }, usize::MAX), u32::MAX);
    }
}
