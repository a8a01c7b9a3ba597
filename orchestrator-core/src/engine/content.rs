//! Large values: out of blobs and into them.

use super::Shared;
use crate::{
    error::{ErrorClass, Failure},
    event::Content,
    id::BlobId,
    port::{BlobError, StoreError},
    run::{Loaded, Sight},
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often a blob is tried to be kept or fetched, and how long is waited before each further try.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// How many values are kept for whoever needs them next, and the longest of these as JSON in bytes.
const KEPT: usize = 4;
const KEPT_BYTES: usize = 8 << 20;

/// A value, once it is read. Whoever reads it holds the lock, so that it is read once.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Value>>>>;

/// The values of blobs that were needed of late: the items of one list share it, instead of each
/// reading it anew.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// The one that was needed last comes last; with each, whether it was since the last look.
    recent: Mutex<Vec<(BlobId, Slot, bool)>>,
}

impl Values {
    fn of(&self, id: &BlobId) -> Slot {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.iter().position(|(known, ..)| known == id);
        let slot = known.map(|at| recent.remove(at).1).unwrap_or_default();
        if recent.len() == KEPT {
            recent.remove(0);
        }
        recent.push((id.clone(), slot.clone(), true));
        slot
    }

    /// Forgets what nobody has needed since the last call.
    pub(super) fn forget_unused(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain_mut(|(.., needed)| std::mem::take(needed));
    }

    pub(super) fn forget_all(&self) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Shared {
    /// The values that `sight` sees.
    ///
    /// # Errors
    /// As [`Shared::load_all`].
    pub(super) async fn load_sight(&self, sight: &Sight) -> Result<Loaded, Failure> {
        let mut loaded = self.load_all(sight.blobs()).await?;
        for id in sight.texts() {
            let text = String::from_utf8_lossy(&self.fetch(&id).await?).into_owned();
            loaded.insert(id, Arc::new(Value::String(text)));
        }
        Ok(loaded)
    }

    /// The values of `blobs`.
    ///
    /// # Errors
    /// One is missing, damaged, not JSON, or the storage failed.
    pub(super) async fn load_all(&self, blobs: Vec<BlobId>) -> Result<Loaded, Failure> {
        let mut loaded = Loaded::new();
        for id in blobs {
            let value = self.load_blob(&id).await?;
            loaded.insert(id, value);
        }
        Ok(loaded)
    }

    /// The value of `content`.
    ///
    /// # Errors
    /// As [`Shared::load_all`].
    pub(super) async fn load_content(&self, content: Content) -> Result<Value, Failure> {
        match content {
            Content::Inline(value) => Ok(value),
            Content::Blob { id, .. } => self.load_blob(&id).await.map(Arc::unwrap_or_clone),
        }
    }

    async fn load_blob(&self, id: &BlobId) -> Result<Arc<Value>, Failure> {
        let slot = self.values.of(id);
        let mut slot = slot.lock().await;
        if let Some(value) = &*slot {
            return Ok(value.clone());
        }
        let (value, bytes) = self.read_blob(id).await?;
        let value = Arc::new(value);
        if bytes <= KEPT_BYTES {
            *slot = Some(value.clone());
        }
        Ok(value)
    }

    /// The value of a blob, and its length as JSON.
    async fn read_blob(&self, id: &BlobId) -> Result<(Value, usize), Failure> {
        let bytes = self.fetch(id).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(ErrorClass::Internal, format!("blob {id} is not JSON: {error}"))
        })?;
        Ok((value, bytes.len()))
    }

    /// The bytes of a blob, through a bad moment of the disk.
    pub(super) async fn fetch(&self, id: &BlobId) -> Result<Vec<u8>, Failure> {
        let mut tries = 1;
        loop {
            match self.blobs.get(id).await {
                Ok(bytes) => return Ok(bytes),
                Err(BlobError::Unavailable { .. }) if tries < TRIES => {
                    tries += 1;
                    self.clock.until(self.clock.now().after(PAUSE)).await;
                }
                Err(error) => {
                    let message = format!("cannot use a blob: {error}");
                    return Err(Failure::new(ErrorClass::Transient, message));
                }
            }
        }
    }

    /// `value` as the log keeps it: in a blob when it is large.
    ///
    /// # Errors
    /// The blob cannot be kept: whoever made the value must not go on as if it were.
    pub(super) async fn keep_value(&self, value: Value) -> Result<Content, StoreError> {
        if fits(&value) {
            return Ok(Content::Inline(value));
        }
        let text = value.to_string();
        if text.len() <= Content::INLINE_LIMIT {
            return Ok(Content::Inline(value));
        }
        let id = self.keep_bytes(text.as_bytes()).await?;
        Ok(Content::Blob { id, bytes: text.len() as u64 })
    }

    /// Keeps bytes as a blob, through a bad moment of the disk.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) async fn keep_bytes(&self, bytes: &[u8]) -> Result<BlobId, StoreError> {
        let mut tries = 1;
        loop {
            match self.blobs.put(bytes).await {
                Ok(id) => return Ok(id),
                Err(_) if tries < TRIES => {
                    tries += 1;
                    self.clock.until(self.clock.now().after(PAUSE)).await;
                }
                Err(BlobError::Full(action)) => return Err(StoreError::Full(action)),
                Err(BlobError::Unavailable { action, reason }) => {
                    return Err(StoreError::Unavailable { action, reason });
                }
                Err(error) => return Err(StoreError::Damaged(error.to_string())),
            }
        }
    }
}

/// Whether `value` is small for sure, without writing it out: a text takes at most six bytes for
/// each of its own, and two quotes.
fn fits(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() < (Content::INLINE_LIMIT - 2) / 6,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
