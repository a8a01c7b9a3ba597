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

/// An agent that counts its answers, and keeps what it saw of the task `first`.
#[derive(Default)]
struct Counts(AtomicUsize, Mutex<Vec<Arc<Value>>>);

#[async_trait]
impl Agent for Arc<Counts> {
    async fn perform(&self, work: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        if let Some(first) = work.needs.get("first") {
            self.1.lock().unwrap().push(first.output.clone());
        }
        Ok(Answer::text(self.0.fetch_add(1, Ordering::Relaxed).to_string()))
    }
}

#[tokio::test]
async fn the_items_of_a_list_share_what_another_list_has_left() {
    let agent = Arc::new(Counts::default());
    let engine = Engine::builder().own_agent("a", agent.clone()).unwrap().build();
    // The answers are 0 and 1, then 2, 3 and 4 of those who see them, then 5, which is too small.
    let tasks = json!({
        "first": { "agent": "a", "for-each": "[1, 2]", "prompt": "x" },
        "second": { "agent": "a", "for-each": "[1, 2, 3]", "needs": ["first"], "prompt": "x" },
        "judge": { "agent": "a", "needs": ["second"], "prompt": "x", "revise": {
            "task": "first", "unless": "int(tasks.judge.output) > 5", "max": 1 } },
    });
    let workflow = Workflow::parse(&json!({ "name": "w", "tasks": tasks })).unwrap();
    let report =
        engine.start(StartRun::new(Arc::new(workflow))).await.unwrap().wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    let seen = agent.1.lock().unwrap().clone();
    assert_eq!(seen.len(), 6);
    for round in seen.chunks(3) {
        assert!(round.iter().all(|output| Arc::ptr_eq(output, &round[0])), "one value for all");
    }
    // A list that was made again is another one.
    let sorted = |round: &Arc<Value>| {
        let mut texts: Vec<_> = round.as_array().unwrap().iter().map(|t| t.as_str()).collect();
        texts.sort_unstable();
        format!("{texts:?}")
    };
    assert_eq!(sorted(&seen[0]), r#"[Some("0"), Some("1")]"#);
    assert_eq!(sorted(&seen[3]), r#"[Some("6"), Some("7")]"#);
}
