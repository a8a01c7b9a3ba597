//! How often a task is tried, and how long is waited in between.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a task is tried, and how long is waited in between.
///
/// The wait before try `n + 1` is drawn evenly from zero to `min(max-delay, base-delay × factorⁿ⁻¹)`:
/// exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RetryPolicy {
    /// The most attempts with one agent, the first included; at least 1. Default 3. Attempts that
    /// did not fail by themselves do not count: cut off, put off by a quota, taken up for a person.
    pub max_attempts: u32,
    /// The widest first wait. Default 1 s.
    #[serde(with = "crate::time::text")]
    pub base_delay: Duration,
    /// The widest wait of all. Default 60 s.
    #[serde(with = "crate::time::text")]
    pub max_delay: Duration,
    /// How the width grows with each attempt. Default 2.
    pub factor: u32,
    /// Whether an attempt must never be made twice (`retry: never-repeat`): a failure is final, and
    /// when its outcome is unknown a person is asked. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_repeat: bool,
    /// Whether the definition says so. A program that fails is run again only then: most fail the
    /// same way twice, and some do half of their work each time. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declared: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            factor: 2,
            never_repeat: false,
            declared: false,
        }
    }
}

impl RetryPolicy {
    /// The widest wait after `failures` failed attempts.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let base = u64::try_from(self.base_delay.as_millis()).unwrap_or(u64::MAX);
        let growth = u64::from(self.factor.max(1)).saturating_pow(failures.saturating_sub(1));
        Duration::from_millis(base.saturating_mul(growth)).min(self.max_delay)
    }

    /// The wait after `failures` failed attempts, given a uniformly drawn number.
    pub fn delay(&self, failures: u32, draw: u64) -> Duration {
        part_of(self.ceiling(failures), draw)
    }
}

/// The part of `width` that a uniformly drawn number picks, in whole milliseconds.
pub(super) fn part_of(width: Duration, draw: u64) -> Duration {
    let width = u64::try_from(width.as_millis()).unwrap_or(u64::MAX);
    let scaled = (u128::from(width) * u128::from(draw)) >> 64;
    Duration::from_millis(u64::try_from(scaled).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_never_wider_than_its_ceiling(failures in 0u32..10_000, draw: u64) {
            let policy = RetryPolicy::default();
            let wait = policy.delay(failures, draw);
            prop_assert!(wait <= policy.ceiling(failures));
            prop_assert!(policy.ceiling(failures) <= policy.max_delay);
        }

        #[test]
        fn waits_use_the_whole_width(failures in 1u32..8) {
            let policy = RetryPolicy::default();
            let ceiling = policy.ceiling(failures);
            prop_assert_eq!(policy.delay(failures, 0), Duration::ZERO);
            prop_assert!(policy.delay(failures, u64::MAX) + Duration::from_millis(1) >= ceiling);
        }
    }
}
