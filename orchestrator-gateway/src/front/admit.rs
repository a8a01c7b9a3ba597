//! Reservations: what stands between a call and the ledger. Nothing else of the front knows the
//! ledger.

use backon::{ExponentialBuilder, Retryable};
use orchestrator_core::{
    id::OwnerId,
    ledger::{Amounts, Payer, RefusalKind, Rule},
    port::{Clock, HoldId, Ledger, LedgerError, Reserve, Settlement},
    time::Timestamp,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::Notify, time::Instant};

/// How long what is held outlives its process. A call that takes longer is assumed, and corrected
/// when it ends.
const LEASE_MS: u64 = 3_600_000;

/// How long to wait for a word that something is free: other processes give none.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Makes reservations in the name of one owner.
pub(super) struct Admission {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    owner: OwnerId,
    wait: Duration,
    last: AtomicU64,
    /// Settlements that are not in the ledger yet.
    unsettled: AtomicUsize,
    /// One of them is.
    settled: Notify,
}

impl Admission {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        owner: OwnerId,
        wait: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            clock,
            owner,
            wait,
            last: AtomicU64::new(0),
            unsettled: AtomicUsize::new(0),
            settled: Notify::new(),
        })
    }

    /// Holds `worst` for a call. While it would fit if calls under way cost less than they hold, it
    /// waits for them, up to the front's bound.
    ///
    /// # Errors
    /// As [`Ledger::reserve`], with nothing held.
    pub(super) async fn admit(
        self: &Arc<Self>,
        payer: Payer,
        worst: Amounts,
        rules: Arc<[Rule]>,
    ) -> Result<Hold, LedgerError> {
        let deadline = Instant::now() + self.wait;
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let id = HoldId { owner: self.owner.clone(), number };
        // From here on whatever was held is released when this future is dropped.
        let mut hold = Hold { id, by: self.clone(), end: Some(Settlement::Released) };
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let now = self.clock.now();
            let request = Reserve {
                hold: hold.id.clone(),
                payer: payer.clone(),
                worst,
                rules: rules.clone(),
                now,
                expires: Timestamp(now.0.saturating_add(LEASE_MS)),
            };
            match self.ledger.reserve(Arc::new(request)).await {
                Ok(_) => return Ok(hold),
                Err(LedgerError::Refused(refusal))
                    if refusal.kind == RefusalKind::Busy && Instant::now() < deadline =>
                {
                    let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
                    tokio::select! {
                        () = settled => {}
                        () = tokio::time::sleep_until(look_again) => {}
                    }
                }
                Err(refused @ LedgerError::Refused(_)) => {
                    hold.end = None;
                    return Err(refused);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until every settlement is in the ledger.
    pub(super) async fn idle(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.unsettled.load(Ordering::Acquire) == 0 {
                return;
            }
            settled.await;
        }
    }
}

/// What a call holds. It is settled when it is dropped: released, unless told otherwise.
pub(super) struct Hold {
    id: HoldId,
    by: Arc<Admission>,
    /// `None` when nothing is held.
    end: Option<Settlement>,
}

impl Hold {
    pub(super) fn id(&self) -> &HoldId {
        &self.id
    }

    /// How it is to be settled when it is dropped.
    pub(super) fn ends_as(&mut self, end: Settlement) {
        self.end = Some(end);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(end) = self.end.take() else { return };
        let (id, by) = (self.id.clone(), self.by.clone());
        // Without a runtime the process ends, and with its lease what it held is assumed.
        let Ok(runtime) = Handle::try_current() else { return };
        by.unsettled.fetch_add(1, Ordering::AcqRel);
        runtime.spawn(async move {
            let settled = (|| by.ledger.settle(&id, end))
                .retry(ExponentialBuilder::default().with_max_times(5).with_jitter())
                .when(|error| matches!(error, LedgerError::Store(_)))
                .await;
            match settled {
                // A reservation that was given up before it was made.
                Err(LedgerError::NoSuchHold(_)) if matches!(end, Settlement::Released) => {}
                Err(error) => {
                    tracing::error!(hold = %id, %error, "cannot settle a call: what it held will be assumed");
                }
                Ok(()) => {}
            }
            by.unsettled.fetch_sub(1, Ordering::AcqRel);
            by.settled.notify_waiters();
        });
    }
}
