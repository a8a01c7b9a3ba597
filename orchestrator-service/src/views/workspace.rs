//! Differences, checkpoints, places of attempts and receipts, as documents.

use super::ChangedView;
use serde::Serialize;

/// What a task or a run has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffView {
    /// `orchestrator.diff/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// The task; null for the whole run.
    pub task: Option<String>,
    /// Which try; null for the whole run.
    pub attempt: Option<u32>,
    /// The branch; null for a task.
    pub branch: Option<String>,
    /// The commit that it is compared with.
    pub from: String,
    /// The commit, or with `now` the tree, that holds the changes.
    pub to: String,
    /// Whether it is of the files as they are now and not of a commit.
    pub now: bool,
    /// The files that differ, by path.
    pub files: Vec<FileDiffView>,
    /// All of it in unified form, unless only the files were asked for.
    pub diff: Option<String>,
    /// Whether `diff` leaves something out.
    pub is_cut: bool,
}

/// How one file differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDiffView {
    /// The file and what happened to it.
    #[serde(flatten)]
    pub file: ChangedView,
    /// New lines; null for a binary file.
    pub added: Option<u64>,
    /// Lines that are gone; null for a binary file.
    pub removed: Option<u64>,
}

/// The recorded states of a task's places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointsView {
    /// `orchestrator.checkpoints/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// The task.
    pub task: String,
    /// The checkpoints, first to last.
    pub items: Vec<CheckpointView>,
}

/// A recorded state of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointView {
    /// In which attempt.
    pub attempt: u32,
    /// The turn after which it was made; null where no turn ended.
    pub turn: Option<u32>,
    /// The commit.
    pub commit: String,
    /// When.
    pub at: String,
    /// How many files differ from the state before.
    pub files: u32,
    /// Files that were left out because they are too large.
    pub left_out: Vec<String>,
}

/// A state that was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreView {
    /// `orchestrator.restore/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// The task.
    pub task: String,
    /// The attempt that had made it.
    pub attempt: u32,
    /// The commit that was restored.
    pub commit: String,
    /// The directory that holds its files; null for a branch.
    pub directory: Option<String>,
    /// The branch that leads to it; null for a directory.
    pub branch: Option<String>,
    /// The commit that holds what was in the place before; null where nothing was unrecorded.
    pub before: Option<String>,
}

/// The places of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorktreesView {
    /// `orchestrator.worktrees/v1`.
    pub schema: &'static str,
    /// The places, by run, task and attempt.
    pub items: Vec<PlaceView>,
    /// The directories that lie ready for the next.
    pub prepared: Vec<PreparedView>,
}

/// A directory with the files of a commit that the next worktree can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreparedView {
    /// Where it is.
    pub directory: String,
    /// The commit or tree; null where it was not finished, so that it is nobody's.
    pub commit: Option<String>,
    /// How much of the disk it takes.
    pub bytes: u64,
    /// When it was made.
    pub since: String,
}

/// The place of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceView {
    /// The run.
    pub run: String,
    /// The task.
    pub task: String,
    /// Which try.
    pub attempt: u32,
    /// `none`, `project`, `worktree` or `copy`.
    pub kind: String,
    /// Its branch; null without git.
    pub branch: Option<String>,
    /// Where it is.
    pub directory: String,
    /// How much of the disk it takes.
    pub bytes: u64,
    /// `in use`, `kept` or `orphan`.
    pub state: &'static str,
    /// Since when it has been so.
    pub since: String,
}

/// What cleaning places did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorktreesCleanView {
    /// `orchestrator.worktrees-clean/v1`.
    pub schema: &'static str,
    /// Whether nothing was removed in fact.
    pub dry_run: bool,
    /// The places that are gone, or would be.
    pub removed: Vec<PlaceView>,
    /// The directories that lay ready and are gone, or would be.
    pub prepared: Vec<PreparedView>,
    /// How many bytes that gives back.
    pub bytes: u64,
    /// Those that could not be removed.
    pub failed: Vec<NotRemovedView>,
}

/// A place that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotRemovedView {
    /// Where it is.
    pub directory: String,
    /// Why.
    pub reason: String,
}

/// Whether a receipt is what was signed, and whether what it names is what is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyView {
    /// `orchestrator.verify/v1`.
    pub schema: &'static str,
    /// The file.
    pub file: String,
    /// Whether nothing is wrong with it.
    pub good: bool,
    /// The run that it is of.
    pub run: String,
    /// The public key that it names.
    pub key: String,
    /// Whose that is: `trusted` when it is the one that was given, `own` when it is the user's, else
    /// `unknown`.
    pub signed_by: &'static str,
    /// What was checked and is right, in words.
    pub verified: Vec<String>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// What could not be checked here, in words.
    pub unchecked: Vec<String>,
    /// What it says of tasks; nothing when something is wrong with it.
    pub tasks: Vec<ReceiptTaskView>,
}

/// What a receipt says of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptTaskView {
    /// The task.
    pub task: String,
    /// How its last attempt ended.
    pub status: String,
    /// Whether its checks passed on what it made.
    pub verified: bool,
}

/// The public key of the user's receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptKeyView {
    /// `orchestrator.receipt-key/v1`.
    pub schema: &'static str,
    /// What others verify receipts with.
    pub key: String,
    /// The file of the private key.
    pub file: String,
}
