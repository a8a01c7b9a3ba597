//! Answers of models in memory.

use crate::{
    id::CacheKey,
    port::{KeptResponse, MAX_RESPONSE, MAX_RESPONSES, Responses, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Keeps answers as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryResponses {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with its size and its place in the order of arrival.
    by_key: BTreeMap<CacheKey, (KeptResponse, u64, u64)>,
    bytes: u64,
    last: u64,
}

impl Kept {
    fn remove(&mut self, key: &CacheKey) {
        if let Some((_, bytes, _)) = self.by_key.remove(key) {
            self.bytes -= bytes;
        }
    }
}

#[async_trait]
impl Responses for MemoryResponses {
    async fn response(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.by_key.get(key).filter(|(found, ..)| found.expires > now);
        Ok(found.map(|(found, ..)| found.clone()))
    }

    async fn keep_response(&self, response: KeptResponse) -> Result<(), StoreError> {
        let size = response.body.to_string().len();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&response.key);
        if size > MAX_RESPONSE {
            return Ok(());
        }
        kept.last += 1;
        let (bytes, place) = (size as u64, kept.last);
        kept.bytes += bytes;
        kept.by_key.insert(response.key.clone(), (response, bytes, place));
        while kept.bytes > MAX_RESPONSES {
            let oldest =
                kept.by_key.values().min_by_key(|(response, _, place)| (response.at, *place));
            let Some(oldest) = oldest.map(|(response, ..)| response.key.clone()) else { break };
            kept.remove(&oldest);
        }
        Ok(())
    }

    async fn forget_responses(&self, before: Timestamp, dry_run: bool) -> Result<u64, StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let old = kept.by_key.values().filter(|(response, ..)| response.at < before);
        let old: Vec<CacheKey> = old.map(|(response, ..)| response.key.clone()).collect();
        if !dry_run {
            old.iter().for_each(|key| kept.remove(key));
        }
        Ok(old.len() as u64)
    }
}
