//! Where attempts work and how their work is proved: what is declared and what was found, without
//! any git, file or process. Those are behind [`Workspaces`](crate::port::Workspaces).

mod evidence;
mod landing;
mod policy;
mod queue;

pub use evidence::{
    CaseOutcome, CheckOutcome, CheckRecord, Evidence, Finding, FindingKind, Judgement, TestCounts,
    Verdict,
};
pub use landing::{Conflict, LandMode, LandPolicy, Landed, Landing, PullRequestRef, Refusal};
pub use policy::{
    CheckCommand, CheckParser, CheckSpec, ChecksPolicy, TamperPolicy, WorkspaceKind,
    WorkspacePolicy,
};
pub use queue::{LandingRow, LandingState, LandingTarget};

use crate::id::{BlobId, CommitId, TurnNumber};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// A workspace that is ready: what is recorded of it, so that it is found again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Opened {
    /// What kind it is.
    pub kind: WorkspaceKind,
    /// Where the attempt works.
    pub directory: PathBuf,
    /// The commit that it began from; none without git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CommitId>,
    /// Its branch, without `refs/heads/`; none without git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Variables for what runs in it, such as its ports: never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// How what runs in it is confined, such as `landlock`; `off` when it is not.
    pub sandbox: String,
}

/// A state of a workspace that was recorded as a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checkpoint {
    /// The commit.
    pub commit: CommitId,
    /// The turn after which it was made; none at the end of an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnNumber>,
    /// How many files differ from the state before.
    pub files: u32,
    /// Files that were left out because they are too large.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<PathBuf>,
}

/// What an attempt has made, as one commit on its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit; its parent is the base. The base itself when nothing was changed.
    pub commit: CommitId,
    /// What it was made on.
    pub base: CommitId,
    /// The files that differ, in the order of their paths.
    pub files: Vec<ChangedFile>,
    /// The difference in unified form, cut at a bound.
    pub diff: String,
    /// Whether `diff` leaves something out.
    pub is_cut: bool,
    /// Files that were left out of the commit because they are too large.
    pub left_out: Vec<PathBuf>,
}

/// A file that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangedFile {
    /// Its path in the repository, lossy where it is not UTF-8.
    pub path: String,
    /// What happened to it.
    pub change: Change,
    /// Where it was before, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added,
    /// Its content is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another path, and perhaps another content.
    Renamed,
    /// It is another kind of thing: a link, a submodule, or executable or not.
    TypeChanged,
}

/// What is recorded of an attempt's work once its agent is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WorkRecord {
    /// The commit that holds it.
    pub commit: CommitId,
    /// What it was made on.
    pub base: CommitId,
    /// How many files differ.
    pub files: u32,
    /// The first of them, at most [`WorkRecord::LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<ChangedFile>,
    /// The difference in unified form: a blob of text, cut at a bound. None when nothing differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<BlobId>,
}

/// Where the evidence of a commit is, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EvidenceRef {
    /// The document `orchestrator.evidence/v1`.
    pub blob: BlobId,
    /// What it comes to.
    pub verdict: Verdict,
    /// The commit that was checked.
    pub commit: CommitId,
    /// What the checks printed: the blobs that the document names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<BlobId>,
}

/// All that is known of a task's work once it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WorkFacts {
    /// What was made.
    pub work: WorkRecord,
    /// What proves it, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRef>,
    /// Where it has landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landed: Option<Landed>,
    /// The pull request that was opened for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<PullRequestRef>,
}

impl WorkFacts {
    /// What is known of work that is neither proved nor landed.
    pub fn new(work: WorkRecord) -> Self {
        Self { work, evidence: None, landed: None, requested: None }
    }

    /// Whether the commit that was made, and no other, was found to be good.
    pub fn is_verified(&self) -> bool {
        self.evidence.as_ref().is_some_and(|evidence| {
            evidence.verdict == Verdict::Verified && evidence.commit == self.work.commit
        })
    }

    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobId> {
        let proved = self.evidence.iter().flat_map(|evidence| evidence.blobs());
        let landed = self.landed.iter().flat_map(|landed| landed.blobs());
        self.work.diff.iter().chain(proved).chain(landed)
    }
}

impl EvidenceRef {
    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobId> {
        std::iter::once(&self.blob).chain(&self.outputs)
    }
}

impl WorkRecord {
    /// The most files that are listed in the log.
    pub const LISTED: usize = 200;
}
