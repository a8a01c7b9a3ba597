//! One reservation, from before its call until after it.

use super::{Inner, alert::Alert};
use orchestrator_core::{
    ledger::{Amounts, Standing, Unit},
    port::{HoldId, LedgerError, Settlement},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{runtime::Handle, time};

/// The longest pause before the end of a reservation is told again to a ledger that does not answer.
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// What one call holds in the ledger. Dropped without a word, a call that was sent is assumed to have
/// cost all of it, and one that was not sent is released.
pub struct Hold {
    inner: Arc<Inner>,
    id: HoldId,
    worst: Amounts,
    standings: Vec<Standing>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not sent yet.
    Waiting,
    /// It may cost something.
    Sent,
    /// Nothing is left to be said of it.
    Ended,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("id", &self.id)
            .field("worst", &self.worst)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Hold {
    pub(super) fn new(inner: Arc<Inner>, id: HoldId) -> Self {
        inner.open.fetch_add(1, Ordering::AcqRel);
        let (worst, standings, state) = (Amounts::NONE, Vec::new(), State::Waiting);
        Self { inner, id, worst, standings, state }
    }

    pub(super) fn made(&mut self, standings: Vec<Standing>, worst: Amounts) {
        (self.standings, self.worst) = (standings, worst);
    }

    pub(super) fn refused(&mut self) {
        self.state = State::Ended;
        // Nobody is freed by this, but whoever waits for the last one to end is told.
        if self.inner.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.freed.notify_waiters();
        }
    }

    /// Its id in the ledger.
    pub fn id(&self) -> &HoldId {
        &self.id
    }

    /// What is held.
    pub fn worst(&self) -> Amounts {
        self.worst
    }

    /// How the limits stood before it was made.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Whether a limit could have refused it.
    pub fn is_limited(&self) -> bool {
        self.standings.iter().any(|standing| standing.limit.is_hard)
    }

    /// The request goes out now: from here on it may cost something.
    pub fn sent(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Sent;
        }
    }

    /// Ends it, durable on return unless the ledger does not answer: then it is told again until it
    /// does. Goes on when the future is dropped. Returns what the limits' owners should know: a limit
    /// of which a half, 80 or 95 % are spent now, each once.
    pub async fn settle(mut self, end: Settlement) -> Vec<Alert> {
        self.state = State::Ended;
        let spent = match end {
            Settlement::Metered { spent, .. } => spent,
            Settlement::Assumed => self.worst,
            _ => Amounts::NONE,
        };
        let now = self.inner.clock.now();
        let standings = std::mem::take(&mut self.standings);
        let ended = tokio::spawn(tell(self.inner.clone(), self.id.clone(), end));
        // An error is a runtime that shuts down; the lease ends what was held then.
        let _ = ended.await;
        let after = standings.into_iter().map(|mut standing| {
            standing.used = standing.used.plus(spent.sums());
            standing
        });
        after.filter_map(|standing| self.inner.alerts.look(standing, now)).collect()
    }

    /// The most of `unit` that all limits had left before it was made, itself included; `None`
    /// without a limit of that unit.
    pub fn left_before(&self, unit: Unit) -> Option<u64> {
        Standing::least_left(&self.standings, unit)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let end = match self.state {
            State::Ended => return,
            State::Sent => Settlement::Assumed,
            State::Waiting => Settlement::Released,
        };
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(tell(self.inner.clone(), self.id.clone(), end));
            }
            Err(_) => {
                // Nobody is left to tell the ledger: the lease of the process ends it.
                tracing::warn!(hold = %self.id, "a reservation was left to its lease");
            }
        }
    }
}

/// Tells the ledger the end of a reservation until it has it.
async fn tell(inner: Arc<Inner>, id: HoldId, end: Settlement) {
    let mut pause = Duration::from_millis(50);
    loop {
        match inner.ledger.settle(&id, end).await {
            Ok(()) => break,
            // A reservation of which nobody knows whether it was made was not.
            Err(LedgerError::NoSuchHold(_)) if end == Settlement::Released => break,
            Err(LedgerError::Store(error)) => {
                tracing::warn!(hold = %id, %error, "the ledger does not take the end of a call; it is told again");
                time::sleep(pause).await;
                pause = (pause * 2).min(MOST_PAUSE);
            }
            Err(error) => {
                tracing::error!(hold = %id, %error, "the ledger does not know a call that was made");
                break;
            }
        }
    }
    inner.open.fetch_sub(1, Ordering::AcqRel);
    inner.freed.notify_waiters();
}
