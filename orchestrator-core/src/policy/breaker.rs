//! A circuit breaker: stop calling what keeps failing, then probe it before trusting it again.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BreakerPolicy {
    /// Failures in a row that open it; at least 1. Default 5.
    pub failures: u32,
    /// How long it stays open before one probe is let through. Default 30 s.
    #[serde(with = "crate::time::text")]
    pub open_for: Duration,
    /// Successful probes in a row that close it again; at least 1. Default 1.
    pub probes: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(30), probes: 1 }
    }
}

/// | state | `admit` | success | failure |
/// |---|---|---|---|
/// | closed | yes | count to 0 | count + 1; open at the limit |
/// | open | no; after `open_for`: half-open, yes | – | stays open |
/// | half-open | one at a time | close after `probes` | open |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass; so many failed in a row.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// Calls are refused until then.
    Open {
        /// When a probe may pass.
        until: Timestamp,
    },
    /// One probe at a time passes.
    HalfOpen {
        /// Whether a probe is under way, and since when.
        probing: Option<Timestamp>,
        /// Probes that succeeded in a row.
        passed: u32,
    },
}

/// One breaker, for one provider account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: BreakerState,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: BreakerState::Closed { failures: 0 } }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may be made at `now`.
    ///
    /// A probe whose outcome was never told counts as lost after `open_for`, so that a caller that
    /// vanished cannot hold the breaker shut.
    ///
    /// # Errors
    /// The time until which calls are refused.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.refuses_until(now) {
            return Err(until);
        }
        self.state = match self.state {
            BreakerState::Closed { failures } => BreakerState::Closed { failures },
            BreakerState::Open { .. } => BreakerState::HalfOpen { probing: Some(now), passed: 0 },
            BreakerState::HalfOpen { passed, .. } => {
                BreakerState::HalfOpen { probing: Some(now), passed }
            }
        };
        Ok(())
    }

    /// Until when calls are refused; none when one may be made at `now`.
    pub fn refuses_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = match self.state {
            BreakerState::Closed { .. } | BreakerState::HalfOpen { probing: None, .. } => None,
            BreakerState::Open { until } => Some(until),
            BreakerState::HalfOpen { probing: Some(since), .. } => {
                Some(since.after(self.policy.open_for))
            }
        };
        until.filter(|until| now < *until)
    }

    /// A call succeeded.
    pub fn succeeded(&mut self) {
        self.state = match self.state {
            BreakerState::Closed { .. } => BreakerState::Closed { failures: 0 },
            BreakerState::Open { until } => BreakerState::Open { until },
            BreakerState::HalfOpen { passed, .. } if passed + 1 >= self.policy.probes => {
                BreakerState::Closed { failures: 0 }
            }
            BreakerState::HalfOpen { passed, .. } => {
                BreakerState::HalfOpen { probing: None, passed: passed + 1 }
            }
        };
    }

    /// A call ended in a way that says nothing of the other side; were it a probe, another may be
    /// made.
    pub fn abandoned(&mut self) {
        if let BreakerState::HalfOpen { probing, .. } = &mut self.state {
            *probing = None;
        }
    }

    /// A call failed in a way that speaks against the other side.
    pub fn failed(&mut self, now: Timestamp) {
        let open = BreakerState::Open { until: now.after(self.policy.open_for) };
        self.state = match self.state {
            BreakerState::Closed { failures } if failures + 1 >= self.policy.failures => open,
            BreakerState::Closed { failures } => BreakerState::Closed { failures: failures + 1 },
            BreakerState::Open { until } => BreakerState::Open { until },
            BreakerState::HalfOpen { .. } => open,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp(0);
    const LATER: Timestamp = Timestamp(30_000);

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        (0..5).for_each(|_| breaker.failed(T0));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..4 {
            breaker.failed(T0);
        }
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed(T0);
        }
        assert_eq!(breaker.admit(T0), Ok(()));
        breaker.failed(T0);
        assert_eq!(breaker.admit(T0), Err(LATER));
    }

    #[test]
    fn one_probe_passes_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LATER), Ok(()));
        assert!(breaker.admit(LATER).is_err(), "a second call during the probe");
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });

        let mut breaker = opened();
        assert_eq!(breaker.admit(LATER), Ok(()));
        breaker.failed(LATER);
        assert_eq!(breaker.admit(LATER), Err(Timestamp(60_000)));
    }

    #[test]
    fn a_probe_that_said_nothing_is_made_again() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LATER), Ok(()));
        assert_eq!(breaker.refuses_until(LATER), Some(Timestamp(60_000)));
        breaker.abandoned();
        assert_eq!(breaker.refuses_until(LATER), None);
        assert_eq!(breaker.admit(LATER), Ok(()));
    }

    #[test]
    fn a_lost_probe_does_not_hold_it_shut_for_ever() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LATER), Ok(()));
        assert_eq!(breaker.admit(Timestamp(60_000)), Ok(()));
    }
}
