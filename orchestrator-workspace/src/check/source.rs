//! From where a commit comes.

use super::tamper::FileChange;
use async_trait::async_trait;
use orchestrator_core::id::CommitId;
use std::path::Path;

/// A repository, as far as checks need one.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The tree of `commit`.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn tree(&self, commit: &CommitId) -> Result<CommitId, SourceError>;

    /// Puts the files of `commit` into `directory`, which is empty: nothing else, with no `.git`,
    /// and without running anything.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn checkout(&self, commit: &CommitId, directory: &Path) -> Result<(), SourceError>;

    /// What differs between two commits, with contents up to [`READ`] bytes each.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn changes(
        &self,
        base: &CommitId,
        commit: &CommitId,
    ) -> Result<Vec<FileChange>, SourceError>;
}

/// The most bytes of a file that guards read.
pub const READ: u64 = 1024 * 1024;

/// Why a repository does not give what is asked: in words, with the class of the failure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What kind of failure it is.
    pub class: orchestrator_core::error::ErrorClass,
    /// What was attempted and what went wrong.
    pub message: String,
}
