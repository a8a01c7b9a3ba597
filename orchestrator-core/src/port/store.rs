//! The store port: the log that is written, the rows that are read, and who may write.
//!
//! Nothing above this port knows how it is kept. Acknowledged means durable; rows change in the
//! same transaction as the events that they are made from.

use crate::{
    error::Failure,
    event::{ArtifactRef, Content, Recorded},
    id::{
        AgentName, AttemptNumber, BlobId, Epoch, OwnerId, ProjectId, ProviderName, RunId, Sequence,
        TaskName, TenantId, WorkflowName,
    },
    money::MicroUsd,
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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

/// Events and the rows that follow from them, written as one.
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

/// The rows that an [`Append`] inserts or, where the key exists, replaces. `spend` is only added to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// The run's row.
    pub run: Option<RunRow>,
    /// Rows of tasks that changed.
    pub tasks: Vec<TaskRow>,
    /// Rows of attempts that changed.
    pub attempts: Vec<AttemptRow>,
    /// New lines of spending.
    pub spend: Vec<SpendRow>,
}

/// One run as lists and details show it. Key: `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: WorkflowName,
    /// The workflow's version.
    pub version: String,
    /// Where the definition came from.
    pub source: String,
    /// Where it stands.
    pub status: RunStatus,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many tasks it has.
    pub tasks: u32,
    /// How many of them have ended.
    pub ended: u32,
    /// How many of those failed.
    pub failed: u32,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
    /// The most that it may cost.
    pub budget: Option<MicroUsd>,
    /// Its last event.
    pub seq: Sequence,
}

/// One task as lists and details show it. Key: `run`, `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TaskRow {
    /// The run.
    pub run: RunId,
    /// Its key in the workflow.
    pub name: TaskName,
    /// Its place in the workflow, from 0.
    pub position: u32,
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether its declared checks passed: `None` without checks.
    pub verified: Option<bool>,
    /// Who works or worked on it last.
    pub agent: Option<AgentName>,
    /// How many attempts were started.
    pub attempts: u32,
    /// When the first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
    /// Why it failed, or why its last attempt did.
    pub error: Option<Failure>,
    /// What it left.
    pub output: Option<Content>,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptStatus {
    /// It works.
    Running,
    /// Its answer was accepted.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl AttemptStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with that stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// One attempt. Key: `run`, `task`, `number`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttemptRow {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// Which try.
    pub number: AttemptNumber,
    /// Its fencing token.
    pub epoch: Epoch,
    /// Who worked.
    pub agent: AgentName,
    /// Where it stands.
    pub status: AttemptStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
    /// Files that it made.
    pub artifacts: Vec<ArtifactRef>,
}

/// One line of spending: an attempt's calls of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SpendRow {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// Which try.
    pub attempt: AttemptNumber,
    /// Who spent it.
    pub agent: AgentName,
    /// With whom.
    pub provider: ProviderName,
    /// On which model.
    pub model: String,
    /// In how many requests.
    pub requests: u32,
    /// What was used.
    pub usage: Usage,
    /// What it cost; `None` when unknown.
    pub cost: Option<MicroUsd>,
    /// When it was recorded.
    pub at: Timestamp,
}

/// Something asked of the process that drives a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signal {
    /// Stop the run.
    Cancel {
        /// Who or why.
        reason: String,
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

    /// Appends events and changes rows in one transaction, durable on return.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::Conflict`], [`StoreError::NoSuchRun`], or any failure
    /// of the storage.
    async fn append(&self, append: Append) -> Result<(), StoreError>;

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

    /// Gives the lease of `epoch` back; harmless when it has been taken over.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError>;

    /// The lease of `run`, if one is in force or was never given back.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError>;

    /// Puts a signal into the run's inbox, durable on return.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or any failure of the storage.
    async fn signal(&self, run: &RunId, signal: Signal, at: Timestamp) -> Result<(), StoreError>;

    /// The signals of `run` after number `after`, in order.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError>;
}

/// Which runs a list shows. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Whose.
    pub tenant: Option<TenantId>,
    /// Of which project.
    pub project: Option<ProjectId>,
    /// With one of these statuses.
    pub status: Vec<RunStatus>,
    /// In which this agent made an attempt.
    pub agent: Option<AgentName>,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub before: Option<Timestamp>,
    /// With this text in its id, workflow or source, regardless of case.
    pub search: Option<String>,
}

/// Which tasks a list shows. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Of this run.
    pub run: Option<RunId>,
    /// With one of these statuses.
    pub status: Vec<TaskStatus>,
    /// Done last by this agent.
    pub agent: Option<AgentName>,
    /// Of runs created at or after.
    pub since: Option<Timestamp>,
    /// With this text in its name or its run's id, regardless of case.
    pub search: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The most items.
    pub limit: usize,
    /// Where the last page ended: its `next`.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 50, cursor: None }
    }
}

/// A page's items and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// By what spending is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpendGroup {
    /// By agent.
    Agent,
    /// By model.
    Model,
    /// By provider.
    Provider,
    /// By task: its id.
    Task,
    /// By project.
    Project,
    /// By day in UTC: `2026-01-31`.
    Day,
    /// By run.
    Run,
}

/// The sum of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SpendTotal {
    /// What the group has in common.
    pub key: String,
    /// How many runs are in it.
    pub runs: u64,
    /// How many requests.
    pub requests: u64,
    /// What was used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
}

/// What a clean-up removed, or would.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cleaned {
    /// The runs.
    pub runs: Vec<RunId>,
    /// How many blobs nothing refers to any more.
    pub blobs: u64,
    /// How many bytes these had.
    pub bytes: u64,
}

/// The side that people and front-ends read. Lists are newest first; tasks of one run are in the
/// order of its workflow.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// A page of runs.
    ///
    /// # Errors
    /// Any failure of the storage; a cursor that no list gave is [`StoreError::Damaged`].
    async fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Listing<RunRow>, StoreError>;

    /// One run.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError>;

    /// The ids that start with `prefix`, newest first, at most `limit`.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn run_ids(&self, prefix: &str, limit: usize) -> Result<Vec<RunId>, StoreError>;

    /// A page of tasks.
    ///
    /// # Errors
    /// As for [`Catalog::runs`].
    async fn tasks(&self, filter: &TaskFilter, page: &Page)
    -> Result<Listing<TaskRow>, StoreError>;

    /// The attempts of a run, or of one of its tasks, in the order in which they started.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn attempts(
        &self,
        run: &RunId,
        task: Option<&TaskName>,
    ) -> Result<Vec<AttemptRow>, StoreError>;

    /// The attempts of one agent, newest first, at most `limit`.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn attempts_of(
        &self,
        agent: &AgentName,
        limit: usize,
    ) -> Result<Vec<AttemptRow>, StoreError>;

    /// Spending summed up, the largest cost first; by day in the order of the days.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn spending(
        &self,
        group: SpendGroup,
        run: Option<&RunId>,
        since: Option<Timestamp>,
    ) -> Result<Vec<SpendTotal>, StoreError>;

    /// Removes ended runs that were created before `before`, and the blobs that nothing refers to
    /// then. With `dry_run` it only says what it would remove.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn clean(&self, before: Timestamp, dry_run: bool) -> Result<Cleaned, StoreError>;
}

/// The blobs that rows and events of `append` refer to, each once.
pub fn blobs_of(append: &Append) -> Vec<BlobId> {
    let mut blobs: Vec<BlobId> =
        append.events.iter().flat_map(|e| e.event.blobs()).cloned().collect();
    blobs.sort();
    blobs.dedup();
    blobs
}
