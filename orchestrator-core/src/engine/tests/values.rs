//! Large values, of which many tasks have need at once.

use super::*;
use crate::port::Blobs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Blobs that count how often they are read, and take a moment for it.
#[derive(Default)]
struct Counting(MemoryBlobs, AtomicUsize);

#[async_trait]
impl Blobs for Counting {
    async fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        self.0.put(bytes).await
    }

    async fn get(&self, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.0.get(id).await
    }
}

/// How often blobs were read by a run whose second task is `each`, which waits for people or ends.
async fn reads(each: Value) -> (usize, usize) {
    let blobs = Arc::new(Counting::default());
    let agent = Arc::new(Scripted::default());
    let engine = Engine::builder().blobs(blobs.clone()).own_agent("a", agent).unwrap().build();
    let tasks = json!({ "list": ask("list", &[]), "each": each });
    let workflow =
        Workflow::parse(&json!({ "name": "w", "max-parallel": 64, "tasks": tasks })).unwrap();
    let handle = engine.start(StartRun::new(Arc::new(workflow))).await.unwrap();
    let mut status = handle.status();
    status.wait_for(|s| s.is_final() || *s == RunStatus::Waiting).await.unwrap();
    let items = engine.load(handle.id()).await.unwrap().tasks().count() - 2;
    (items, blobs.1.load(Ordering::Relaxed))
}

#[tokio::test]
async fn the_items_of_a_large_list_share_it() {
    for each in [
        json!({ "approval": "is {{ item }} fine?" }),
        json!({ "agent": "a", "prompt": "{{ item }}" }),
    ] {
        let mut each = each;
        each["needs"] = json!(["list"]);
        each["for-each"] = json!("tasks.list.output");
        let (items, reads) = reads(each.clone()).await;
        assert!(items > 5_000, "{items} items");
        assert!(reads < items / 16, "{reads} reads for {items} items of {each}");
    }
}

#[tokio::test]
async fn the_texts_of_an_item_speak_of_other_tasks() {
    let world = World::new();
    let each = json!({ "agent": "a", "needs": ["one", "two"], "for-each": "[1, 2]",
            "prompt": "{{ tasks.one.output }} {{ item }}" });
    let tasks = json!({ "one": ask("x", &[]), "two": ask("y", &[]), "each": each });
    let report = world.start(tasks).await.wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    let asked = world.agent.asked();
    assert!(asked.ends_with(&["each:0: X 1".to_owned(), "each:1: X 2".to_owned()]), "{asked:?}");
}
