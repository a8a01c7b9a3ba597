//! The landings port: the queues in which finished work waits for its branch.

use super::{Listing, Page, StoreError};
use crate::{
    id::{CommitId, Epoch, LandingId, ProjectId, RunId, TenantId},
    time::Timestamp,
    workspace::{LandingRow, LandingState, LandingTarget},
};
use async_trait::async_trait;

/// A queue that could not do what it was asked. Nothing of the refused call has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LandingsError {
    /// Somebody else works on the queue now.
    #[error(
        "the queue of `{target}` is worked under epoch {actual} now; a write under {named} is refused"
    )]
    Fenced {
        /// The branch.
        target: LandingTarget,
        /// The epoch that the write named.
        named: Epoch,
        /// The epoch in force.
        actual: Epoch,
    },
    /// Nothing has that id.
    #[error("no work `{0}` is in a queue")]
    Unknown(LandingId),
    /// It has ended otherwise.
    #[error("`{id}` cannot become {wanted}: it is {state}")]
    Settled {
        /// Which.
        id: LandingId,
        /// What it is.
        state: &'static str,
        /// What it was to be.
        wanted: &'static str,
    },
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which settled work a list shows. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LandingFilter {
    /// Whose.
    pub tenant: Option<TenantId>,
    /// Of which project.
    pub project: Option<ProjectId>,
    /// For this branch.
    pub branch: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
}

/// The durable queues of branches. Each change is durable on return.
///
/// One at a time works on a queue: it takes it, and names the epoch that it got with each change of
/// the work in it. Whoever was slow and is not the one any more is refused.
#[async_trait]
pub trait Landings: Send + Sync {
    /// Puts work in, unless the same work of the same attempt is in that queue, or was: that one
    /// is given back then, as it is.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn enqueue(&self, row: LandingRow) -> Result<LandingRow, LandingsError>;

    /// The work with that id.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn landing(&self, id: &LandingId) -> Result<Option<LandingRow>, LandingsError>;

    /// All that is open for a branch: most urgent first, and of equally urgent ones the one that
    /// came first.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn waiting(&self, target: &LandingTarget) -> Result<Vec<LandingRow>, LandingsError>;

    /// The branches of a project for which something is open, in the order of their names.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn targets(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Vec<LandingTarget>, LandingsError>;

    /// What is settled, newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a cursor that is none of this list, or any failure of the
    /// storage.
    async fn settled(
        &self,
        filter: &LandingFilter,
        page: &Page,
    ) -> Result<Listing<LandingRow>, LandingsError>;

    /// Work that did not land is wanted again: see [`LandingRow::again`].
    ///
    /// # Errors
    /// [`LandingsError::Unknown`], or any failure of the storage.
    async fn again(&self, id: &LandingId, at: Timestamp) -> Result<LandingRow, LandingsError>;

    /// Nobody wants the work any more: see [`LandingRow::withdraw`].
    ///
    /// # Errors
    /// [`LandingsError::Unknown`], or any failure of the storage.
    async fn withdraw(&self, id: &LandingId, at: Timestamp) -> Result<LandingRow, LandingsError>;

    /// A pull request is open for the work: see [`LandingRow::requested`]. To say the same again is
    /// harmless.
    ///
    /// # Errors
    /// [`LandingsError::Unknown`]; [`LandingsError::Settled`] when it has ended, or is not for one; any
    /// failure of the storage.
    async fn requested(
        &self,
        id: &LandingId,
        url: &str,
        number: Option<u64>,
    ) -> Result<LandingRow, LandingsError>;

    /// Takes the queue of a branch over from whoever had it. What was being tested waits
    /// again. Whoever takes it has made sure that it is the only one at work. Returns the new epoch.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn take(&self, target: &LandingTarget) -> Result<Epoch, LandingsError>;

    /// Work is being tested, each piece with the commit that the branch would be with it. Must be
    /// durable before the branch moves: it is how landed work is known after a crash.
    ///
    /// # Errors
    /// [`LandingsError::Fenced`], [`LandingsError::Unknown`], [`LandingsError::Settled`]; then none
    /// of them is. Any failure of the storage.
    async fn test(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        batch: &str,
        work: &[(LandingId, CommitId)],
    ) -> Result<(), LandingsError>;

    /// Pieces of work end, in this order. To say the same again is harmless.
    ///
    /// # Errors
    /// [`LandingsError::Fenced`], [`LandingsError::Unknown`], [`LandingsError::Settled`]; then none
    /// of them is. Any failure of the storage.
    async fn settle(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        work: &[(LandingId, LandingState)],
        at: Timestamp,
    ) -> Result<(), LandingsError>;

    /// What a run landed on a branch and has not been undone, in the order in which it landed;
    /// without what changed nothing.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn landed(
        &self,
        target: &LandingTarget,
        run: &RunId,
    ) -> Result<Vec<LandingRow>, LandingsError>;

    /// Landed work was undone, each piece by that commit.
    ///
    /// # Errors
    /// [`LandingsError::Fenced`], [`LandingsError::Unknown`], or any failure of the storage.
    async fn reverted(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        work: &[(LandingId, CommitId)],
    ) -> Result<(), LandingsError>;

    /// Forgets what was settled before `before`. Returns how many; with `dry_run` how many it would
    /// forget.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn forget_landings(&self, before: Timestamp, dry_run: bool)
    -> Result<u64, LandingsError>;
}
