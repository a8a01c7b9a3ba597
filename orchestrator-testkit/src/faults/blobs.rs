//! Blobs that fail on purpose.

use super::{Fault, Op, Seam};
use async_trait::async_trait;
use orchestrator_core::{
    id::BlobId,
    port::{BlobError, Blobs},
};
use std::{fmt, sync::Arc};

/// Blobs behind a [`Seam`].
pub struct FaultyBlobs {
    inner: Arc<dyn Blobs>,
    seam: Seam,
}

impl fmt::Debug for FaultyBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBlobs").field("seam", &self.seam).finish_non_exhaustive()
    }
}

impl FaultyBlobs {
    /// `inner`, every call of which passes `seam`.
    pub fn new(inner: Arc<dyn Blobs>, seam: Seam) -> Self {
        Self { inner, seam }
    }
}

fn failed(action: &str, fault: Fault) -> BlobError {
    match fault {
        Fault::Full => BlobError::Full(action.into()),
        Fault::Unavailable | Fault::Conflict => BlobError::Unavailable {
            action: action.into(),
            reason: "a fault was put in on purpose".into(),
        },
    }
}

#[async_trait]
impl Blobs for FaultyBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        let about = format!("{} bytes", bytes.len());
        let act = |_| self.inner.put(bytes);
        self.seam.pass(Op::Put, &about, act, |fault| failed("keep a blob", fault)).await
    }

    async fn get(&self, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let act = |_| self.inner.get(id);
        self.seam.pass(Op::Get, id.as_str(), act, |fault| failed("read a blob", fault)).await
    }
}
