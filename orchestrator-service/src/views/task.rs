//! Tasks, attempts, artifacts and logs as documents.

use super::{CallView, Spent, WorkView};
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
    /// What a person is asked: the first of several things.
    pub ask: Option<AskView>,
    /// What people are asked besides, by the attempt at work.
    pub more_asks: Vec<AskView>,
    /// What keeps it from starting although it could: a limit, a group, a breaker.
    pub held_up: Option<HeldUpView>,
    /// How its items stand, of a `for-each` task whose list is known.
    pub item_counts: Option<ItemCounts>,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskView {
    /// `approval`; `question` of the agent at work, or `permission` that it asks for; `failure` that
    /// only a person can mend; `budget`
    /// that has stopped it; `outcome` of an attempt that must not be repeated.
    pub kind: &'static str,
    /// What is asked, in words.
    pub message: String,
    /// When it is too late to answer; of `budget`, when it goes on by itself.
    pub expires: Option<String>,
    /// What tells it from all else that attempts of the task ask: for `--question`.
    pub question: Option<u32>,
    /// What the agent wants to do, for a permission.
    pub action: Option<ActionView>,
}

/// What an agent wants to do with one of its tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionView {
    /// The tool, as the agent calls it.
    pub tool: String,
    /// `read`, `edit`, `run`, `network` or `other`.
    pub kind: &'static str,
    /// The files that it touches.
    pub paths: Vec<String>,
    /// The command that it runs.
    pub command: Option<String>,
    /// The machines that it reaches.
    pub hosts: Vec<String>,
    /// What it is for, in the agent's words; may be empty.
    pub summary: String,
}

/// A message that was sent to an agent at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageView {
    /// Its place among the messages to the task, from 1.
    pub number: u32,
    /// What was said; null when an interruption said nothing.
    pub text: Option<String>,
    /// Whether the agent was to leave off what it was doing.
    pub interrupts: bool,
    /// When it was sent.
    pub sent_at: String,
    /// The attempt whose agent has it; null when nobody has.
    pub delivered: Option<u32>,
}

/// What a person has allowed an agent for the rest of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AllowedView {
    /// The agent.
    pub agent: String,
    /// The rule.
    pub rule: String,
    /// The task that asked.
    pub task: String,
    /// Who allowed it.
    pub by: String,
    /// When.
    pub at: String,
}

/// What a person is asked, and by which task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskedView {
    /// The task's id: what `approve`, `reject` and `answer` take.
    pub id: String,
    /// The run.
    pub run: String,
    /// The task's name.
    pub task: String,
    /// What is asked.
    #[serde(flatten)]
    pub ask: AskView,
}

/// What keeps a task from starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldUpView {
    /// `parallel`, `limit`, `group` or `breaker`.
    pub by: String,
    /// In words.
    pub reason: String,
}

/// How the items of a `for-each` task stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ItemCounts {
    /// How many there are.
    pub total: u32,
    /// How many have ended.
    pub ended: u32,
    /// How many of those failed.
    pub failed: u32,
}

/// Where a result was made that was taken from the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedView {
    /// The run that made it.
    pub run: String,
    /// The task of that run.
    pub task: String,
    /// When it was made.
    pub at: String,
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
    /// What it asks for, with `{{ }}` as in the workflow: a prompt, a program and its arguments, a
    /// workflow and its inputs, or what a person is asked.
    pub asks: Value,
    /// The child run of its last attempt, where it is a workflow.
    pub child: Option<String>,
    /// The session in which the agent of its last attempt worked.
    pub session: Option<String>,
    /// How many turns its last attempt has done.
    pub turns: u32,
    /// The messages that were sent to its agents, in order.
    pub messages: Vec<MessageView>,
    /// What people have allowed its agent for the rest of the run.
    pub allowed: Vec<AllowedView>,
    /// Where its result was made, when it was taken from the cache.
    pub cached: Option<CachedView>,
    /// What it left; null when it has not succeeded.
    pub output: Value,
    /// The answers of models that it got, of all its attempts, in the order of their record.
    pub calls: Vec<CallView>,
    /// What its attempts did in places of their own, first to last; empty without `workspace`.
    pub work: Vec<WorkView>,
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
    /// The child run that it is, where the task is a workflow.
    pub child: Option<String>,
    /// The session in which its agent works.
    pub session: Option<String>,
    /// How many turns it has done.
    pub turns: u32,
    /// Where its result was made, when it was taken from the cache.
    pub cached: Option<CachedView>,
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
