//! Tasks, attempts, artifacts and logs as documents.

use super::Spent;
use serde::Serialize;
use serde_json::Value;

/// One task in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskView {
    /// Its id: `<run>.<name>`.
    pub id: String,
    /// Its key in the workflow.
    pub name: String,
    /// Its run.
    pub run: String,
    /// `pending`, `ready`, `running`, `waiting`, `succeeded`, `failed`, `skipped`, `cancelled`, or
    /// `interrupted`: its attempt was cut off and nobody drives the run.
    pub status: String,
    /// Whether its declared checks passed; null without checks.
    pub verified: Option<bool>,
    /// Who works or worked on it last.
    pub agent: Option<String>,
    /// How many attempts were started.
    pub attempts: u32,
    /// When the first attempt started.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far.
    pub elapsed_ms: u64,
    /// Why it failed, or why its last attempt did.
    pub error: Option<FailureView>,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}

/// Everything about one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskDetails {
    /// `orchestrator.task/v1`.
    pub schema: &'static str,
    /// The task.
    #[serde(flatten)]
    pub task: TaskView,
    /// A line for people.
    pub description: Option<String>,
    /// The tasks that it needs.
    pub needs: Vec<String>,
    /// What it asks for, with `{{ }}` as in the workflow: a prompt, or a program and its arguments.
    pub asks: Value,
    /// What it left; null when it has not succeeded.
    pub output: Value,
    /// Its attempts, first to last.
    pub items: Vec<AttemptView>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptView {
    /// The run.
    pub run: String,
    /// The task's name.
    pub task: String,
    /// Which try, from 1.
    pub number: u32,
    /// Who worked.
    pub agent: String,
    /// `running`, `succeeded`, `failed`, `cancelled`, or `interrupted` as for [`TaskView::status`].
    pub status: String,
    /// When it started.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Why it failed.
    pub error: Option<FailureView>,
    /// Files that it made.
    pub artifacts: Vec<ArtifactView>,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}

/// A file that an attempt made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactView {
    /// The task's name.
    pub task: String,
    /// Its name, such as `report.md`.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content's id.
    pub blob: String,
    /// Its length.
    pub bytes: u64,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureView {
    /// The error class, such as `rate_limited`.
    pub class: String,
    /// In words.
    pub message: String,
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogPage {
    /// `orchestrator.logs/v1`.
    pub schema: &'static str,
    /// The entries in the order in which they were recorded.
    pub items: Vec<LogEntry>,
    /// Give this to the next call to go on where this one ended; never null.
    pub next: Option<String>,
    /// Whether nothing more can come: every run that it shows has ended.
    pub ended: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// The run.
    pub run: String,
    /// Its place in the run's event log.
    pub seq: u64,
    /// When it was recorded.
    pub at: String,
    /// The task's name, when it is about one.
    pub task: Option<String>,
    /// Who worked.
    pub agent: Option<String>,
    /// `stdout`, `stderr`, `note`, `model`, or `event` for the engine's own.
    pub stream: String,
    /// The line.
    pub text: String,
}
