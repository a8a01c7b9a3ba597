//! The ledger port: reservations before calls, and what came of them.

use super::StoreError;
use crate::{
    id::{OwnerId, RunId},
    ledger::{Amounts, Payer, Refusal, Rule, Scope, Standing, Sums},
    time::Timestamp,
    usage::Usage,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A reservation: the process that made it, and a number that it uses once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HoldId {
    /// Who made it. All that it holds lapses with its lease.
    pub owner: OwnerId,
    /// Its number among those of the owner, from 1.
    pub number: u64,
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.number)
    }
}

/// What is to be held before a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The reservation; one that is there already is not made twice.
    pub hold: HoldId,
    /// Who pays.
    pub payer: Payer,
    /// The most that the call can spend.
    pub worst: Amounts,
    /// The limits of the settings. The budgets of the payer's run and of the runs above it are known
    /// to the store and hold besides.
    pub rules: Arc<[Rule]>,
    /// The time.
    pub now: Timestamp,
    /// Until when the owner's lease is to run at least.
    pub expires: Timestamp,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It spent this.
    Metered {
        /// What counts against limits.
        spent: Amounts,
        /// What the tokens of it were.
        usage: Usage,
    },
    /// It was made, and nobody knows what it spent: all that was held counts.
    Assumed,
    /// It was not made, or was refused at no cost.
    Released,
}

impl Settlement {
    /// It spent `spent`, of which nothing more is known.
    pub fn metered(spent: Amounts) -> Self {
        Self::Metered { spent, usage: Usage::default() }
    }

    /// What is known of the tokens that were used.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Metered { usage, .. } => *usage,
            Self::Assumed | Self::Released => Usage::default(),
        }
    }

    /// What a call becomes by this that stands at `state` and has held `worst`: its new state and
    /// what it has spent; `None` when it stays what it is.
    pub fn follows(self, state: CallState, worst: Amounts) -> Option<(CallState, Amounts)> {
        match (state, self) {
            (CallState::Held | CallState::Assumed, Self::Metered { spent, .. }) => {
                Some((CallState::Settled, spent))
            }
            (CallState::Held | CallState::Assumed, Self::Released) => {
                Some((CallState::Released, Amounts::NONE))
            }
            (CallState::Held, Self::Assumed) => Some((CallState::Assumed, worst)),
            (CallState::Assumed, Self::Assumed) | (CallState::Settled | CallState::Released, _) => {
                None
            }
        }
    }
}

/// Where a call of the ledger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CallState {
    /// Under way.
    Held,
    /// Ended with its real usage.
    Settled,
    /// Ended without usage, or with its process: counted as the most that it could spend.
    Assumed,
    /// Never made, or refused at no cost.
    Released,
}

impl CallState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Held, Self::Settled, Self::Assumed, Self::Released];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Settled => "settled",
            Self::Assumed => "assumed",
            Self::Released => "released",
        }
    }

    /// The state with that stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One call in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallRecord {
    /// Its reservation.
    pub hold: HoldId,
    /// Who pays.
    pub payer: Payer,
    /// When it was reserved. It counts in the windows of this time, whenever it ends.
    pub at: Timestamp,
    /// Where it stands.
    pub state: CallState,
    /// What was held.
    pub worst: Amounts,
    /// What it spent by the ledger: nothing while it is held or when it was released.
    pub spent: Amounts,
    /// What the tokens of a settled call were, when its settlement said so.
    #[serde(default)]
    pub usage: Usage,
}

/// A reservation that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A limit refuses it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No call has that reservation.
    #[error("the ledger has no reservation `{0}`")]
    NoSuchHold(HoldId),
    /// The ledger did not answer. The call must not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where reservations are kept. Each call is one transaction over all scopes, durable on return.
///
/// Several processes may share one. What [`ledger`](crate::ledger) decides is not decided again: an
/// implementation keeps sums by [`Scope::key`] and [`Scope::period`].
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Holds the most that a call can spend, in every scope that pays, if every limit lets it.
    /// Reservations of owners whose lease has lapsed at `now` are assumed first. Returns how each
    /// limit stood before.
    ///
    /// # Errors
    /// [`LedgerError::Refused`], with nothing held; [`LedgerError::Store`], when something may be
    /// held: asking again with the same reservation finds out.
    async fn reserve(&self, request: Arc<Reserve>) -> Result<Vec<Standing>, LedgerError>;

    /// Ends a reservation. It may be said again, and what is known of a call corrects what was
    /// assumed of it; a call that was settled or released stays as it is.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchHold`], [`LedgerError::Store`].
    async fn settle(&self, hold: &HoldId, end: Settlement) -> Result<(), LedgerError>;

    /// Moves the end of the owner's lease.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn renew(&self, owner: &OwnerId, expires: Timestamp) -> Result<(), LedgerError>;

    /// Ends the lease of `dead`, who is known to have ended, and of every owner whose lease has
    /// lapsed at `now`: their reservations are assumed. Returns how many were.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn expire(&self, dead: Option<&OwnerId>, now: Timestamp) -> Result<u64, LedgerError>;

    /// The owners whose leases have not ended, in the order of their ids.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn owners(&self) -> Result<Vec<OwnerId>, LedgerError>;

    /// Has the windows of hours of `scope` begin anew at `at`, which may be to come: what was spent
    /// before counts no more in them from then on, but for the hour of `at`, which counts as a whole.
    /// Said by whoever keeps the real window, such as a provider that tells when it resets.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn restart_window(&self, scope: &Scope, at: Timestamp) -> Result<(), LedgerError>;

    /// How the limits stand that a call for `payer` would meet.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn standings(
        &self,
        payer: &Payer,
        rules: &[Rule],
        now: Timestamp,
    ) -> Result<Vec<Standing>, LedgerError>;

    /// What `scope` has spent and what it holds, in periods from `since` on.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn sums(&self, scope: &Scope, since: Timestamp) -> Result<(Sums, Sums), LedgerError>;

    /// How many calls of `run`, or of all runs and of none, stand at each state, and what they have
    /// spent; of those that are held, what they hold.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn tally(
        &self,
        run: Option<&RunId>,
    ) -> Result<BTreeMap<CallState, (u64, Sums)>, LedgerError>;

    /// The calls of `run`, or of all runs and of none, by their reservations' order after `after`,
    /// at most `limit`.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    async fn calls(
        &self,
        run: Option<&RunId>,
        after: Option<&HoldId>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, LedgerError>;
}
