//! Time that jumps, and ids from a seed.

use super::Rng;
use async_trait::async_trait;
use orchestrator_core::{
    id::RunId,
    port::{Clock, Ids},
    time::Timestamp,
};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A clock on the paused time of a tokio runtime: when nothing can go on, it jumps to the next
/// timer. It outlives the runtime, so that one clock serves a process and the one after it.
#[derive(Debug)]
pub struct VirtualClock {
    at: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    /// The time when `since` was.
    base: Timestamp,
    /// The runtime's instant that `base` is; none between two runtimes.
    since: Option<Instant>,
    /// What was told last, and how often in a row.
    told: (Timestamp, u32),
}

/// How often the same instant may be told until somebody turns in a circle.
const CIRCLE: u32 = 300_000;

impl VirtualClock {
    /// A clock that stands at `base`.
    pub fn new(base: Timestamp) -> Self {
        Self { at: Mutex::new(Reading { base, since: None, told: (base, 0) }) }
    }

    /// Lets it go on with the time of the runtime that this is called in, which must be paused.
    pub fn start(&self) {
        self.with(|at| at.since = Some(Instant::now()));
    }

    /// Stops it, in the runtime that it goes with, and sets it forward by `pause`.
    pub fn stop(&self, pause: Duration) {
        self.with(|at| {
            let now = at.since.map_or(at.base, |since| at.base.after(Instant::now() - since));
            at.base = now.after(pause);
            at.since = None;
        });
    }

    /// Whether somebody asks for the time again and again while it does not go on.
    pub fn is_stuck(&self) -> bool {
        self.with(|at| at.told.1 > CIRCLE)
    }

    /// The present instant, for whoever only takes notes.
    pub fn reading(&self) -> Timestamp {
        self.with(|at| at.since.map_or(at.base, |since| at.base.after(Instant::now() - since)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Reading) -> T) -> T {
        act(&mut self.at.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let (now, stuck) = self.with(|at| {
            let now = match at.since {
                Some(since) => at.base.after(Instant::now() - since),
                None => at.base,
            };
            at.told = if at.told.0 == now || at.told.1 > CIRCLE {
                (now, at.told.1.saturating_add(1))
            } else {
                (now, 0)
            };
            (now, at.told.1 > CIRCLE)
        });
        if stuck {
            // Whoever turns in a circle without ever waiting can be stopped in no other way.
            std::panic::resume_unwind(Box::new("time stands still"));
        }
        now
    }

    async fn until(&self, at: Timestamp) {
        let left = at.since(self.now());
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
    }
}

/// Ids and draws from a seed.
#[derive(Debug)]
pub struct SeededIds {
    rng: Mutex<Rng>,
}

impl SeededIds {
    /// The ids of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(Rng::new(seed, "ids")) }
    }
}

impl Ids for SeededIds {
    fn run_id(&self, now: Timestamp) -> RunId {
        RunId::of(now, self.draw())
    }

    fn draw(&self) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).draw()
    }
}
