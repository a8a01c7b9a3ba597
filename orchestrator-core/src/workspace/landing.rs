//! How finished work comes onto a branch.

use super::Evidence;
use crate::id::{BlobId, CommitId};
use serde::{Deserialize, Serialize};

/// How the work of a task comes onto a branch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LandPolicy {
    /// Where to.
    #[serde(default)]
    pub mode: LandMode,
    /// The branch, without `refs/heads/`. For `branch` the run's result branch unless it is said;
    /// for the others the branch that the project was on when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Files that the task will touch: paths or patterns. Tasks that touch the same are kept apart
    /// when `keep_apart` says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<String>,
    /// Whether tasks that touch the same files do not run at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_apart: bool,
    /// Whether work that no check has proved may land on a branch that is not a result branch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

/// Where finished work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandMode {
    /// Onto a result branch, which a person merges: `orchestrator/RUN/result` unless named.
    #[default]
    Branch,
    /// Onto the target branch itself.
    Direct,
    /// Into a pull request.
    PullRequest,
    /// Nowhere: it stays on the attempt's branch.
    No,
}

impl LandMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Branch, Self::Direct, Self::PullRequest, Self::No];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Direct => "direct",
            Self::PullRequest => "pull-request",
            Self::No => "no",
        }
    }
}

/// What came of landing.
#[derive(Debug, Clone, PartialEq)]
pub enum Landing {
    /// The work is on the branch.
    Landed(Landed),
    /// It does not go together with what is on the branch.
    Conflict(Conflict),
    /// It goes together, but the checks of both together do not pass. `tip` is what the branch was.
    Red {
        /// The branch.
        target: String,
        /// What the branch was.
        tip: CommitId,
        /// What the checks gave on both together.
        evidence: Box<Evidence>,
    },
    /// A pull request is open for it: whoever merges that decides.
    Requested(PullRequestRef),
}

/// A pull request that is open for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PullRequestRef {
    /// The branch that the work wants onto, without `refs/heads/`.
    pub target: String,
    /// The commit that it asks to merge.
    pub commit: CommitId,
    /// Where people look at it.
    pub url: String,
    /// Its number there, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// Work that is on a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Landed {
    /// The branch, without `refs/heads/`.
    pub target: String,
    /// The commit there.
    pub commit: CommitId,
    /// What the branch was before.
    pub before: CommitId,
    /// What the checks gave on the branch with it, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<BlobId>,
    /// What these printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<BlobId>,
}

impl Landed {
    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobId> {
        self.evidence.iter().chain(&self.outputs)
    }
}

/// Why finished work was not let onto a branch: what is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refusal {
    /// The branch, without `refs/heads/`.
    pub target: String,
    /// What the branch was.
    pub tip: CommitId,
    /// The files that do not go together; none when they do, and the checks of both together fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// In words for the agent that is to mend it.
    pub message: String,
    /// What the checks of both together gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<BlobId>,
    /// What these printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<BlobId>,
}

impl Refusal {
    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobId> {
        self.evidence.iter().chain(&self.outputs)
    }
}

/// Why work does not go together with a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Conflict {
    /// The branch.
    pub target: String,
    /// What the branch was.
    pub tip: CommitId,
    /// The files.
    pub files: Vec<String>,
    /// What git says of it, for people and agents, cut at a bound.
    pub message: String,
}
