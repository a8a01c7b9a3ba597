//! Reservations of the front: what stands between a call and the ledger. Nothing else of the front
//! knows budgets.

use super::{FrontEvent, FrontObserver};
use crate::budget::{self, Budget, BudgetError};
use orchestrator_core::{
    id::OwnerId,
    ledger::{Amounts, Payer, Rule},
    port::{Clock, HoldId, Ledger, Settlement},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// Makes reservations in the name of one owner.
pub(super) struct Admission {
    budget: Budget,
    wait: Duration,
}

impl Admission {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        owner: OwnerId,
        wait: Duration,
    ) -> Arc<Self> {
        let none: Arc<[Rule]> = Arc::new([]);
        Arc::new(Self { budget: Budget::new(ledger, none, owner, clock), wait })
    }

    /// Holds `worst` for a call. While it would fit if calls under way cost less than they hold, it
    /// waits for them, up to the front's bound.
    ///
    /// # Errors
    /// As [`Budget::reserve_under`], with nothing held.
    pub(super) async fn admit(
        &self,
        payer: Payer,
        worst: Amounts,
        rules: Arc<[Rule]>,
        observer: &Arc<dyn FrontObserver>,
    ) -> Result<Hold, BudgetError> {
        let held = self.budget.reserve_under(&rules, &payer, worst, self.wait, &mut |_| {}).await?;
        let (id, observer) = (held.id().clone(), observer.clone());
        Ok(Hold { id, payer, observer, held: Some((held, Settlement::Released)) })
    }

    /// Has the windows of the payer's account begin anew at `at`, if `rules` limit one.
    pub(super) async fn restart_window(&self, payer: &Payer, rules: &[Rule], at: Timestamp) {
        self.budget.restart_window(payer, rules, at).await;
    }

    /// Waits until every settlement is in the ledger.
    pub(super) async fn idle(&self) {
        self.budget.idle().await;
    }
}

/// What a call holds. It is settled when it is dropped: released, unless told otherwise.
pub(super) struct Hold {
    id: HoldId,
    payer: Payer,
    observer: Arc<dyn FrontObserver>,
    held: Option<(budget::Hold, Settlement)>,
}

impl Hold {
    pub(super) fn id(&self) -> &HoldId {
        &self.id
    }

    /// How it is to be settled when it is dropped.
    pub(super) fn ends_as(&mut self, end: Settlement) {
        if let Some((held, ends)) = &mut self.held {
            if end != Settlement::Released {
                held.sent();
            }
            *ends = end;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some((held, end)) = self.held.take() else { return };
        // Without a runtime the process ends, and with its lease what it held is assumed.
        let Ok(runtime) = Handle::try_current() else { return };
        let (call, payer) = (self.id.clone(), self.payer.clone());
        let observer = self.observer.clone();
        runtime.spawn(async move {
            let alerts = held.settle(end).await;
            for alert in &alerts {
                tracing::warn!(%alert, "budget");
            }
            observer.told(FrontEvent::Booked { call, payer, alerts });
        });
    }
}
