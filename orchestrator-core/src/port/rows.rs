//! The rows that lists and details are made of.

use super::CachedResult;
use crate::{
    error::Failure,
    estimate::RunEstimate,
    event::{ArtifactRef, Ask, CacheHit, Content, Origin},
    id::{
        AgentName, AttemptNumber, Epoch, ProjectId, ProviderName, RunId, Sequence, TaskName,
        TenantId, WorkflowName,
    },
    money::MicroUsd,
    run::RunStatus,
    schedule::HeldUp,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};
use serde::{Deserialize, Serialize};

/// The rows that an [`Append`](super::Append) inserts or, where the key exists, replaces. `spend` is only added to.
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
    /// Tasks whose rows are removed before the others are written: items of a list that was made
    /// again and is shorter.
    pub gone: Vec<TaskName>,
    /// Results that may be used again.
    pub cached: Vec<CachedResult>,
    /// What was expected of the run; with its first events alone.
    pub estimate: Option<RunEstimate>,
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
    /// From which run it came in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
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
    /// Whether models were not called but answered from a cassette: then what it used and cost is as
    /// it was recorded, and nothing was spent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
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
    /// Of a `for-each` task, how many items it has and how many of them have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// What it waits for besides what its run's log tells: a limit, a group, a breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up: Option<HeldUp>,
    /// What a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Box<Ask>>,
    /// What people are asked besides, by the attempt at work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_asks: Vec<Ask>,
}

impl TaskRow {
    /// All that people are asked, the longest first.
    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.ask.as_deref().into_iter().chain(&self.more_asks)
    }
}

/// The items of a `for-each` task, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ItemCounts {
    /// How many there are.
    pub count: u32,
    /// How many have ended.
    pub ended: u32,
    /// How many of those did not succeed.
    pub failed: u32,
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
    /// The child run that it is, where the task is a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<RunId>,
    /// The session in which its agent works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How many turns its journal has.
    #[serde(default)]
    pub turns: u32,
    /// Where its result was made, when it was taken from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<CacheHit>,
}

/// A run of which something was expected, and what came, its child runs included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstimatedRun {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// Where it stands.
    pub status: RunStatus,
    /// What was expected.
    pub estimate: RunEstimate,
    /// What was used.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
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
