//! What cleaning does with the queues of branches.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use orchestrator_core::{
    id::BlobId,
    port::{Blobs as _, Catalog as _, Landings as _},
    run::RunStatus,
    task::Priority,
    time::Timestamp,
    workspace::{LandingRow, LandingState},
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::{
    landings_contract::{commit, target, work},
    store_contract::{Driver, run_id},
};
use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// Makes every blob older than the grace that young ones have.
fn age(blobs: &Path) {
    for entry in fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path);
        } else {
            let then = SystemTime::now() - Duration::from_secs(100_000);
            fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        }
    }
}

/// Work of `run` that is red; its evidence is a blob of its own.
async fn red(store: &LocalStore, run: &str, number: u32, at: u64) -> (LandingRow, BlobId) {
    let evidence = store.blobs().put(format!("evidence of {run}").as_bytes()).await.unwrap();
    let row = LandingRow { run: run_id(run), ..work("a", number, Priority::Normal, 1) };
    store.enqueue(row.clone()).await.unwrap();
    let epoch = store.take(&target("main")).await.unwrap();
    let state =
        LandingState::Red { tip: commit(1), evidence: evidence.clone(), outputs: Vec::new() };
    let settled = [(row.id.clone(), state)];
    store.settle(&target("main"), epoch, &settled, Timestamp(at)).await.unwrap();
    (row, evidence)
}

#[tokio::test]
async fn what_landed_goes_with_its_run_and_its_evidence_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    for (run, at, ends) in [("old", 10, true), ("young", 200, true), ("open", 10, false)] {
        let mut driver = Driver::created(&store, run, at).await;
        if ends {
            driver.end(&store, RunStatus::Succeeded).await;
        }
    }
    let old = red(&store, "old", 1, 20).await;
    let young = red(&store, "young", 2, 210).await;
    let open = red(&store, "open", 3, 20).await;
    // Of no run that is stored: each by its own age.
    let lost = red(&store, "lost", 4, 20).await;
    let late = red(&store, "late", 5, 210).await;
    // What waits stays, whatever became of its run.
    let waiting = LandingRow { run: run_id("old"), ..work("b", 6, Priority::Normal, 1) };
    store.enqueue(waiting.clone()).await.unwrap();
    age(&dir.path().join("blobs"));
    let dry = store.clean(Timestamp(100), true).await.unwrap();
    let done = store.clean(Timestamp(100), false).await.unwrap();
    assert_eq!((dry.runs.len(), dry.blobs), (1, 2));
    assert_eq!((done.runs.len(), done.blobs), (1, 2), "a dry run tells what goes");
    for ((row, evidence), stays) in
        [(old, false), (young, true), (open, true), (lost, false), (late, true)]
    {
        let found = store.landing(&row.id).await.unwrap();
        assert_eq!(found.is_some(), stays, "{}", row.run);
        assert_eq!(store.blobs().get(&evidence).await.is_ok(), stays, "{}", row.run);
    }
    assert_eq!(store.waiting(&target("main")).await.unwrap(), [waiting]);
}
