//! Whether and when a failed attempt is followed by another.

use crate::{
    error::{Failure, Remedy},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a task is tried, and how long is waited in between.
///
/// The wait before try `n + 1` is drawn evenly from zero to `min(max-delay, base-delay × factorⁿ⁻¹)`:
/// exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RetryPolicy {
    /// The most attempts in all, the first included; at least 1. Default 3.
    pub max_attempts: u32,
    /// The widest first wait. Default 1 s.
    #[serde(with = "crate::time::text")]
    pub base_delay: Duration,
    /// The widest wait of all. Default 60 s.
    #[serde(with = "crate::time::text")]
    pub max_delay: Duration,
    /// How the width grows with each attempt. Default 2.
    pub factor: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            factor: 2,
        }
    }
}

/// How many times an attempt that the engine's own end cut off is started again, in all.
pub const MAX_INTERRUPTIONS: u32 = 16;

/// The longest wait for a reset time that an attempt sits out; a later one ends the task.
pub const MAX_RESET_WAIT: Duration = Duration::from_secs(6 * 3600);

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again at that time, with the same agent.
    Again(Timestamp),
    /// Try again at once, with the next agent of the list.
    FailOver,
    /// Give up.
    GiveUp,
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
        let ceiling = u64::try_from(self.ceiling(failures).as_millis()).unwrap_or(u64::MAX);
        let scaled = (u128::from(ceiling) * u128::from(draw)) >> 64;
        Duration::from_millis(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

/// What follows `failure`.
///
/// `failures` counts failed attempts with it included, except those that an interruption cut off;
/// `interruptions` counts the latter; `others` tells how many agents are left in the list.
pub fn decide(
    policy: &RetryPolicy,
    failure: &Failure,
    failures: u32,
    interruptions: u32,
    others: usize,
    now: Timestamp,
    draw: u64,
) -> RetryDecision {
    let tries_left = failures < policy.max_attempts;
    let over_or_out = if others > 0 { RetryDecision::FailOver } else { RetryDecision::GiveUp };
    let backoff = |factor: u32| now.after(policy.delay(failures, draw) * factor);
    match failure.class.remedy() {
        Remedy::Retry if tries_left => {
            RetryDecision::Again(failure.retry_at.unwrap_or(now).max(backoff(1)))
        }
        Remedy::RetrySlowly if tries_left => {
            RetryDecision::Again(failure.retry_at.unwrap_or(now).max(backoff(4)))
        }
        Remedy::Wait if tries_left => match failure.retry_at {
            Some(_) if others > 0 => RetryDecision::FailOver,
            Some(at) if at.since(now) <= MAX_RESET_WAIT => RetryDecision::Again(at.max(now)),
            Some(_) => RetryDecision::GiveUp,
            None => RetryDecision::Again(backoff(4)),
        },
        Remedy::Retry | Remedy::RetrySlowly | Remedy::Wait | Remedy::FailOver => over_or_out,
        Remedy::Restart if interruptions <= MAX_INTERRUPTIONS => RetryDecision::Again(now),
        Remedy::Restart | Remedy::Fail | Remedy::None => RetryDecision::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn check(class: ErrorClass, failures: u32, others: usize, expected: RetryDecision) {
        let failure = Failure::new(class, "x");
        let policy = RetryPolicy::default();
        assert_eq!(decide(&policy, &failure, failures, 1, others, NOW, 0), expected, "{class}");
    }

    #[test]
    fn each_class_has_its_default() {
        use RetryDecision::{Again, FailOver, GiveUp};
        for class in ErrorClass::ALL {
            match class {
                ErrorClass::Transient
                | ErrorClass::Overloaded
                | ErrorClass::RateLimited
                | ErrorClass::QuotaExhausted
                | ErrorClass::TimedOut => {
                    check(class, 1, 0, Again(NOW));
                    check(class, 3, 0, GiveUp);
                    check(class, 3, 1, FailOver);
                }
                ErrorClass::Billing => {
                    check(class, 1, 1, FailOver);
                    check(class, 1, 0, GiveUp);
                }
                ErrorClass::Crashed => check(class, 0, 0, Again(NOW)),
                _ => check(class, 1, 1, GiveUp),
            }
        }
    }

    #[test]
    fn a_reset_time_is_waited_for_unless_it_is_far_or_another_agent_is_free() {
        let policy = RetryPolicy::default();
        let at = |ms| Failure::new(ErrorClass::RateLimited, "x").retry_at(Timestamp(ms));
        let decide = |failure: &Failure, others| decide(&policy, failure, 1, 0, others, NOW, 9);
        assert_eq!(decide(&at(1_030_000), 0), RetryDecision::Again(Timestamp(1_030_000)));
        assert_eq!(decide(&at(1_030_000), 1), RetryDecision::FailOver);
        assert_eq!(decide(&at(999), 0), RetryDecision::Again(NOW));
        assert_eq!(decide(&at(u64::MAX), 0), RetryDecision::GiveUp);
    }

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
