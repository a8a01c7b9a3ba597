//! The store port: the log that is written, and who may write.
//!
//! Nothing above this port knows how it is kept. Acknowledged means durable; rows change in the
//! same transaction as the events that they are made from.

use super::Rows;
use crate::{
    event::{ArtifactRef, Content, Recorded, Reply},
    id::{BlobId, CacheKey, Epoch, OwnerId, ProjectId, RunId, Sequence, TaskName, WorkflowName},
    money::MicroUsd,
    time::Timestamp,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A store that could not do what it was asked. Nothing of the refused call has happened, except
/// after [`StoreError::Unavailable`], when it may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No run has that id.
    #[error("no run `{0}` is stored")]
    NoSuchRun(RunId),
    /// A run with that id exists already.
    #[error("run `{0}` exists already")]
    RunExists(RunId),
    /// The log is longer or shorter than the writer believes: somebody else wrote.
    #[error("run `{run}` is at event {actual}, not {expected}: another process wrote to it")]
    Conflict {
        /// The run.
        run: RunId,
        /// Where the writer believed the log to end.
        expected: Sequence,
        /// Where it ends.
        actual: Sequence,
    },
    /// The writer's lease has been taken over.
    #[error("run `{run}` is driven under epoch {actual} now; a write under {named} is refused")]
    Fenced {
        /// The run.
        run: RunId,
        /// The epoch that the write named.
        named: Epoch,
        /// The epoch in force.
        actual: Epoch,
    },
    /// Somebody else holds the lease.
    #[error("run `{run}` is driven by `{}`", lease.owner)]
    LeaseHeld {
        /// The run.
        run: RunId,
        /// The lease in force.
        lease: Lease,
    },
    /// The store was made by a newer version of this program.
    #[error(
        "the store has schema {found}, newer than the {known} that this version knows; use a newer version"
    )]
    TooNew {
        /// Its schema version.
        found: u64,
        /// The newest that is known here.
        known: u64,
    },
    /// What is stored cannot be read as what it must be.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// No room is left on the disk.
    #[error("cannot {0}: no space is left on the disk")]
    Full(String),
    /// The storage failed or did not answer in time.
    #[error("cannot {action}: {reason}")]
    Unavailable {
        /// What was attempted.
        action: String,
        /// What stood in the way.
        reason: String,
    },
}

/// The right to drive a run, until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lease {
    /// Who holds it.
    pub owner: OwnerId,
    /// Its fencing token.
    pub epoch: Epoch,
    /// When it lapses unless it is renewed.
    pub expires: Timestamp,
}

/// Events and the rows that follow from them, written as one. With no events, only rows change.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The epoch of the writer's lease.
    pub epoch: Epoch,
    /// The last event of the log as the writer knows it.
    pub expected: Sequence,
    /// The events, numbered from `expected + 1`.
    pub events: Vec<Recorded>,
    /// The rows to insert or replace.
    pub rows: Rows,
}

/// A run that has not ended, as [`Store::open_runs`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub id: RunId,
    /// The run that waits for it as for its child.
    pub parent: Option<RunId>,
    /// Who drives it, if somebody does or was cut off.
    pub lease: Option<Lease>,
}

/// Which inboxes have something new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// Where the store's inboxes end now: from here on it is asked next.
    pub last: u64,
    /// The runs that were signalled, each once, in no order.
    pub runs: Vec<RunId>,
}

/// Who asks for a concurrency group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The project; groups of different projects are different groups.
    pub project: ProjectId,
    /// The run.
    pub run: RunId,
    /// The epoch of the lease under which the run is driven.
    pub epoch: Epoch,
    /// The task.
    pub task: TaskName,
}

/// Whether a concurrency group was free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupHold {
    /// It is the claimant's now.
    Held,
    /// That task of that run has it.
    Busy {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskName,
    },
}

/// A result that may be used again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CachedResult {
    /// What it is found by.
    pub key: CacheKey,
    /// The project whose runs may use it.
    pub project: ProjectId,
    /// The workflow whose run made it.
    pub workflow: WorkflowName,
    /// The run that made it.
    pub run: RunId,
    /// The task of that run.
    pub task: TaskName,
    /// When it was made.
    pub at: Timestamp,
    /// Until when it may be used; for ever when it is not said.
    pub expires: Option<Timestamp>,
    /// The output.
    pub output: Content,
    /// Files that were made.
    pub artifacts: Vec<ArtifactRef>,
}

/// Something asked of a run, whoever drives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Signal {
    /// Stop the run.
    Cancel {
        /// Who or why.
        reason: String,
    },
    /// Start nothing more.
    Pause {
        /// Whether what runs is to stop at its next turn, rather than to finish.
        #[serde(default)]
        now: bool,
    },
    /// Go on after a pause.
    Resume {},
    /// What a person says to what a task asks.
    Reply {
        /// The task.
        task: TaskName,
        /// What was said.
        reply: Reply,
    },
    /// Stop one task; it ends as cancelled.
    Kill {
        /// The task.
        task: TaskName,
        /// Who or why.
        reason: String,
    },
    /// Say something to the agent at work on a task.
    Say {
        /// The task.
        task: TaskName,
        /// What.
        text: String,
    },
    /// Let the agent at work on a task leave off what it is doing, and go on with what is said.
    Interrupt {
        /// The task.
        task: TaskName,
        /// What is said, if anything is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// Give the run another budget, or look at the budgets again: what the budget stopped is tried
    /// once more.
    Budget {
        /// The most that the run may cost from now on; as before when it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usd: Option<MicroUsd>,
    },
    /// A child of the run has ended: look at it.
    ChildEnded {
        /// The child.
        run: RunId,
    },
}

/// A signal with its place in the run's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRecord {
    /// Its place; it only grows.
    pub number: u64,
    /// The signal.
    pub signal: Signal,
}

/// The side that the engine writes.
#[async_trait]
pub trait Store: Send + Sync {
    /// Creates a run with its first events, and gives `lease` to its owner, in one transaction.
    /// `first.expected` is 0 and `first.epoch` equals `lease.epoch`.
    ///
    /// # Errors
    /// [`StoreError::RunExists`], or any failure of the storage.
    async fn create(&self, first: Append, lease: Lease) -> Result<(), StoreError>;

    /// Appends events and changes rows in one transaction, durable on return. With the row of a
    /// run that ends by it, the lease is given back.
    ///
    /// It is shared so that the writer can try again after [`StoreError::Unavailable`] without a
    /// copy; a store must not rely on being its only owner.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::Conflict`], [`StoreError::NoSuchRun`], or any failure
    /// of the storage.
    async fn append(&self, append: Arc<Append>) -> Result<(), StoreError>;

    /// The events of `run` after `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], [`StoreError::Damaged`], or any failure of the storage.
    async fn events(
        &self,
        run: &RunId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// Takes the lease of `run`: when it is free, has expired at `now`, is `owner`'s already, or is
    /// still the one of epoch `over`, whose holder the caller knows to be dead. The new epoch is
    /// one more than the last.
    ///
    /// # Errors
    /// [`StoreError::LeaseHeld`], [`StoreError::NoSuchRun`], or any failure of the storage.
    async fn claim(
        &self,
        run: &RunId,
        owner: &OwnerId,
        now: Timestamp,
        expires: Timestamp,
        over: Option<Epoch>,
    ) -> Result<Lease, StoreError>;

    /// Moves the expiry of the lease of `epoch`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it has been taken over, or any failure of the storage.
    async fn renew(&self, run: &RunId, epoch: Epoch, expires: Timestamp) -> Result<(), StoreError>;

    /// Gives the lease of `epoch` back; harmless when it has been taken over or the run is gone.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError>;

    /// The lease of `run`, if one is in force or was never given back; none for an unknown run.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError>;

    /// Puts a signal into the run's inbox, durable on return.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or any failure of the storage.
    async fn signal(&self, run: &RunId, signal: Signal, at: Timestamp) -> Result<(), StoreError>;

    /// The signals of `run` after number `after`, in order; none for an unknown run.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError>;

    /// Which runs were signalled after the point `after`, which an earlier [`Mail::last`] names; 0
    /// is the beginning. Cheap when nothing is new.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn mail(&self, after: u64) -> Result<Mail, StoreError>;

    /// The runs that have not ended, oldest first, at most `limit` of those created after `after`.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn open_runs(
        &self,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<OpenRun>, StoreError>;

    /// Takes a concurrency group for a task, durable on return. It is free when nobody has it, when
    /// the claimant has it, and when its holder cannot be at work any more: the holder's run has
    /// ended, is not driven under the same epoch any more, or its lease has expired at `now`.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn hold(
        &self,
        group: &str,
        claimant: &Claimant,
        now: Timestamp,
    ) -> Result<GroupHold, StoreError>;

    /// Gives a concurrency group back; harmless when somebody else has it.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn unhold(&self, group: &str, claimant: &Claimant) -> Result<(), StoreError>;

    /// The result that is kept under `key`, unless it has expired at `now`. Results are kept by
    /// [`Rows::cached`].
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn cached(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<CachedResult>, StoreError>;
}

/// The blobs that rows and events of `append` refer to, each once.
pub fn blobs_of(append: &Append) -> Vec<BlobId> {
    let mut blobs: Vec<BlobId> =
        append.events.iter().flat_map(|e| e.event.blobs()).cloned().collect();
    blobs.sort();
    blobs.dedup();
    blobs
}
