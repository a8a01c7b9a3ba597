//! The catalog port: the side of a store that people and front-ends read.

use super::{AttemptRow, EstimatedRun, RunRow, StoreError, TaskRow};
use crate::{
    estimate::History,
    id::{AgentName, ProjectId, RunId, TaskName, TenantId, WorkflowName},
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Which runs a list shows. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Whose.
    pub tenant: Option<TenantId>,
    /// Of which project.
    pub project: Option<ProjectId>,
    /// With one of these statuses.
    pub status: Vec<RunStatus>,
    /// Children of this run.
    pub parent: Option<RunId>,
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

/// The key of calls that no run made, where what they are summed up by is a run's: not a name that
/// anything else can have.
pub const OUTSIDE: &str = "(gateway)";

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

/// The most runs of one workflow in which [`Catalog::history`] looks.
pub const HISTORY_RUNS: usize = 200;

/// The most lines of spending that [`Catalog::history`] reads of one workflow, and beside them of any. Of
/// the newest run of a workflow so many are told when it has more; any other run is told whole or not.
pub const HISTORY_LINES: usize = 2_000;

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
    /// It is what runs have recorded and, unless only `run` is asked about, the calls of the ledger
    /// that have ended and are of no task: those that other programs have made through a gateway.
    /// What such calls lack stands under [`OUTSIDE`], and they count as no run.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn spending(
        &self,
        group: SpendGroup,
        run: Option<&RunId>,
        since: Option<Timestamp>,
    ) -> Result<Vec<SpendTotal>, StoreError>;

    /// What the newest tasks used that called models, of runs that succeeded: those of these
    /// workflows, and the newest of any. Bounded, whatever the store holds: see [`HISTORY_RUNS`] and
    /// [`HISTORY_LINES`].
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn history(&self, workflows: &[WorkflowName]) -> Result<History, StoreError>;

    /// The newest runs of which something was expected, newest first, at most `limit`: of all, or only
    /// `run`; and only those created at or after `since`.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn estimated(
        &self,
        run: Option<&RunId>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<EstimatedRun>, StoreError>;

    /// Removes ended runs that were created before `before`, and the blobs that nothing refers to
    /// then. With `dry_run` it only says what it would remove.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn clean(&self, before: Timestamp, dry_run: bool) -> Result<Cleaned, StoreError>;

    /// Forgets cached results: those of `task` of `workflow` where they are named, and only those
    /// made before `before`. Returns how many; with `dry_run` how many it would forget.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn forget_cached(
        &self,
        workflow: Option<&WorkflowName>,
        task: Option<&TaskName>,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError>;
}
