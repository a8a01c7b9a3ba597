//! Blobs in memory.

use crate::{
    id::BlobId,
    port::{BlobError, Blobs},
};
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Blobs in memory, by the SHA-256 of their content.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<HashMap<BlobId, Vec<u8>>>,
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        use std::fmt::Write;
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        let id = BlobId::new(text).map_err(|error| BlobError::Unavailable {
            action: "name a blob".into(),
            reason: error.to_string(),
        })?;
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.entry(id.clone()).or_insert_with(|| bytes.to_vec());
        Ok(id)
    }

    async fn get(&self, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.get(id).cloned().ok_or_else(|| BlobError::Missing(id.clone()))
    }
}
