//! How much is asked of an account: what its settings allow, what its provider says is left, and
//! whether it is well. All who call it in one process share one [`AccountState`].

mod flow;
mod leave;
mod said;
mod window;

pub(crate) use flow::{Ask, Counted};
pub(crate) use leave::Leave;

use crate::Limits;
use flow::{Flow, Pause};
use http::HeaderMap;
use orchestrator_core::{
    error::ErrorClass,
    policy::{Breaker, BreakerPolicy, BreakerState},
    time::Timestamp,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

/// How long others are preferred to an account that refused without a time: its key, its credit, or
/// a limit.
const SHUNNED: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(10));

/// How long an account is left alone at most that says it is not well.
const MOST_UNWELL: Duration = Duration::from_secs(60);

/// The longest time that a call waits for a reset within the process.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The limits, counters and breaker of one account. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct AccountState {
    inner: Arc<Inner>,
}

struct Inner {
    places: Option<Arc<Semaphore>>,
    /// One waits for room at a time, so that a large call is not starved by small ones.
    turn: tokio::sync::Mutex<()>,
    flow: Mutex<Flow>,
    /// Something was given back.
    freed: Notify,
    breaker: Mutex<Breaker>,
    /// Calls under way and waiting.
    load: AtomicU32,
    shunned: Mutex<Option<Instant>>,
}

impl fmt::Debug for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountState").field("load", &self.load()).finish_non_exhaustive()
    }
}

/// How long a call may be kept waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the account's own limits, in all; `None` for as long as it takes.
    pub(crate) own: Option<Duration>,
    /// For a reset that the provider told.
    pub(crate) told: Duration,
}

/// Why a call is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The account failed several times in a row, and is left alone until then.
    Open(Timestamp),
    /// The provider takes no more before then.
    Told(Timestamp),
    /// The account's own limits leave no room for so long.
    Own(Duration),
}

/// How an account stands for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether its breaker is open.
    pub(crate) is_open: bool,
    /// Whether others are preferred.
    pub(crate) is_shunned: bool,
    /// Whether it has no place for another call now.
    pub(crate) is_full: bool,
    /// How long the call would wait.
    pub(crate) wait: Duration,
    /// Calls under way and waiting.
    pub(crate) load: u32,
}

impl AccountState {
    /// An account of which nothing is known yet, within `limits`.
    pub fn new(limits: Limits) -> Self {
        let inner = Inner {
            places: limits.concurrent.map(|most| Arc::new(Semaphore::new(most.get() as usize))),
            turn: tokio::sync::Mutex::new(()),
            flow: Mutex::new(Flow::new(limits)),
            freed: Notify::new(),
            breaker: Mutex::new(Breaker::new(BreakerPolicy::default())),
            load: AtomicU32::new(0),
            shunned: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Waits until a call may be made; `waits` is called once if it has to. Dropping the future loses
    /// nothing.
    pub(crate) async fn admit(
        &self,
        ask: &Ask<'_>,
        patience: Patience,
        clock: &(dyn Fn() -> Timestamp + Sync),
        waits: &mut (dyn FnMut() + Send),
    ) -> Result<Leave, Denied> {
        if let Some(until) = self.breaker().refuses_until(clock()) {
            return Err(Denied::Open(until));
        }
        // Counted from here on: whoever waits is load, too.
        let mut leave = Leave::new(self.clone(), ask.model);
        let mut waits = Some(waits);
        let mut told = || waits.take().map_or((), |waits| waits());
        let deadline = patience.own.map(|own| Instant::now() + own);
        // A reset of one model is not waited for where calls of others would have to wait behind it.
        while let Some(Pause::Told(until, at)) = self.pause(ask) {
            self.wait_for_reset(until, at, patience, deadline, &mut told).await?;
        }
        leave.place = self.place(deadline, &mut told).await?;
        let mut turn = self.inner.turn.try_lock().ok();
        loop {
            let freed = self.inner.freed.notified();
            tokio::pin!(freed);
            if turn.is_some() {
                freed.as_mut().enable();
                match self.try_take(ask) {
                    Ok(taken) => {
                        leave.taken = Some(taken);
                        break;
                    }
                    Err(Pause::Told(until, at)) => {
                        drop(turn.take());
                        self.wait_for_reset(until, at, patience, deadline, &mut told).await?;
                    }
                    Err(Pause::Own(until)) => {
                        told();
                        if let Some(deadline) = deadline.filter(|deadline| *deadline < until) {
                            // Somebody may still give back; else there is no use in waiting.
                            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                                return Err(Denied::Own(until.duration_since(deadline)));
                            }
                        } else {
                            let _ = timeout_at(until, freed).await;
                        }
                        continue;
                    }
                }
            }
            told();
            turn = Some(within(deadline, self.inner.turn.lock()).await?);
        }
        drop(turn);
        match self.pass_breaker(clock()) {
            Ok(is_probe) => leave.is_probe = is_probe,
            Err(until) => {
                leave.not_made();
                return Err(Denied::Open(until));
            }
        }
        Ok(leave)
    }

    /// Whether the call is a probe, or until when the breaker lets none pass.
    fn pass_breaker(&self, now: Timestamp) -> Result<bool, Timestamp> {
        let mut breaker = self.breaker();
        breaker.admit(now)?;
        Ok(matches!(breaker.state(), BreakerState::HalfOpen { .. }))
    }

    async fn wait_for_reset(
        &self,
        until: Instant,
        at: Timestamp,
        patience: Patience,
        deadline: Option<Instant>,
        waits: &mut impl FnMut(),
    ) -> Result<(), Denied> {
        let is_too_long = until.duration_since(Instant::now()) > patience.told;
        if is_too_long || deadline.is_some_and(|deadline| deadline < until) {
            return Err(Denied::Told(at));
        }
        waits();
        sleep_until(until).await;
        Ok(())
    }

    async fn place(
        &self,
        deadline: Option<Instant>,
        waits: &mut impl FnMut(),
    ) -> Result<Option<OwnedSemaphorePermit>, Denied> {
        let Some(places) = &self.inner.places else { return Ok(None) };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Ok(Some(place));
        }
        waits();
        // The semaphore is never closed, so that an error cannot be; no place is then right.
        Ok(within(deadline, places.clone().acquire_owned()).await?.ok())
    }

    fn pause(&self, ask: &Ask<'_>) -> Option<Pause> {
        let mut flow = self.flow();
        let weight = flow.weigh(ask);
        flow.pause(ask.model, weight, Instant::now())
    }

    fn try_take(&self, ask: &Ask<'_>) -> Result<flow::Taken, Pause> {
        let mut flow = self.flow();
        let (weight, now) = (flow.weigh(ask), Instant::now());
        match flow.pause(ask.model, weight, now) {
            Some(pause) => Err(pause),
            None => Ok(flow.take(ask.model, weight, now)),
        }
    }

    /// Takes note of what an answer's headers say of the limits of `model`.
    pub(crate) fn heard(&self, model: &str, headers: &HeaderMap, clock: Timestamp) {
        self.flow().heard(model, headers, (Instant::now(), clock));
    }

    /// Takes note of a refusal: of `class`, and until then if it says.
    pub(crate) fn refused(
        &self,
        model: &str,
        class: ErrorClass,
        retry_at: Option<Timestamp>,
        clock: Timestamp,
    ) {
        let now = Instant::now();
        match (class, retry_at) {
            (ErrorClass::RateLimited | ErrorClass::QuotaExhausted, Some(at)) => {
                self.flow().refused(model, at, (now, clock));
            }
            (ErrorClass::Overloaded | ErrorClass::Transient, Some(at)) => {
                let at = at.min(clock.after(MOST_UNWELL));
                self.flow().refused(model, at, (now, clock));
            }
            (ErrorClass::Auth | ErrorClass::Billing, _) => self.shun(now + SHUNNED.0),
            (
                ErrorClass::RateLimited | ErrorClass::QuotaExhausted | ErrorClass::Overloaded,
                None,
            ) => {
                self.shun(now + SHUNNED.1);
            }
            _ => {}
        }
    }

    fn shun(&self, until: Instant) {
        *self.inner.shunned.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// How it stands for a call.
    pub(crate) fn standing(&self, ask: &Ask<'_>, clock: Timestamp) -> Standing {
        let now = Instant::now();
        let shunned = *self.inner.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = self.pause(ask);
        Standing {
            is_open: self.breaker().refuses_until(clock).is_some(),
            is_shunned: shunned.is_some_and(|until| until > now),
            is_full: self.inner.places.as_ref().is_some_and(|it| it.available_permits() == 0),
            wait: pause.map_or(Duration::ZERO, |pause| pause.until().duration_since(now)),
            load: self.load(),
        }
    }

    fn load(&self) -> u32 {
        self.inner.load.load(Ordering::Relaxed)
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.inner.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.inner.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `future`, until the deadline.
async fn within<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Result<T, Denied> {
    match deadline {
        None => Ok(future.await),
        Some(deadline) => {
            // How long others take is not known; a moment is as good a guess as any.
            let busy = |_| Denied::Own(Duration::from_secs(1));
            timeout_at(deadline, future).await.map_err(busy)
        }
    }
}

#[cfg(test)]
mod tests;
