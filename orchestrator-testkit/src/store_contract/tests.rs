//! The contract, put to what core keeps in memory.

use orchestrator_core::{
    memory::{MemoryBlobs, MemoryStore},
    port::{Blobs, Catalog, Store},
};
use std::sync::Arc;

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    super::run_all(|| async {
        let store = Arc::new(MemoryStore::default());
        (store.clone() as Arc<dyn Store>, store as Arc<dyn Catalog>)
    })
    .await;
}

#[tokio::test]
async fn blobs_in_memory_keep_the_contract() {
    super::run_all_blobs(|| async { Arc::new(MemoryBlobs::default()) as Arc<dyn Blobs> }).await;
}
