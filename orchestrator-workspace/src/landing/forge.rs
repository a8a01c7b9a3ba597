//! Where pull requests are opened.

use super::LandError;
use async_trait::async_trait;
use orchestrator_core::id::{CommitId, RunId, TaskName};

/// Opens pull requests: to be implemented for a forge. None comes with the product yet.
#[async_trait]
pub trait PullRequests: Send + Sync {
    /// Opens a pull request, or finds the one that is open for the same branches, and returns its
    /// address. Publishes the commit first, by the user's own means.
    ///
    /// # Errors
    /// Whatever the forge says, as a [`LandError`].
    async fn open(&self, request: &PullRequest) -> Result<String, LandError>;
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
