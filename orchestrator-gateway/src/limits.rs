//! How much is asked of a provider at once: requests and tokens a minute, and calls at a time.

use crate::Limits;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

/// The limits of one provider. Every wait ends when its future is dropped, with nothing lost.
#[derive(Debug)]
pub(crate) struct Throttle {
    slots: Option<Semaphore>,
    requests: Option<DefaultDirectRateLimiter>,
    tokens: Option<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    limiter: DefaultDirectRateLimiter,
    per_minute: NonZeroU32,
    /// Tokens that calls used beyond their estimate; whoever comes next waits for them first.
    debt: AtomicU64,
    /// One waits at a time, so that a large call is not starved by small ones.
    turn: Mutex<()>,
}

/// Leave to make one call; it takes a place until it is dropped.
#[derive(Debug)]
pub(crate) struct Leave<'a> {
    tokens: Option<&'a Tokens>,
    estimate: u32,
    _slot: Option<SemaphorePermit<'a>>,
}

impl Throttle {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            slots: limits.concurrent.map(|n| Semaphore::new(n.get() as usize)),
            requests: limits.requests_per_minute.map(|n| RateLimiter::direct(Quota::per_minute(n))),
            tokens: limits.tokens_per_minute.map(|n| Tokens {
                limiter: RateLimiter::direct(Quota::per_minute(n)),
                per_minute: n,
                debt: AtomicU64::new(0),
                turn: Mutex::new(()),
            }),
        }
    }

    /// Waits until a call of about `estimate` tokens may be made.
    pub(crate) async fn admit(&self, estimate: u32) -> Leave<'_> {
        let slot = match &self.slots {
            // The semaphore is never closed, so that an error cannot be; no slot is then right.
            Some(slots) => slots.acquire().await.ok(),
            None => None,
        };
        if let Some(tokens) = &self.tokens {
            tokens.take(estimate).await;
        }
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        Leave { tokens: self.tokens.as_ref(), estimate, _slot: slot }
    }
}

impl Tokens {
    async fn take(&self, estimate: u32) {
        let _turn = self.turn.lock().await;
        loop {
            let owed = self.debt.load(Ordering::Acquire);
            if owed == 0 {
                break;
            }
            let part = self.part(owed);
            self.wait_for(part).await;
            // Only whoever has the turn takes away, and others only add: this cannot wrap.
            self.debt.fetch_sub(u64::from(part.get()), Ordering::AcqRel);
        }
        let mut left = u64::from(estimate);
        while left > 0 {
            let part = self.part(left);
            self.wait_for(part).await;
            left -= u64::from(part.get());
        }
    }

    /// As much of `tokens`, which are not 0, as fits into a minute at once.
    fn part(&self, tokens: u64) -> NonZeroU32 {
        let part = u32::try_from(tokens).unwrap_or(u32::MAX);
        NonZeroU32::new(part).map_or(NonZeroU32::MIN, |part| part.min(self.per_minute))
    }

    async fn wait_for(&self, part: NonZeroU32) {
        if self.limiter.until_n_ready(part).await.is_err() {
            // A part is never larger than the minute's worth.
            tracing::error!(part, "a part exceeds the tokens of a minute");
        }
    }
}

impl Leave<'_> {
    /// The call has used `tokens` in all: what the estimate missed is waited for later.
    pub(crate) fn used(&self, tokens: u64) {
        if let Some(limit) = self.tokens {
            let beyond = tokens.saturating_sub(u64::from(self.estimate));
            limit.debt.fetch_add(beyond, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn throttle(requests: u32, tokens: u32, concurrent: u32) -> Throttle {
        Throttle::new(Limits {
            requests_per_minute: NonZeroU32::new(requests),
            tokens_per_minute: NonZeroU32::new(tokens),
            concurrent: NonZeroU32::new(concurrent),
        })
    }

    fn admitted(throttle: &Throttle, estimate: u32) -> Option<Leave<'_>> {
        throttle.admit(estimate).now_or_never()
    }

    #[test]
    fn without_limits_all_pass() {
        let throttle = throttle(0, 0, 0);
        let leaves: Vec<_> = (0..1_000).map(|_| admitted(&throttle, u32::MAX)).collect();
        assert!(leaves.iter().all(Option::is_some));
    }

    #[test]
    fn requests_of_a_minute_run_out() {
        let throttle = throttle(2, 0, 0);
        let passed: Vec<bool> = (0..3).map(|_| admitted(&throttle, 1).is_some()).collect();
        assert_eq!(passed, [true, true, false]);
    }

    #[test]
    fn a_place_is_free_again_when_its_call_ends() {
        let throttle = throttle(0, 0, 1);
        let first = admitted(&throttle, 1);
        assert!(first.is_some() && admitted(&throttle, 1).is_none());
        drop(first);
        assert!(admitted(&throttle, 1).is_some());
    }

    #[test]
    fn tokens_of_a_minute_run_out_and_what_was_underestimated_is_owed() {
        let throttle = throttle(0, 1_000, 0);
        assert!(admitted(&throttle, 600).is_some());
        assert!(admitted(&throttle, 600).is_none());
        let fresh = super::tests::throttle(0, 1_000, 0);
        let leave = admitted(&fresh, 100).unwrap();
        leave.used(1_000);
        assert!(admitted(&fresh, 1).is_none(), "900 are owed, and they leave nothing");
        let exact = super::tests::throttle(0, 1_000, 0);
        admitted(&exact, 100).unwrap().used(100);
        assert!(admitted(&exact, 900).is_some());
    }

    #[test]
    fn a_call_larger_than_a_minute_waits_instead_of_failing() {
        let throttle = throttle(0, 10, 0);
        assert!(admitted(&throttle, 25).is_none());
    }
}
