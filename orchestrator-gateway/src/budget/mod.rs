//! Budgets at work: nothing goes out that the ledger has not let pass.
//!
//! A [`Budget`] belongs to one process. Before each call it has the ledger hold the most that the
//! call can cost; [`Hold`] is that reservation, which ends with what the call really cost. When the
//! ledger does not answer, the call is not made. As long as something is held the lease in the ledger
//! is renewed; should the process die, others count what it held as spent once the lease has lapsed.

mod alert;
mod hold;
mod lease;

pub use alert::Alert;
pub use hold::Hold;

use alert::Alerts;
use lease::Lease;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::OwnerId,
    ledger::{Amounts, Payer, Refusal, RefusalKind, Rule, Scope, ScopeKind, Standing, Window},
    port::{Clock, HoldId, Ledger, LedgerError, Reserve, StoreError},
    time::Timestamp,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time};

/// How long a call waits at most for others to give back what they hold.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it looks, beside being told when a call of the same process ends.
const LOOK: Duration = Duration::from_millis(250);

/// How often a reservation is asked for again when the ledger did not answer.
const TRIES: u32 = 3;

/// The budgets that calls of this process are made under. Cheap to clone.
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

/// Where rules come from. They are asked for before each call, so that it must be cheap.
pub trait RuleBook: Send + Sync {
    /// The rules that hold now.
    fn rules(&self) -> Arc<[Rule]>;
}

/// Rules that stay what they are.
impl RuleBook for Arc<[Rule]> {
    fn rules(&self) -> Arc<[Rule]> {
        self.clone()
    }
}

struct Inner {
    ledger: Arc<dyn Ledger>,
    rules: Arc<dyn RuleBook>,
    owner: OwnerId,
    clock: Arc<dyn Clock>,
    last: AtomicU64,
    /// How many reservations have not ended.
    open: AtomicU64,
    /// Some reservation has ended.
    freed: Notify,
    lease: Lease,
    alerts: Alerts,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("owner", &self.inner.owner)
            .field("rules", &self.inner.rules.rules())
            .finish_non_exhaustive()
    }
}

/// A call that must not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// A limit refuses it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The ledger did not answer.
    #[error("the ledger did not answer, so that nothing may be spent: {0}")]
    Ledger(StoreError),
}

impl BudgetError {
    /// The failure of a call of `model` by this.
    pub fn into_failure(self, model: &str) -> Failure {
        match self {
            Self::Refused(refusal) => {
                let advice = match refusal.kind {
                    RefusalKind::UnknownPrice => "; set one under [prices] in the settings",
                    _ => "",
                };
                let message = format!(
                    "the budget does not allow a call of model `{model}`: {refusal}{advice}"
                );
                let mut failure = Failure::new(ErrorClass::OverBudget, message);
                failure.retry_at = refusal.renews.filter(|_| refusal.kind == RefusalKind::Over);
                failure
            }
            Self::Ledger(_) => {
                Failure::new(ErrorClass::Transient, format!("cannot call model `{model}`: {self}"))
            }
        }
    }
}

impl Budget {
    /// Budgets in `ledger`: those of runs, and `rules`. `owner` names this value among all that share
    /// the ledger, in this process and others, and is used for no other.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        rules: impl Into<Arc<[Rule]>>,
        owner: OwnerId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let rules: Arc<[Rule]> = rules.into();
        Self::by(ledger, Arc::new(rules), owner, clock)
    }

    /// The same with rules that may change.
    pub fn by(
        ledger: Arc<dyn Ledger>,
        rules: Arc<dyn RuleBook>,
        owner: OwnerId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (last, open) = (AtomicU64::new(0), AtomicU64::new(0));
        let (freed, lease, alerts) = (Notify::new(), Lease::default(), Alerts::default());
        let inner = Inner { ledger, rules, owner, clock, last, open, freed, lease, alerts };
        Self { inner: Arc::new(inner) }
    }

    /// How the limits stand that a call for `payer` would meet.
    ///
    /// # Errors
    /// [`BudgetError::Ledger`].
    pub async fn standings(&self, payer: &Payer) -> Result<Vec<Standing>, BudgetError> {
        let now = self.inner.clock.now();
        let found = self.inner.ledger.standings(payer, &self.inner.rules.rules(), now).await;
        found.map_err(|error| match error {
            LedgerError::Store(error) => BudgetError::Ledger(error),
            other => BudgetError::Ledger(unexpected(&other)),
        })
    }

    /// Holds `worst` for a call of `payer`.
    ///
    /// # Errors
    /// [`BudgetError::Refused`], also while calls under way hold too much;
    /// [`BudgetError::Ledger`] when the ledger does not answer three times in a row.
    pub async fn reserve(&self, payer: &Payer, worst: Amounts) -> Result<Hold, BudgetError> {
        self.ask(&self.inner.rules.rules(), payer, worst).await
    }

    async fn ask(
        &self,
        rules: &Arc<[Rule]>,
        payer: &Payer,
        worst: Amounts,
    ) -> Result<Hold, BudgetError> {
        let inner = &self.inner;
        let number = inner.last.fetch_add(1, Ordering::Relaxed) + 1;
        let id = HoldId { owner: inner.owner.clone(), number };
        // From here on it may be held: the guard ends it, whatever becomes of this future.
        let mut hold = Hold::new(inner.clone(), id.clone());
        let mut tries = 0;
        loop {
            let now = inner.clock.now();
            let request = Reserve {
                hold: id.clone(),
                payer: payer.clone(),
                worst,
                rules: rules.clone(),
                now,
                expires: inner.lease.end(now),
            };
            match inner.ledger.reserve(Arc::new(request)).await {
                Ok(standings) => {
                    hold.made(standings, worst);
                    Lease::keep(inner);
                    return Ok(hold);
                }
                Err(LedgerError::Refused(refusal)) => {
                    hold.refused();
                    return Err(BudgetError::Refused(refusal));
                }
                Err(LedgerError::Store(error)) => {
                    tries += 1;
                    if tries == TRIES {
                        return Err(BudgetError::Ledger(error));
                    }
                    time::sleep(Duration::from_millis(20 << tries)).await;
                }
                Err(other) => return Err(BudgetError::Ledger(unexpected(&other))),
            }
        }
    }

    /// The same, waiting while it would fit but for what calls under way hold; `waits` is told of
    /// that once. Calls end by themselves, and mostly cost less than they hold.
    ///
    /// # Errors
    /// As [`Budget::reserve`]; `Refused` with [`RefusalKind::Busy`] only after ten minutes.
    pub async fn reserve_patiently(
        &self,
        payer: &Payer,
        worst: Amounts,
        waits: &mut (dyn FnMut(&Refusal) + Send),
    ) -> Result<Hold, BudgetError> {
        self.wait(&self.inner.rules.rules(), payer, worst, PATIENCE, waits).await
    }

    /// The same under `more` rules besides, waiting for `patience` at most.
    ///
    /// # Errors
    /// As [`Budget::reserve_patiently`], after that time.
    pub async fn reserve_under(
        &self,
        more: &Arc<[Rule]>,
        payer: &Payer,
        worst: Amounts,
        patience: Duration,
        waits: &mut (dyn FnMut(&Refusal) + Send),
    ) -> Result<Hold, BudgetError> {
        let own = self.inner.rules.rules();
        let rules = match (own.is_empty(), more.is_empty()) {
            (true, _) => more.clone(),
            (_, true) => own.clone(),
            _ => own.iter().chain(more.iter()).cloned().collect(),
        };
        self.wait(&rules, payer, worst, patience, waits).await
    }

    /// Has the windows of hours of the account begin anew at `at`, since its provider says that its
    /// own does. Nothing is done where neither these budgets nor `more` limit such a window.
    pub(crate) async fn restart_window(&self, payer: &Payer, more: &[Rule], at: Timestamp) {
        let inner = &self.inner;
        let scope =
            Scope::Account(payer.tenant.clone(), payer.project.clone(), payer.account.clone());
        let rules = inner.rules.rules();
        let limits_it = |rule: &Rule| {
            rule.of == ScopeKind::Account
                && matches!(rule.window, Window::Hours(_))
                && rule.name.as_deref().is_none_or(|name| name == payer.account.as_str())
        };
        if !rules.iter().chain(more).any(limits_it) {
            return;
        }
        if let Err(error) = inner.ledger.restart_window(&scope, at).await {
            // The window counts a little longer than the provider's: nobody spends too much.
            tracing::warn!(account = %payer.account, %error, "the end of a window is not recorded");
        }
    }

    /// Waits until every reservation has ended, and the ledger has it.
    pub async fn idle(&self) {
        loop {
            let freed = self.inner.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.inner.open.load(Ordering::Acquire) == 0 {
                return;
            }
            freed.await;
        }
    }

    async fn wait(
        &self,
        rules: &Arc<[Rule]>,
        payer: &Payer,
        worst: Amounts,
        patience: Duration,
        waits: &mut (dyn FnMut(&Refusal) + Send),
    ) -> Result<Hold, BudgetError> {
        let until = time::Instant::now() + patience;
        let mut told = false;
        loop {
            let freed = self.inner.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.ask(rules, payer, worst).await {
                Err(BudgetError::Refused(refusal))
                    if refusal.kind == RefusalKind::Busy && time::Instant::now() < until =>
                {
                    if !std::mem::replace(&mut told, true) {
                        waits(&refusal);
                    }
                }
                other => return other,
            }
            // Other processes free without a word.
            let _ = time::timeout(LOOK, freed).await;
        }
    }
}

fn unexpected(error: &LedgerError) -> StoreError {
    StoreError::Unavailable { action: "reserve in the ledger".into(), reason: error.to_string() }
}
