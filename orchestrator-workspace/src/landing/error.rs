//! Why work could not be brought onto a branch.

use crate::git::GitError;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{CommitId, LandingId},
    port::{BlobError, LandingsError},
};
use std::{io, path::PathBuf};

/// Why work could not be brought onto a branch, or be undone there. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandError {
    /// The task lands nowhere.
    #[error("this task lands nowhere (`land: no`); give it a target to land on")]
    Nowhere,
    /// Nothing has proved it, and the branch is the user's own.
    #[error(
        "cannot land on `{branch}`: no check has proved this work; give the task `checks`, land on \
         a result branch (`mode: branch`), or say `unverified: true`"
    )]
    Unverified {
        /// The branch.
        branch: String,
    },
    /// There is no such branch.
    #[error("cannot land on `{branch}`: there is no such branch; make it, or correct `target`")]
    NoBranch {
        /// The branch.
        branch: String,
    },
    /// No branch was named, and none is checked out.
    #[error("cannot tell where to land: no branch is checked out; name one as `target`")]
    NoTarget,
    /// Somebody has the branch checked out.
    #[error(
        "cannot land on `{branch}`: it is checked out in `{}`, and files there are not changed \
         unasked; switch that checkout to another branch, land on a result branch, or allow \
         checkouts to be updated", directory.display()
    )]
    CheckedOut {
        /// The branch.
        branch: String,
        /// Where.
        directory: PathBuf,
    },
    /// The checkout that is to be updated has changes.
    #[error(
        "cannot land on `{branch}`: it is checked out in `{}` with changes that are not committed; \
         commit or stash them and try again", directory.display()
    )]
    DirtyCheckout {
        /// The branch.
        branch: String,
        /// Where.
        directory: PathBuf,
    },
    /// Somebody else moves the branch again and again.
    #[error(
        "cannot land on `{branch}`: it was moved by somebody else {times} times meanwhile; try again"
    )]
    KeepsMoving {
        /// The branch.
        branch: String,
        /// How often.
        times: u32,
    },
    /// No forge is known.
    #[error(
        "cannot open a pull request: no forge is set up; land on a result branch (`mode: branch`) \
         and open it by hand"
    )]
    NoForge,
    /// What was in the queue is gone.
    #[error("`{0}` is no longer in its queue; land it again")]
    Gone(LandingId),
    /// What a run landed cannot be undone any more.
    #[error(
        "cannot undo `{commit}` on `{branch}`: later commits change the same: {}; revert those \
         first, or undo it by hand with `git revert`",
        told(later)
    )]
    Entangled {
        /// The branch.
        branch: String,
        /// What was to be undone.
        commit: CommitId,
        /// The files.
        files: Vec<String>,
        /// The later commits, each with its subject.
        later: Vec<(CommitId, String)>,
    },
    /// The branch would not pass its checks without it.
    #[error(
        "cannot undo run `{run}` on `{branch}`: the checks do not pass without its work: {failed}"
    )]
    RedWithout {
        /// The branch.
        branch: String,
        /// The run.
        run: String,
        /// The checks that do not pass.
        failed: String,
    },
    /// The lock of a queue cannot be used.
    #[error("cannot use the lock `{}`; check that its directory is there and may be written", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What stood in the way.
        source: io::Error,
    },
    /// Git, or what it found.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] LandingsError),
    /// The evidence cannot be kept or read.
    #[error(transparent)]
    Evidence(#[from] BlobError),
    /// The evidence is no evidence.
    #[error("the evidence of a red result cannot be read: {0}")]
    Unreadable(String),
    /// The checks could not be run.
    #[error("{0}")]
    Checks(Failure),
}

fn told(later: &[(CommitId, String)]) -> String {
    let short = |commit: &CommitId| commit.as_str().chars().take(10).collect::<String>();
    let named: Vec<String> = later
        .iter()
        .take(5)
        .map(|(commit, subject)| format!("`{}` ({subject})", short(commit)))
        .collect();
    match named.is_empty() {
        true => "some that cannot be told".into(),
        false => named.join(", "),
    }
}

impl LandError {
    /// How the engine treats it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Nowhere
            | Self::Unverified { .. }
            | Self::NoBranch { .. }
            | Self::NoTarget
            | Self::NoForge
            | Self::Entangled { .. }
            | Self::RedWithout { .. } => ErrorClass::InvalidRequest,
            // A person can make room for it; the work is not lost.
            Self::CheckedOut { .. } | Self::DirtyCheckout { .. } => ErrorClass::NoProgress,
            Self::KeepsMoving { .. }
            | Self::Gone(_)
            | Self::Lock { .. }
            | Self::Queue(_)
            | Self::Evidence(_) => ErrorClass::Transient,
            Self::Git(error) => error.class(),
            Self::Unreadable(_) => ErrorClass::Internal,
            Self::Checks(failure) => failure.class,
        }
    }
}

impl From<LandError> for Failure {
    fn from(error: LandError) -> Self {
        match error {
            LandError::Checks(failure) => failure,
            other => Self::new(other.class(), told_with_cause(&other)),
        }
    }
}

fn told_with_cause(error: &LandError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
