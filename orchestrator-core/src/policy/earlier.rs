//! What followed a failure before each class had a remedy of its own
//! ([`Change::Remedies`](crate::run::Change::Remedies)). Runs that began so are decided so to their
//! end; nothing here changes any more.

use super::{Case, Decision, MAX_INTERRUPTIONS};
use crate::error::ErrorClass;
use std::time::Duration;

/// The longest wait for a reset time; a later one ended the task.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

pub(super) fn decide(case: &Case<'_>) -> Decision {
    let Case { policy, failure, tally, now, draw, .. } = *case;
    let failures = tally.with_agent().saturating_add(1);
    let tries_left = failures < policy.max_attempts;
    let backoff = |factor: u32| now.after(policy.delay(failures, draw).saturating_mul(factor));
    let not_before = failure.retry_at.unwrap_or(now);
    match failure.class {
        ErrorClass::Transient | ErrorClass::TimedOut if tries_left => {
            Decision::Again(not_before.max(backoff(1)))
        }
        ErrorClass::Overloaded if tries_left => Decision::Again(not_before.max(backoff(4))),
        ErrorClass::RateLimited | ErrorClass::QuotaExhausted if tries_left => {
            match failure.retry_at {
                Some(_) if case.others > 0 => Decision::FailOver,
                Some(at) if at.since(now) <= LONGEST_WAIT => Decision::Again(at.max(now)),
                Some(_) => Decision::GiveUp,
                None => Decision::Again(backoff(4)),
            }
        }
        ErrorClass::Transient
        | ErrorClass::TimedOut
        | ErrorClass::Overloaded
        | ErrorClass::RateLimited
        | ErrorClass::QuotaExhausted
        | ErrorClass::Billing
            if case.others > 0 =>
        {
            Decision::FailOver
        }
        ErrorClass::Crashed if tally.interruptions() < MAX_INTERRUPTIONS => Decision::Again(now),
        _ => Decision::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::Failure,
        policy::{RetryPolicy, Tally},
        run::Behaviour,
        time::Timestamp,
    };

    const NOW: Timestamp = Timestamp(1_000_000);

    fn decided(failure: &Failure, before: u32, others: usize) -> Decision {
        let mut tally = Tally::default();
        (0..before).for_each(|_| tally.note(failure.class));
        super::super::decide(&Case {
            policy: &RetryPolicy::default(),
            failure,
            tally: &tally,
            others,
            now: NOW,
            draw: 0,
            behaviour: Behaviour(1),
        })
    }

    fn check(class: ErrorClass, before: u32, others: usize, expected: Decision) {
        assert_eq!(decided(&Failure::new(class, "x"), before, others), expected, "{class}");
    }

    #[test]
    fn an_older_run_is_decided_as_it_began() {
        use Decision::{Again, FailOver, GiveUp};
        for class in ErrorClass::ALL {
            match class {
                ErrorClass::Transient
                | ErrorClass::Overloaded
                | ErrorClass::RateLimited
                | ErrorClass::QuotaExhausted
                | ErrorClass::TimedOut => {
                    check(class, 0, 0, Again(NOW));
                    check(class, 2, 0, GiveUp);
                    check(class, 2, 1, FailOver);
                }
                ErrorClass::Billing => {
                    check(class, 0, 1, FailOver);
                    check(class, 0, 0, GiveUp);
                }
                ErrorClass::Crashed => {
                    check(class, MAX_INTERRUPTIONS - 1, 0, Again(NOW));
                    check(class, MAX_INTERRUPTIONS, 1, GiveUp);
                }
                _ => check(class, 0, 1, GiveUp),
            }
        }
    }

    #[test]
    fn a_reset_time_was_waited_for_unless_it_was_far_or_another_agent_was_free() {
        let at = |ms| Failure::new(ErrorClass::RateLimited, "x").retry_at(Timestamp(ms));
        let near = Timestamp(1_030_000);
        assert_eq!(decided(&at(1_030_000), 0, 0), Decision::Again(near));
        assert_eq!(decided(&at(1_030_000), 0, 1), Decision::FailOver);
        assert_eq!(decided(&at(999), 0, 0), Decision::Again(NOW));
        assert_eq!(decided(&at(u64::MAX), 0, 0), Decision::GiveUp);
    }
}
