//! The lease of a process in the ledger: as long as it is renewed, what is held is held.

use super::Inner;
use orchestrator_core::time::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, time};

/// How long the lease runs: a process that says nothing for so long is taken to be dead.
const LEASE: Duration = Duration::from_secs(30);

/// How often it is renewed while something is held.
const RENEW: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(super) struct Lease {
    /// The end that was last asked for, in milliseconds.
    end: AtomicU64,
    /// Whether somebody renews it.
    kept: AtomicBool,
}

impl Lease {
    /// The end to ask for at `now`. It moves only when half of the lease is over, so that most
    /// reservations need not write it.
    pub(super) fn end(&self, now: Timestamp) -> Timestamp {
        let end = Timestamp(self.end.load(Ordering::Relaxed));
        let (next, beyond) = (now.after(LEASE), end.since(now));
        if beyond > LEASE / 2 && end <= next {
            return end;
        }
        self.end.store(next.0, Ordering::Relaxed);
        next
    }

    /// Has the lease renewed from now on, until nothing is held any more.
    pub(super) fn keep(inner: &Arc<Inner>) {
        if inner.lease.kept.swap(true, Ordering::AcqRel) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let weak = Arc::downgrade(inner);
        runtime.spawn(async move {
            loop {
                time::sleep(RENEW).await;
                let Some(inner) = weak.upgrade() else { return };
                if inner.open.load(Ordering::Acquire) == 0 {
                    inner.lease.kept.store(false, Ordering::Release);
                    // Unless a call came between the two: it found the lease kept.
                    if inner.open.load(Ordering::Acquire) == 0
                        || inner.lease.kept.swap(true, Ordering::AcqRel)
                    {
                        return;
                    }
                }
                let end = inner.clock.now().after(LEASE);
                match inner.ledger.renew(&inner.owner, end).await {
                    Ok(()) => inner.lease.end.store(end.0, Ordering::Relaxed),
                    Err(error) => {
                        tracing::warn!(%error, "the lease in the ledger could not be renewed");
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_moves_when_half_of_the_lease_is_over() {
        let lease = Lease::default();
        let ends = [0, 1, 14_999, 15_000, 20_000, 100_000, 50_000]
            .map(|ms| lease.end(Timestamp(1_000_000 + ms)).0 - 1_000_000);
        assert_eq!(ends, [30_000, 30_000, 30_000, 45_000, 45_000, 130_000, 80_000]);
    }
}
