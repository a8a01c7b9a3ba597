//! What git says of the project, as documents.

use super::ChangedView;
use orchestrator_core::money::MicroUsd;
use orchestrator_workspace::{
    git::Diff,
    tools::{Branch, Committed, LogEntry, Pulled, Pushed, Status},
};
use serde::Serialize;

/// What the checkout is on, and what differs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitStatusView {
    /// `orchestrator.git-status/v1`.
    pub schema: &'static str,
    /// The branch; null when the head is detached.
    pub branch: Option<String>,
    /// The commit; null before the first.
    pub commit: Option<String>,
    /// The branch that it follows.
    pub upstream: Option<String>,
    /// How many commits it has that the upstream has not.
    pub ahead: u64,
    /// How many commits the upstream has that it has not.
    pub behind: u64,
    /// What was begun and not finished, such as `merge`.
    pub unfinished: Option<String>,
    /// Whether nothing that git keeps differs.
    pub clean: bool,
    /// What the next commit changes.
    pub staged: Vec<ChangedView>,
    /// What differs from what is staged.
    pub changed: Vec<ChangedView>,
    /// What git does not keep and does not ignore.
    pub untracked: Vec<String>,
    /// Files with conflicts.
    pub conflicts: Vec<String>,
    /// Whether a list leaves something out.
    pub cut: bool,
}

/// What differs, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitDiffView {
    /// `orchestrator.git-diff/v1`.
    pub schema: &'static str,
    /// Whether it is what is staged.
    pub staged: bool,
    /// The differences.
    pub text: String,
    /// Whether the end is left out.
    pub cut: bool,
}

/// Commits, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitLogView {
    /// `orchestrator.git-log/v1`.
    pub schema: &'static str,
    /// The commits.
    pub items: Vec<GitLogEntry>,
}

/// A commit, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitLogEntry {
    /// The commit.
    pub commit: String,
    /// Who made it.
    pub author: String,
    /// When.
    pub at: String,
    /// The first line of its message.
    pub subject: String,
    /// The run that it is from.
    pub run: Option<String>,
    /// The task that it is from.
    pub task: Option<String>,
}

/// Branches, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitBranchesView {
    /// `orchestrator.git-branches/v1`.
    pub schema: &'static str,
    /// The one that was made just now; null when they were only listed.
    pub created: Option<String>,
    /// The branches; only the one that was made when one was.
    pub items: Vec<GitBranchView>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitBranchView {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub commit: String,
    /// Whether it is checked out here.
    pub current: bool,
}

/// A commit that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitCommitView {
    /// `orchestrator.git-commit/v1`.
    pub schema: &'static str,
    /// The commit.
    pub commit: String,
    /// The branch that it is on; null when the head is detached.
    pub branch: Option<String>,
    /// Its message.
    pub message: String,
    /// Where that is from: `given`, made from the `files`, or written by an `agent`.
    pub message_from: &'static str,
    /// Who was asked to write it; null when nobody was.
    pub written: Option<WrittenView>,
    /// What it changes.
    pub files: Vec<ChangedView>,
    /// Whether `files` leaves something out.
    pub cut: bool,
}

/// An agent that was asked for a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenView {
    /// The agent; null when none has begun.
    pub agent: Option<String>,
    /// The run that it was asked in.
    pub run: String,
    /// What that is known to have cost, in US dollars.
    pub cost_usd: MicroUsd,
    /// Requests whose price is unknown.
    pub unpriced_requests: u64,
    /// Why what it wrote is not the message; null when it is.
    pub refused: Option<String>,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitPushView {
    /// `orchestrator.git-push/v1`.
    pub schema: &'static str,
    /// The remote.
    pub remote: String,
    /// The branch, here and there.
    pub branch: String,
    /// Where it is now.
    pub commit: String,
    /// Whether the remote had it already.
    pub was_there: bool,
}

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitPullView {
    /// `orchestrator.git-pull/v1`.
    pub schema: &'static str,
    /// The remote.
    pub remote: String,
    /// The branch.
    pub branch: String,
    /// Where it was.
    pub before: String,
    /// Where it is.
    pub after: String,
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

impl From<Status> for GitStatusView {
    fn from(status: Status) -> Self {
        let clean = status.is_clean();
        Self {
            schema: "orchestrator.git-status/v1",
            clean,
            commit: status.commit.map(text),
            staged: status.staged.iter().map(ChangedView::from).collect(),
            changed: status.changed.iter().map(ChangedView::from).collect(),
            branch: status.branch,
            upstream: status.upstream,
            ahead: status.ahead,
            behind: status.behind,
            unfinished: status.unfinished,
            untracked: status.untracked,
            conflicts: status.conflicts,
            cut: status.is_cut,
        }
    }
}

impl GitDiffView {
    pub(crate) fn new(staged: bool, diff: Diff) -> Self {
        Self { schema: "orchestrator.git-diff/v1", staged, text: diff.text, cut: diff.is_cut }
    }
}

impl From<LogEntry> for GitLogEntry {
    fn from(entry: LogEntry) -> Self {
        let seconds = u64::try_from(entry.time).unwrap_or_default();
        Self {
            commit: entry.commit.to_string(),
            author: entry.author,
            at: orchestrator_core::time::Timestamp(seconds.saturating_mul(1_000)).to_string(),
            subject: entry.subject,
            run: entry.run,
            task: entry.task,
        }
    }
}

impl From<Branch> for GitBranchView {
    fn from(branch: Branch) -> Self {
        let Branch { name, commit, is_current } = branch;
        Self { name, commit: commit.to_string(), current: is_current }
    }
}

impl GitCommitView {
    pub(crate) fn new(
        made: Committed,
        message_from: &'static str,
        written: Option<WrittenView>,
    ) -> Self {
        Self {
            message_from,
            written,
            schema: "orchestrator.git-commit/v1",
            commit: made.commit.to_string(),
            branch: made.branch,
            message: made.message,
            files: made.files.iter().map(ChangedView::from).collect(),
            cut: made.is_cut,
        }
    }
}

impl From<Pushed> for GitPushView {
    fn from(pushed: Pushed) -> Self {
        let Pushed { remote, branch, commit, was_there } = pushed;
        let commit = commit.to_string();
        Self { schema: "orchestrator.git-push/v1", remote, branch, commit, was_there }
    }
}

impl From<Pulled> for GitPullView {
    fn from(pulled: Pulled) -> Self {
        let Pulled { remote, branch, before, after } = pulled;
        let (before, after) = (before.to_string(), after.to_string());
        Self { schema: "orchestrator.git-pull/v1", remote, branch, before, after }
    }
}
