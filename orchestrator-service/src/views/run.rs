//! Runs as documents.

use super::{ForecastOutcome, Spent, TaskView};
use orchestrator_core::money::MicroUsd;
use serde::Serialize;
use serde_json::Value;

/// One run in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's version.
    pub version: String,
    /// Where the definition came from: a file, or `template:NAME`.
    pub source: String,
    /// `running`, `waiting`, `paused`, `cancelling`, `succeeded`, `failed`, `cancelled`, or
    /// `interrupted`: its log is open, no living process drives it, and it waits for no person.
    pub status: String,
    /// The run that started it as a child and waits for it.
    pub parent: Option<String>,
    /// From which run it came in another way.
    pub origin: Option<OriginView>,
    /// When it was created.
    pub created_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far.
    pub elapsed_ms: u64,
    /// How many tasks it has.
    pub tasks: u32,
    /// How many of them have ended.
    pub ended: u32,
    /// How many of those failed.
    pub failed: u32,
    /// The most that it may cost, in US dollars.
    pub budget_usd: Option<MicroUsd>,
    /// Whether models were not called but answered from a cassette: then tokens and money are as they
    /// were recorded, and nothing was spent.
    pub replayed: bool,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}

/// From which run another one came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OriginView {
    /// `then`, `retry`, `fork` or `import`.
    pub how: String,
    /// The run, when it is known here.
    pub run: Option<String>,
    /// The last event of it that counts here, for a fork.
    pub at: Option<u64>,
}

/// Everything about one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDetails {
    /// `orchestrator.run/v1`.
    pub schema: &'static str,
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// Its inputs: an object.
    pub inputs: Value,
    /// How its tasks relate.
    pub mode: String,
    /// The most attempts at once.
    pub max_parallel: u32,
    /// The process that drives it, if one does.
    pub driver: Option<String>,
    /// What was expected of it beside what came; null when nothing was: it called no model, or was not
    /// started by `execute`.
    pub forecast: Option<ForecastOutcome>,
    /// The branches on which it has landed work.
    pub landed: Vec<super::ResultBranch>,
    /// Its tasks in the order of the workflow.
    pub items: Vec<TaskView>,
}

/// What runs now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusView {
    /// `orchestrator.status/v1`.
    pub schema: &'static str,
    /// The project's directory.
    pub project: String,
    /// The open runs with their tasks, newest first.
    pub open: Vec<RunDetails>,
    /// The runs that ended last, newest first; at most five.
    pub recent: Vec<RunView>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultView {
    /// `orchestrator.result/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// As in [`RunView::status`]; `interrupted` when it can be resumed, `waiting` when people must
    /// say something first.
    pub status: String,
    /// The class of the failure that ended it: of its first failed task. Null unless it failed.
    pub failure: Option<super::FailureView>,
    /// The task that holds the run's report, when it made one.
    pub report: Option<super::ArtifactView>,
    /// What people are asked, in it and in its children; empty unless it waits for them alone.
    pub asks: Vec<super::AskedView>,
    /// The branches on which it has landed work.
    pub landed: Vec<super::ResultBranch>,
    /// Its tasks in the order of the workflow.
    pub items: Vec<TaskView>,
    /// How long it took from creation to the end of this drive.
    pub elapsed_ms: u64,
    /// As in [`RunView::replayed`].
    pub replayed: bool,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
    /// What was expected of it beside what came, as in [`RunDetails`].
    pub forecast: Option<ForecastOutcome>,
}

/// What came of asking a run to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CancelView {
    /// `orchestrator.cancel/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// Where it stands now: `cancelling` when the process that drives it has been told, `cancelled`
    /// when it was nobody's and is over.
    pub status: String,
}

/// What a clean-up removed, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CleanView {
    /// `orchestrator.clean/v1`.
    pub schema: &'static str,
    /// Whether nothing was removed in truth.
    pub dry_run: bool,
    /// The runs.
    pub runs: Vec<String>,
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes these had.
    pub bytes: u64,
    /// How many cached results were forgotten.
    pub cached: u64,
    /// How many worktrees and other places of attempts.
    pub worktrees: u64,
    /// How many directories that lay prepared for worktrees.
    pub prepared: u64,
    /// How many directories and files of checks and commands whose process died.
    pub left_over: u64,
    /// How many hidden refs, of states of worktrees.
    pub refs: u64,
}
