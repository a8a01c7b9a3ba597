//! The life of a piece of work in the queue of a branch.

use super::{ChecksPolicy, Conflict, LandMode, Landed, PullRequestRef};
use crate::{
    id::{AttemptNumber, BlobId, CommitId, LandingId, ProjectId, RunId, TaskName, TenantId},
    schedule::urgency,
    task::Priority,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A branch that work lands on. Each has a queue of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LandingTarget {
    /// Whose.
    pub tenant: TenantId,
    /// Of which project.
    pub project: ProjectId,
    /// The branch, without `refs/heads/`.
    pub branch: String,
}

impl fmt::Display for LandingTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.branch)
    }
}

/// Work that wants onto a branch, and what came of it.
///
/// | from | by | to |
/// |---|---|---|
/// | waiting | [`LandingRow::test`] | testing |
/// | testing | [`LandingRow::put_back`] | waiting |
/// | waiting, for a pull request | [`LandingRow::requested`] | requested |
/// | waiting, testing, requested | [`LandingRow::settle`] | landed, conflict, red, withdrawn |
/// | waiting, never tested; requested | [`LandingRow::withdraw`] | withdrawn |
/// | waiting, testing | [`LandingRow::withdraw`] | the same, and wanted by nobody |
/// | conflict, red, withdrawn | [`LandingRow::again`] | waiting |
///
/// Work that has landed stays so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LandingRow {
    /// Made by whoever puts it in.
    pub id: LandingId,
    /// Where to.
    pub target: LandingTarget,
    /// The run that made it.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// Which try.
    pub attempt: AttemptNumber,
    /// The commit that holds it.
    pub commit: CommitId,
    /// What it was made on.
    pub base: CommitId,
    /// What kind of branch it is for. A result branch begins at the base of the first work for it.
    pub mode: LandMode,
    /// How urgent it is.
    pub priority: Priority,
    /// Since when it waits.
    pub at: Timestamp,
    /// The files that it changes, at most [`LandingRow::LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What has to pass on the branch with it.
    pub checks: ChecksPolicy,
    /// Other work without which it does not land: what it was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<LandingId>,
    /// Where it is.
    pub state: LandingState,
    /// The commits with which it was about to land, newest last, at most [`LandingRow::TRIED`]. A
    /// branch that contains one of them has it, whatever was recorded since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<CommitId>,
    /// Whether nobody wants it any more. It is open still: the branch may have it already, and
    /// whoever works on the queue finds that out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unwanted: bool,
    /// When it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The commit that undid it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<CommitId>,
}

/// Where a piece of work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum LandingState {
    /// In the queue.
    Waiting {},
    /// Put together with what is before it, and being checked.
    Testing {
        /// What tells this batch from others.
        batch: String,
        /// The commit that the branch would be with it.
        candidate: CommitId,
    },
    /// A pull request is open for it: it waits for whoever merges that.
    Requested {
        /// Where people look at it.
        url: String,
        /// Its number there, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
    },
    /// On the branch.
    Landed {
        /// The commit there.
        commit: CommitId,
        /// What the branch was before; the same when the work had nothing that was not there.
        before: CommitId,
        /// What the checks gave, when there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<BlobId>,
        /// What these printed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<BlobId>,
    },
    /// It does not go together with what is there.
    Conflict {
        /// What the branch was.
        tip: CommitId,
        /// The files.
        files: Vec<String>,
        /// What git says, cut at a bound.
        message: String,
    },
    /// It goes together, but the checks do not pass.
    Red {
        /// What the branch was.
        tip: CommitId,
        /// What the checks gave.
        evidence: BlobId,
        /// What these printed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<BlobId>,
    },
    /// Nobody wants it any more.
    Withdrawn {},
}

impl LandingState {
    /// The stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting {} => "waiting",
            Self::Testing { .. } => "testing",
            Self::Requested { .. } => "requested",
            Self::Landed { .. } => "landed",
            Self::Conflict { .. } => "conflict",
            Self::Red { .. } => "red",
            Self::Withdrawn {} => "withdrawn",
        }
    }

    /// Whether it has not ended: it waits, is being tested, or is in a pull request.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Waiting {} | Self::Testing { .. } | Self::Requested { .. } => true,
            Self::Landed { .. } | Self::Conflict { .. } | Self::Red { .. } | Self::Withdrawn {} => {
                false
            }
        }
    }

    /// The evidence that it names.
    pub fn evidence(&self) -> Option<&BlobId> {
        match self {
            Self::Landed { evidence, .. } => evidence.as_ref(),
            Self::Red { evidence, .. } => Some(evidence),
            Self::Waiting {}
            | Self::Testing { .. }
            | Self::Requested { .. }
            | Self::Conflict { .. }
            | Self::Withdrawn {} => None,
        }
    }

    /// What the checks printed whose evidence it names.
    pub fn outputs(&self) -> &[BlobId] {
        match self {
            Self::Landed { outputs, .. } | Self::Red { outputs, .. } => outputs,
            Self::Waiting {}
            | Self::Testing { .. }
            | Self::Requested { .. }
            | Self::Conflict { .. }
            | Self::Withdrawn {} => &[],
        }
    }
}

impl LandingRow {
    /// The most files that are listed.
    pub const LISTED: usize = 200;

    /// The most commits that are remembered of those with which it was about to land.
    pub const TRIED: usize = 16;

    /// How urgent it is: the smallest number is the most urgent, and does not change while it
    /// waits. A step of priority is worth five minutes, so that nothing waits for ever.
    pub fn urgency(&self) -> i128 {
        urgency(self.priority, self.at)
    }

    /// Whether `other` is the same work for the same branch.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.target, &self.run, &self.task, self.attempt, &self.commit)
            == (&other.target, &other.run, &other.task, other.attempt, &other.commit)
    }

    /// What landed, when it has and changed the branch.
    pub fn landed(&self) -> Option<Landed> {
        match &self.state {
            LandingState::Landed { commit, before, evidence, outputs } => Some(Landed {
                target: self.target.branch.clone(),
                commit: commit.clone(),
                before: before.clone(),
                evidence: evidence.clone(),
                outputs: outputs.clone(),
            }),
            LandingState::Waiting {}
            | LandingState::Testing { .. }
            | LandingState::Requested { .. }
            | LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => None,
        }
    }

    /// Whether it changed the branch and is there still.
    pub fn is_to_undo(&self) -> bool {
        self.reverted.is_none() && self.landed().is_some_and(|done| done.commit != done.before)
    }

    /// The conflict that it ended with.
    pub fn conflict(&self) -> Option<Conflict> {
        match &self.state {
            LandingState::Conflict { tip, files, message } => Some(Conflict {
                target: self.target.branch.clone(),
                tip: tip.clone(),
                files: files.clone(),
                message: message.clone(),
            }),
            LandingState::Waiting {}
            | LandingState::Testing { .. }
            | LandingState::Requested { .. }
            | LandingState::Landed { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => None,
        }
    }

    /// The pull request that is open for it.
    pub fn request(&self) -> Option<PullRequestRef> {
        match &self.state {
            LandingState::Requested { url, number } => Some(PullRequestRef {
                target: self.target.branch.clone(),
                commit: self.commit.clone(),
                url: url.clone(),
                number: *number,
            }),
            LandingState::Waiting {}
            | LandingState::Testing { .. }
            | LandingState::Landed { .. }
            | LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => None,
        }
    }

    /// Whether those who work on the queue bring it onto the branch: what is in a pull request, or is
    /// for one, is merged elsewhere.
    pub fn is_for_the_queue(&self) -> bool {
        self.mode != LandMode::PullRequest
    }

    /// The files that both change, of those that are listed.
    pub fn overlap<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        self.files.iter().filter(|file| other.files.contains(file)).map(String::as_str).collect()
    }

    /// It is being tested: with it the branch would be `candidate`. Says whether it may be.
    pub fn test(&mut self, batch: &str, candidate: &CommitId) -> bool {
        match &self.state {
            LandingState::Waiting {} | LandingState::Testing { .. } => {}
            LandingState::Requested { .. }
            | LandingState::Landed { .. }
            | LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => return false,
        }
        if self.tried.last() != Some(candidate) {
            if self.tried.len() == Self::TRIED {
                self.tried.remove(0);
            }
            self.tried.push(candidate.clone());
        }
        self.state =
            LandingState::Testing { batch: batch.to_owned(), candidate: candidate.clone() };
        true
    }

    /// Nobody tests it any more: whoever did is gone.
    pub fn put_back(&mut self) {
        match &self.state {
            LandingState::Testing { .. } => self.state = LandingState::Waiting {},
            LandingState::Waiting {}
            | LandingState::Requested { .. }
            | LandingState::Landed { .. }
            | LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => {}
        }
    }

    /// A pull request is open for it. Says whether it may be in one: it is for one and waits, or is in
    /// just that one already.
    pub fn requested(&mut self, url: &str, number: Option<u64>) -> bool {
        let wanted = LandingState::Requested { url: url.to_owned(), number };
        match &self.state {
            LandingState::Waiting {} if self.mode == LandMode::PullRequest => {
                self.state = wanted;
                true
            }
            state => *state == wanted,
        }
    }

    /// It ends with `state`. Says whether it may: it is open, or ended just so already.
    pub fn settle(&mut self, state: &LandingState, at: Timestamp) -> bool {
        if state.is_open() {
            return false;
        }
        if !self.state.is_open() {
            return self.state == *state;
        }
        self.state = state.clone();
        self.is_unwanted = false;
        self.settled_at = Some(at);
        true
    }

    /// Nobody wants it any more. What is or was being tested is left to whoever works on the queue.
    pub fn withdraw(&mut self, at: Timestamp) {
        match &self.state {
            LandingState::Waiting {} if self.tried.is_empty() => {
                self.state = LandingState::Withdrawn {};
                self.settled_at = Some(at);
            }
            // Closing it there is for people.
            LandingState::Requested { .. } => {
                self.state = LandingState::Withdrawn {};
                self.settled_at = Some(at);
            }
            LandingState::Waiting {} | LandingState::Testing { .. } => self.is_unwanted = true,
            LandingState::Landed { .. }
            | LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => {}
        }
    }

    /// It is wanted again, from now on.
    pub fn again(&mut self, at: Timestamp) {
        self.is_unwanted = false;
        match &self.state {
            LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => {
                self.state = LandingState::Waiting {};
                self.settled_at = None;
                self.at = at;
            }
            LandingState::Waiting {}
            | LandingState::Testing { .. }
            | LandingState::Requested { .. }
            | LandingState::Landed { .. } => {}
        }
    }
}
