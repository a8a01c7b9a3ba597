//! What follows a failed attempt.

use super::{RetryPolicy, Tally, earlier, retry::part_of};
use crate::{
    error::{ErrorClass, Failure, Remedy},
    run::{Behaviour, Change},
    time::Timestamp,
};
use std::time::Duration;

/// How many times attempts of a task that were cut off are started again without a person, in all.
pub const MAX_INTERRUPTIONS: u32 = 16;

/// How many failed attempts a task may have, of all classes, agents and revisions and over all
/// restarts. The last of them ends the task, whatever it was.
pub const MAX_ATTEMPTS_IN_TOTAL: u32 = 60;

/// How many times a task is put off by rate limits and quotas, in all.
pub const MAX_PARKS: u32 = 50;

/// How many times one agent is told to repair an output that does not fit.
pub const MAX_REPAIRS: u32 = 2;

/// How long a reset is waited for even though another agent is left.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The longest wait between two attempts. A reset that is told for later is looked at again then.
pub const MAX_WAIT: Duration = Duration::from_secs(31 * 24 * 3600);

/// How much wider the waits are for those who said that they have too much to do.
const LONGER: u32 = 4;

/// The widest wait for a quota's reset that nobody told, at first and at most; the wait is at least
/// three quarters of its width, so that it is from 15 minutes to 6 hours.
const UNKNOWN_RESET: (Duration, Duration) =
    (Duration::from_secs(20 * 60), Duration::from_secs(6 * 3600));

/// A failed attempt and all that decides what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// How often the task may be tried.
    pub policy: &'a RetryPolicy,
    /// What happened.
    pub failure: &'a Failure,
    /// What had happened before; the failure itself is not in it.
    pub tally: &'a Tally,
    /// How many agents are left in the task's ordered list.
    pub others: usize,
    /// When it is decided.
    pub now: Timestamp,
    /// A uniformly drawn number.
    pub draw: u64,
    /// The rules of the run.
    pub behaviour: Behaviour,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Try again at that time, with the same agent.
    Again(Timestamp),
    /// Try again at that time with the same agent, which is told what was wrong.
    Repair(Timestamp),
    /// Try again at that time with the same agent and a shorter prompt.
    Compact(Timestamp),
    /// Try again at once, with the next agent of the list.
    FailOver,
    /// Ask a person, in these words; they say what approving does.
    Ask(String),
    /// Ask a person, in these words, and try again by itself at that time when nobody has answered.
    AskUntil(String, Timestamp),
    /// Give up.
    GiveUp,
}

/// What follows the failure of `case`.
///
/// | class | what follows | then |
/// |---|---|---|
/// | `transient`, `timed_out` | again after a backoff, within `max-attempts` | next agent, give up |
/// | `overloaded` | again after a four times longer one, within `max-attempts` | next agent, give up |
/// | `rate_limited` | again at the reset; next agent if that is over [`PATIENCE`] away | – |
/// | – with no reset told | as `overloaded` | next agent, give up |
/// | `quota_exhausted` | next agent; else again at the reset, or after 15 min to 6 h | – |
/// | `billing` | next agent | ask |
/// | `auth`, `no_progress` | ask | – |
/// | `over_budget` | ask; again when the budget is renewed, if it is | – |
/// | `context_overflow` | compact once with each agent, within `max-attempts` | next agent, give up |
/// | `bad_output` | repair, [`MAX_REPAIRS`] with each agent, within `max-attempts` | give up |
/// | `tool_failed`, `check_failed` | repair, within `max-attempts` | give up |
/// | `crashed` | again at once, [`MAX_INTERRUPTIONS`] in all | ask |
/// | `invalid_request`, `refused`, `incompatible`, `unsafe`, `internal`, `cancelled` | give up | – |
///
/// Waits for resets and renewals are bounded by [`MAX_PARKS`] and [`MAX_WAIT`], everything together by
/// [`MAX_ATTEMPTS_IN_TOTAL`]. With `retry: never-repeat` a person is asked when nobody knows what
/// the attempt has done (`transient`, `timed_out`, `crashed`); any other failure is final.
pub fn decide(case: &Case<'_>) -> Decision {
    let Case { policy, failure, tally, others, now, draw, behaviour } = *case;
    if !behaviour.has(Change::Remedies) {
        return earlier::decide(case);
    }
    let class = failure.class;
    if class == ErrorClass::Cancelled || tally.total().saturating_add(1) >= MAX_ATTEMPTS_IN_TOTAL {
        return Decision::GiveUp;
    }
    if policy.never_repeat {
        return match class {
            ErrorClass::Transient | ErrorClass::TimedOut | ErrorClass::Crashed => {
                Decision::Ask(format!(
                    "nobody knows what the attempt has done: {failure}; look, then approve to do it \
                     again, answer with its result, or reject to fail the task"
                ))
            }
            _ => Decision::GiveUp,
        };
    }
    let or_else = |last: Decision| if others > 0 { Decision::FailOver } else { last };
    let told = |at: Timestamp| at.max(now).min(now.after(MAX_WAIT));
    // After as many failures as there are now, with this one; not before the other side allows.
    let backoff = |failures: u32, longer: u32| {
        let wait = now.after(policy.delay(failures, draw).saturating_mul(longer));
        told(failure.retry_at.map_or(wait, |at| at.max(wait)))
    };
    let tries = tally.tries().saturating_add(1);
    let tries_left = tries < policy.max_attempts;
    let same = tally.of_agent(class).saturating_add(1);
    let parks_left = tally.parks() < MAX_PARKS;
    match class.remedy() {
        Remedy::Retry if tries_left => Decision::Again(backoff(tries, 1)),
        Remedy::RetrySlowly if tries_left => Decision::Again(backoff(tries, LONGER)),
        Remedy::Wait => match failure.retry_at {
            Some(at) if others > 0 && at.since(now) > PATIENCE => Decision::FailOver,
            Some(at) if parks_left => Decision::Again(told(at)),
            None if parks_left && same < policy.max_attempts => {
                Decision::Again(backoff(same, LONGER))
            }
            Some(_) | None => or_else(Decision::GiveUp),
        },
        Remedy::Park if others == 0 && parks_left => Decision::Again(match failure.retry_at {
            Some(at) => told(at),
            None => now.after(unknown_reset(same, draw)),
        }),
        Remedy::FailOver => or_else(ask(failure)),
        Remedy::Compact if tries_left && same == 1 => Decision::Compact(now),
        Remedy::Repair if tries_left => match class {
            ErrorClass::BadOutput if same > MAX_REPAIRS => Decision::GiveUp,
            // What a tool stands on outside may need a moment; an answer or a check does not.
            ErrorClass::ToolFailed => Decision::Repair(backoff(tries, 1)),
            _ => Decision::Repair(now),
        },
        Remedy::Restart if tally.interruptions() < MAX_INTERRUPTIONS => Decision::Again(now),
        Remedy::Ask if class == ErrorClass::OverBudget && behaviour.has(Change::Renewals) => {
            match failure.retry_at {
                Some(at) if tally.total() < MAX_PARKS => until_renewed(failure, told(at)),
                Some(_) | None => ask(failure),
            }
        }
        Remedy::Restart | Remedy::Ask => ask(failure),
        Remedy::Retry | Remedy::RetrySlowly | Remedy::Park | Remedy::Compact => {
            or_else(Decision::GiveUp)
        }
        Remedy::Repair | Remedy::Fail | Remedy::None => Decision::GiveUp,
    }
}

/// The wait for the reset of a quota that nobody told, the `nth` time from 1.
fn unknown_reset(nth: u32, draw: u64) -> Duration {
    let (first, most) = UNKNOWN_RESET;
    let width = first.saturating_mul(2u32.saturating_pow(nth.saturating_sub(1))).min(most);
    width * 3 / 4 + part_of(width / 4, draw)
}

/// What a person is asked who alone can mend it.
fn ask(failure: &Failure) -> Decision {
    let mend = match failure.class {
        ErrorClass::Billing => "add credit",
        ErrorClass::Auth => "sign the account in again or mend its key",
        ErrorClass::NoProgress => "look at what it repeats",
        ErrorClass::OverBudget => "grant more budget",
        ErrorClass::Crashed => "find out what ends it again and again",
        _ => "mend it",
    };
    Decision::Ask(format!(
        "{failure}; {mend}, then approve to try again with the same agent, or reject to fail the task"
    ))
}

/// What a person may do who does not want to wait until the budget is renewed.
fn until_renewed(failure: &Failure, at: Timestamp) -> Decision {
    let words = format!(
        "{failure}; it goes on by itself at {at}; to go on now, raise the limit and approve, or \
         reject to fail the task"
    );
    Decision::AskUntil(words, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const MINUTE: u64 = 60_000;

    fn case<'a>(
        policy: &'a RetryPolicy,
        failure: &'a Failure,
        tally: &'a Tally,
        others: usize,
        draw: u64,
    ) -> Case<'a> {
        Case { policy, failure, tally, others, now: NOW, draw, behaviour: Behaviour::CURRENT }
    }

    fn after(before: &[(ErrorClass, u32)]) -> Tally {
        let mut tally = Tally::default();
        for (class, count) in before {
            (0..*count).for_each(|_| tally.note(*class));
        }
        tally
    }

    /// With no draw each wait is the shortest that it can be.
    fn decided(failure: &Failure, before: &[(ErrorClass, u32)], others: usize) -> Decision {
        decide(&case(&RetryPolicy::default(), failure, &after(before), others, 0))
    }

    fn check(class: ErrorClass, before: u32, others: usize, expected: Decision) {
        let found = decided(&Failure::new(class, "x"), &[(class, before)], others);
        assert_eq!(found, expected, "{class} after {before} with {others} others");
    }

    /// Checks that a person is asked what names `mend`.
    fn asks(class: ErrorClass, before: u32, others: usize, mend: &str) {
        let found = decided(&Failure::new(class, "the cause"), &[(class, before)], others);
        let Decision::Ask(words) = found else { panic!("{class}: {found:?}") };
        assert!(words.contains("the cause") && words.contains(mend), "{words}");
        assert!(words.contains("approve to"), "{words}");
    }

    #[test]
    fn each_class_has_its_row() {
        use Decision::{Again, Compact, FailOver, GiveUp, Repair};
        for class in ErrorClass::ALL {
            match class {
                ErrorClass::Transient | ErrorClass::TimedOut | ErrorClass::Overloaded => {
                    check(class, 0, 1, Again(NOW));
                    check(class, 2, 1, FailOver);
                    check(class, 2, 0, GiveUp);
                }
                // No reset was told.
                ErrorClass::RateLimited => {
                    check(class, 0, 1, Again(NOW));
                    check(class, 2, 1, FailOver);
                    check(class, 2, 0, GiveUp);
                }
                ErrorClass::QuotaExhausted => {
                    check(class, 0, 1, FailOver);
                    check(class, 0, 0, Again(Timestamp(NOW.0 + 15 * MINUTE)));
                    check(class, 1, 0, Again(Timestamp(NOW.0 + 30 * MINUTE)));
                    check(class, 30, 0, Again(Timestamp(NOW.0 + 270 * MINUTE)));
                    check(class, MAX_PARKS, 0, GiveUp);
                }
                ErrorClass::Billing => {
                    check(class, 0, 1, FailOver);
                    asks(class, 0, 0, "add credit");
                }
                ErrorClass::Auth => asks(class, 0, 1, "sign the account in"),
                ErrorClass::NoProgress => asks(class, 0, 1, "repeats"),
                ErrorClass::OverBudget => asks(class, 0, 1, "grant more budget"),
                ErrorClass::ContextOverflow => {
                    check(class, 0, 1, Compact(NOW));
                    check(class, 1, 1, FailOver);
                    check(class, 1, 0, GiveUp);
                }
                ErrorClass::BadOutput | ErrorClass::ToolFailed | ErrorClass::CheckFailed => {
                    check(class, 0, 0, Repair(NOW));
                    check(class, 1, 1, Repair(NOW));
                    check(class, 2, 1, GiveUp);
                }
                ErrorClass::Crashed => {
                    check(class, MAX_INTERRUPTIONS - 1, 0, Again(NOW));
                    asks(class, MAX_INTERRUPTIONS, 1, "again and again");
                }
                ErrorClass::InvalidRequest
                | ErrorClass::Refused
                | ErrorClass::Incompatible
                | ErrorClass::Unsafe
                | ErrorClass::Internal
                | ErrorClass::Cancelled => check(class, 0, 1, GiveUp),
            }
            check(class, MAX_ATTEMPTS_IN_TOTAL - 1, 3, GiveUp);
        }
    }

    #[test]
    fn a_reset_is_waited_for_however_far_unless_another_agent_is_left() {
        for class in [ErrorClass::RateLimited, ErrorClass::QuotaExhausted] {
            let check = |at: u64, parks, others, expected| {
                let failure = Failure::new(class, "x").retry_at(Timestamp(at));
                let found = decided(&failure, &[(class, parks)], others);
                assert_eq!(found, expected, "{class} at {at}");
            };
            let day = 24 * 60 * MINUTE;
            check(NOW.0 + 7 * day, 9, 0, Decision::Again(Timestamp(NOW.0 + 7 * day)));
            check(5, 0, 0, Decision::Again(NOW));
            check(u64::MAX, 0, 0, Decision::Again(NOW.after(MAX_WAIT)));
            check(NOW.0 + 7 * day, 0, 1, Decision::FailOver);
            check(NOW.0 + 7 * day, MAX_PARKS, 0, Decision::GiveUp);
        }
        let soon = Timestamp(NOW.0 + MINUTE);
        let failure = Failure::new(ErrorClass::RateLimited, "x").retry_at(soon);
        assert_eq!(decided(&failure, &[], 1), Decision::Again(soon));
    }

    #[test]
    fn a_budget_that_is_renewed_is_asked_about_until_then() {
        let renewed = Timestamp(NOW.0 + 600 * MINUTE);
        let failure = Failure::new(ErrorClass::OverBudget, "used up").retry_at(renewed);
        let before = |count| after(&[(ErrorClass::OverBudget, count)]);
        let policy = RetryPolicy::default();
        for (count, others) in [(0, 0), (0, 1), (MAX_PARKS - 1, 0)] {
            let tally = before(count);
            let Decision::AskUntil(words, at) = decide(&case(&policy, &failure, &tally, others, 0))
            else {
                panic!("{count} {others}");
            };
            assert_eq!(at, renewed);
            assert!(words.contains("goes on by itself at") && words.contains("approve"), "{words}");
        }
        let tally = before(MAX_PARKS);
        let case = case(&policy, &failure, &tally, 0, 0);
        assert!(matches!(decide(&case), Decision::Ask(_)), "not for ever");
        let earlier = Case { behaviour: Behaviour(2), tally: &before(0), ..case };
        assert!(matches!(decide(&earlier), Decision::Ask(_)), "an older run goes on as it began");
    }

    #[test]
    fn what_put_an_attempt_off_does_not_use_up_its_tries() {
        let before = [ErrorClass::Crashed, ErrorClass::QuotaExhausted, ErrorClass::OverBudget];
        let before = before.map(|class| (class, 5));
        let failure = Failure::new(ErrorClass::Transient, "x");
        assert_eq!(decided(&failure, &before, 0), Decision::Again(NOW));
    }

    #[test]
    fn classes_share_the_tries_of_an_agent() {
        let failure = Failure::new(ErrorClass::Transient, "x");
        let before = [(ErrorClass::BadOutput, 1), (ErrorClass::Overloaded, 1)];
        assert_eq!(decided(&failure, &before, 1), Decision::FailOver);
    }

    #[test]
    fn many_tries_do_not_mean_many_repairs_of_an_output() {
        let policy = RetryPolicy { max_attempts: 50, ..RetryPolicy::default() };
        for (class, expected) in [
            (ErrorClass::BadOutput, Decision::GiveUp),
            (ErrorClass::CheckFailed, Decision::Repair(NOW)),
        ] {
            let tally = after(&[(class, MAX_REPAIRS)]);
            let failure = Failure::new(class, "x");
            assert_eq!(decide(&case(&policy, &failure, &tally, 1, 0)), expected);
        }
    }

    #[test]
    fn what_must_not_be_repeated_is_asked_about_only_when_nobody_knows() {
        let policy = RetryPolicy { never_repeat: true, ..RetryPolicy::default() };
        for class in ErrorClass::ALL {
            let unknown = [ErrorClass::Transient, ErrorClass::TimedOut, ErrorClass::Crashed];
            let failure = Failure::new(class, "x");
            let found = decide(&case(&policy, &failure, &Tally::default(), 2, 0));
            match found {
                Decision::Ask(words) => {
                    assert!(unknown.contains(&class), "{class}");
                    assert!(words.contains("approve to do it again"), "{words}");
                }
                found => {
                    assert_eq!(found, Decision::GiveUp);
                    assert!(!unknown.contains(&class), "{class}");
                }
            }
        }
    }

    /// What happens to a task: a failure of a class, with a reset told or not, and whether a
    /// revision is asked for after it.
    fn history() -> impl Strategy<Value = Vec<(ErrorClass, Option<u64>, bool)>> {
        let class = (0..ErrorClass::ALL.len()).prop_map(|place| ErrorClass::ALL[place]);
        proptest::collection::vec((class, any::<Option<u64>>(), proptest::bool::ANY), 0..200)
    }

    proptest! {
        #[test]
        fn every_history_ends(
            history in history(),
            agents in 1usize..5,
            max_attempts in 0u32..200,
            draw: u64,
        ) {
            let policy = RetryPolicy { max_attempts, ..RetryPolicy::default() };
            let (mut tally, mut agent, mut attempts) = (Tally::default(), 0, 0);
            for (class, reset, revised) in history {
                let mut failure = Failure::new(class, "x");
                failure.retry_at = reset.map(Timestamp);
                let decision = decide(&case(&policy, &failure, &tally, agents - agent - 1, draw));
                tally.note(class);
                attempts += 1;
                match decision {
                    Decision::Again(at) | Decision::Repair(at) | Decision::Compact(at) => {
                        prop_assert!(at >= NOW && at <= NOW.after(MAX_WAIT));
                        if reset.is_none() {
                            prop_assert!(at <= NOW.after(UNKNOWN_RESET.1));
                        }
                    }
                    Decision::FailOver => {
                        agent += 1;
                        prop_assert!(agent < agents);
                        tally.switched();
                    }
                    // Whatever is asked, approving it is a person's doing, or a renewal's.
                    Decision::Ask(_) => {}
                    Decision::AskUntil(_, at) => {
                        prop_assert!(at >= NOW && at <= NOW.after(MAX_WAIT));
                        tally.revised();
                    }
                    Decision::GiveUp => break,
                }
                if revised {
                    tally.revised();
                }
                prop_assert!(attempts < MAX_ATTEMPTS_IN_TOTAL);
            }
        }

        #[test]
        fn one_class_alone_ends_or_asks_within_its_own_bound(
            place in 0..ErrorClass::ALL.len(),
            reset: Option<u64>,
            agents in 1usize..4,
            draw: u64,
        ) {
            let class = ErrorClass::ALL[place];
            let policy = RetryPolicy::default();
            let mut failure = Failure::new(class, "x");
            failure.retry_at = reset.map(Timestamp);
            let (mut tally, mut agent, mut attempts) = (Tally::default(), 0u32, 1u32);
            loop {
                let others = agents - 1 - agent as usize;
                let decision = decide(&case(&policy, &failure, &tally, others, draw));
                tally.note(class);
                match decision {
                    Decision::Ask(_) | Decision::AskUntil(..) | Decision::GiveUp => break,
                    Decision::FailOver => {
                        agent += 1;
                        tally.switched();
                    }
                    _ => {}
                }
                attempts += 1;
            }
            let most = match class.remedy() {
                Remedy::Wait | Remedy::Park => MAX_PARKS + agents as u32,
                Remedy::Restart => MAX_INTERRUPTIONS + 1,
                _ => policy.max_attempts * agents as u32,
            };
            prop_assert!(attempts <= most, "{class}: {attempts} attempts");
        }
    }
}
