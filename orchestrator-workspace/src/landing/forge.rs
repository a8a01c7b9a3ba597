//! Where pull requests are opened.

use super::LandError;
use async_trait::async_trait;
use orchestrator_core::id::{CommitId, RunId, TaskName};

/// Opens pull requests and tells what came of them: to be implemented for a forge. None comes with the
/// product yet.
#[async_trait]
pub trait PullRequests: Send + Sync {
    /// Opens a pull request, or finds the one that is open for the same commit and branch: it is asked
    /// again for what a crash cut off. Publishes the commit first, by the user's own means.
    ///
    /// # Errors
    /// Whatever the forge says, as a [`LandError`].
    async fn open(&self, request: &PullRequest) -> Result<OpenedRequest, LandError>;

    /// What came of one that was opened.
    ///
    /// # Errors
    /// Whatever the forge says, as a [`LandError`].
    async fn look(&self, opened: &OpenedRequest) -> Result<RequestState, LandError>;
}

/// What a pull request is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The run that made the work.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// The commit to be merged.
    pub commit: CommitId,
    /// The branch that it wants onto, without `refs/heads/`.
    pub target: String,
    /// The first line of the commit's message.
    pub title: String,
    /// The rest of it.
    pub body: String,
}

/// A pull request at a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedRequest {
    /// Where people look at it.
    pub url: String,
    /// Its number there, where it has one.
    pub number: Option<u64>,
}

/// What came of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestState {
    /// Nothing yet.
    Open,
    /// It was merged.
    Merged {
        /// The commit on the branch.
        commit: CommitId,
        /// What the branch was before.
        before: CommitId,
    },
    /// It was closed without that.
    Closed,
}
