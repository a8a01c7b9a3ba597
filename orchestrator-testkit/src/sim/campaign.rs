//! Many seeds at once, on every core.

use super::{Outcome, Simulation};
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What a campaign has come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// How many seeds were simulated.
    pub seeds: u64,
    /// How many runs there were in them.
    pub runs: u64,
    /// How often a process died.
    pub crashes: u64,
    /// How many calls passed the seams.
    pub calls: u64,
    /// How many turns were performed.
    pub performed: u64,
    /// How many of them are in the logs.
    pub recorded: u64,
    /// How many permissions people decided.
    pub permitted: u64,
    /// How many messages agents have got.
    pub delivered: u64,
    /// How long it took in virtual time.
    pub took: Duration,
    /// Each seed that broke a promise, with the first one that it broke, in order.
    pub failed: Vec<(u64, String)>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds: {} runs, {} crashes, {} calls, {} turns performed, {} recorded, \
             {} permissions decided, {} messages delivered, {} virtual hours, {} seeds failed",
            self.seeds,
            self.runs,
            self.crashes,
            self.calls,
            self.performed,
            self.recorded,
            self.permitted,
            self.delivered,
            self.took.as_secs() / 3_600,
            self.failed.len()
        )
    }
}

impl Figures {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.runs += outcome.runs as u64;
        self.crashes += u64::from(outcome.crashes);
        self.calls += outcome.calls;
        self.performed += outcome.performed;
        self.recorded += outcome.recorded;
        self.permitted += outcome.permitted;
        self.delivered += outcome.delivered;
        self.took += outcome.took;
        let first = outcome.violations.into_iter().next();
        self.failed.extend(first.map(|what| (outcome.seed, what)));
    }
}

/// Whether each seed is simulated once, or twice to see that both traces are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Once.
    Once,
    /// Twice; a difference is a broken promise.
    Twice,
}

/// Simulates the seeds from `from` on, `count` of them, with as many threads as there are cores.
/// `make` makes the simulation of a seed.
pub fn campaign(
    from: u64,
    count: u64,
    times: Times,
    make: impl Fn(u64) -> Simulation + Sync,
) -> Figures {
    let next = AtomicU64::new(from);
    let figures = Mutex::new(Figures::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(count) {
                return;
            }
            let simulation = make(seed);
            let mut outcome = simulation.run();
            if times == Times::Twice
                && let Some((line, first, second)) =
                    outcome.trace.difference(&simulation.run().trace)
            {
                let what = format!("line {line} differs: `{first}`, the second time `{second}`");
                outcome.violations.push(what);
            }
            figures.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut figures = figures.into_inner().unwrap_or_else(PoisonError::into_inner);
    figures.failed.sort();
    figures
}
