//! The blob port: bytes by content.

use crate::id::BlobId;
use async_trait::async_trait;

/// A blob that could not be kept or found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Nothing is stored under that id.
    #[error("no blob {0} is stored")]
    Missing(BlobId),
    /// What is stored does not have that content any more.
    #[error("blob {0} is damaged: its content does not match its id")]
    Damaged(BlobId),
    /// No room is left on the disk.
    #[error("cannot {0}: no space is left on the disk")]
    Full(String),
    /// The storage failed.
    #[error("cannot {action}: {reason}")]
    Unavailable {
        /// What was attempted.
        action: String,
        /// What stood in the way.
        reason: String,
    },
}

/// Content-addressed bytes outside the log.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Keeps `bytes` durably and returns their id; keeping the same bytes twice is harmless.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    async fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError>;

    /// The bytes of `id`, checked against it.
    ///
    /// # Errors
    /// Any [`BlobError`].
    async fn get(&self, id: &BlobId) -> Result<Vec<u8>, BlobError>;
}
