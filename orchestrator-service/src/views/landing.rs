//! Landing, queues and rollbacks, as documents.

use super::{EvidenceView, RequestedView};
use serde::Serialize;

/// What came of landing a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LandView {
    /// `orchestrator.land/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// The branch.
    pub branch: String,
    /// `landed` when all of it is on the branch; `conflict` or `red` when a piece could not land;
    /// `waiting` when it was not waited for any longer; `withdrawn` when it was called off.
    pub status: &'static str,
    /// What the branch was; null when it was not there.
    pub before: Option<String>,
    /// What it is; null when it is not there.
    pub after: Option<String>,
    /// The pieces of work, in the order in which they land.
    pub items: Vec<LandItem>,
    /// Why the first that did not land was refused.
    pub refused: Option<LandRefusal>,
}

/// A piece of work of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LandItem {
    /// The task.
    pub task: String,
    /// Which try made it.
    pub attempt: u32,
    /// The commit that holds it.
    pub commit: String,
    /// Whether its checks passed; null without checks.
    pub verified: Option<bool>,
    /// `landed`, `unchanged` when the branch had it already, `conflict`, `red`, `waiting`,
    /// `withdrawn`, or `not-tried`.
    pub state: &'static str,
    /// The commit on the branch.
    pub landed: Option<String>,
}

/// Why a piece of work was refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LandRefusal {
    /// The task.
    pub task: String,
    /// What the branch was.
    pub tip: String,
    /// The files of a conflict; empty when the checks did not pass on the combination.
    pub files: Vec<String>,
    /// In words.
    pub message: String,
    /// What the checks gave on the combination.
    pub evidence: Option<EvidenceView>,
}

/// The queues of a project's branches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueView {
    /// `orchestrator.queue/v1`.
    pub schema: &'static str,
    /// The branches for which work is open, by name.
    pub items: Vec<QueueOfBranch>,
    /// What was settled lately, newest first.
    pub settled: Vec<SettledItem>,
}

/// The queue of a branch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueOfBranch {
    /// The branch.
    pub branch: String,
    /// What is open, most urgent first.
    pub open: Vec<QueueItem>,
}

/// A piece of work in a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueItem {
    /// Its id.
    pub id: String,
    /// The run that made it.
    pub run: String,
    /// The task.
    pub task: String,
    /// Which try.
    pub attempt: u32,
    /// The commit that holds it.
    pub commit: String,
    /// `waiting`, `testing`, or `requested` when it is in a pull request that nobody has merged yet.
    pub state: &'static str,
    /// Since when it waits.
    pub since: String,
    /// `low`, `normal`, `high` or `critical`.
    pub priority: &'static str,
    /// How many checks have to pass with it.
    pub checks: u64,
    /// The files that it changes, at most 200.
    pub files: Vec<String>,
    /// What else in the queue changes the same files.
    pub overlaps: Vec<OverlapView>,
    /// The task without whose work it does not land; null when it lands by itself.
    pub after: Option<String>,
    /// The pull request that is open for it.
    pub request: Option<RequestedView>,
}

/// Work that changes the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverlapView {
    /// The run of the other.
    pub run: String,
    /// Its task.
    pub task: String,
    /// The files.
    pub files: Vec<String>,
}

/// Work that is not in a queue any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettledItem {
    /// Its id.
    pub id: String,
    /// The branch.
    pub branch: String,
    /// The run that made it.
    pub run: String,
    /// The task.
    pub task: String,
    /// Which try.
    pub attempt: u32,
    /// `landed`, `conflict`, `red` or `withdrawn`.
    pub state: &'static str,
    /// Since when that is so.
    pub settled_at: Option<String>,
    /// The commit on the branch.
    pub landed: Option<String>,
    /// The files of a conflict.
    pub files: Vec<String>,
    /// The commit that undid it.
    pub reverted: Option<String>,
    /// The content that holds what the checks gave on the branch with it; null when none ran.
    pub evidence: Option<String>,
}

/// A piece of work in a queue, or that was, with what its checks printed on the branch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LandingDetails {
    /// `orchestrator.landing/v1`.
    pub schema: &'static str,
    /// Its id.
    pub id: String,
    /// The branch.
    pub branch: String,
    /// The run that made it.
    pub run: String,
    /// The task.
    pub task: String,
    /// Which try.
    pub attempt: u32,
    /// The commit that holds it.
    pub commit: String,
    /// As in [`QueueItem::state`] and [`SettledItem::state`].
    pub state: &'static str,
    /// Since when it is settled; null while it is open.
    pub settled_at: Option<String>,
    /// The commit on the branch.
    pub landed: Option<String>,
    /// The pull request that is open for it.
    pub request: Option<RequestedView>,
    /// The files of a conflict.
    pub files: Vec<String>,
    /// What git says of a conflict.
    pub message: Option<String>,
    /// What the checks gave on the branch with it.
    pub evidence: Option<EvidenceView>,
    /// What these printed, in their order.
    pub outputs: Vec<PrintedView>,
}

/// What a check printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrintedView {
    /// The check.
    pub name: String,
    /// The content that holds all of it.
    pub blob: String,
    /// The last of it, at most 64 KiB.
    pub text: String,
    /// Whether that leaves something out.
    pub cut: bool,
}

/// A step of a landing, as it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LandStepView {
    /// `orchestrator.land-step/v1`.
    pub schema: &'static str,
    /// The branch.
    pub branch: String,
    /// `taken` when this process works on the queue now; `joined` when work was put together on the
    /// branch; `checking` when its checks run; `advancing` and `advanced` when the branch moves;
    /// `settled` when a piece has ended.
    pub step: &'static str,
    /// The pieces that it is about, in order: the task, or the id of what others have in the queue.
    pub work: Vec<String>,
    /// How many pieces it is about.
    pub pieces: usize,
    /// The commit that it is about.
    pub commit: Option<String>,
    /// How the piece has ended.
    pub state: Option<&'static str>,
}

/// What a rollback would undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackPlan {
    /// The run.
    pub run: String,
    /// The branch.
    pub branch: String,
    /// The tasks and what they landed as, newest first.
    pub work: Vec<(String, String)>,
}

/// What a rollback did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollbackView {
    /// `orchestrator.rollback/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// The branch.
    pub branch: String,
    /// What the branch was.
    pub before: String,
    /// What it is.
    pub after: String,
    /// The hash of its files now.
    pub tree: String,
    /// Whether that is just what it was before the run landed anything there.
    pub restored: bool,
    /// What was undone, newest first.
    pub reverts: Vec<RevertView>,
    /// The content that holds what the checks gave without the work; null without checks.
    pub evidence: Option<String>,
}

/// A commit that was reverted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevertView {
    /// The task that made it.
    pub task: String,
    /// What it was.
    pub commit: String,
    /// What reverts it; null when its content was gone already.
    pub by: Option<String>,
}
