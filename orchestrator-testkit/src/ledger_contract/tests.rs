//! The contract, put to the ledger that core keeps in memory.

use super::Subject;
use orchestrator_core::memory::MemoryStore;
use std::sync::Arc;

#[tokio::test]
async fn the_ledger_in_memory_keeps_the_contract() {
    super::run_all(|| async {
        let store = Arc::new(MemoryStore::default());
        Subject { store: store.clone(), catalog: store.clone(), ledger: store }
    })
    .await;
}
