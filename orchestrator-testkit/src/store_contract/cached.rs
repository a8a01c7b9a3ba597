//! Results that may be used again.

use super::fixture::{Driver, Subject, started};
use orchestrator_core::{
    event::{ArtifactRef, Content},
    id::{BlobId, CacheKey, WorkflowName},
    port::{CachedResult, Rows},
    time::Timestamp,
};
use serde_json::json;

fn key(text: &str) -> CacheKey {
    CacheKey::new(text).expect("a key")
}

async fn keep(subject: &Subject, driver: &mut Driver, cached: Vec<CachedResult>) {
    let rows = Rows { cached, ..Rows::default() };
    driver.append(&*subject.store, vec![started("plan", 1)], rows).await.expect("append");
}

pub(super) async fn a_result_is_found_until_it_expires(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    let blob = BlobId::new(format!("sha256:{}", "7".repeat(64))).expect("an id");
    let (name, media_type) = ("report.md".into(), "text/markdown".into());
    let mut large = driver.cached("large", "build", Some(1_000));
    large.output = Content::Blob { id: blob.clone(), bytes: 70_000 };
    large.artifacts = vec![ArtifactRef { name, media_type, blob, bytes: 3 }];
    let lasting = driver.cached("lasting", "plan", None);
    keep(&subject, &mut driver, vec![large.clone(), lasting.clone()]).await;
    let check = async |text: &str, now: u64, expected: Option<&CachedResult>| {
        let found = store.cached(&key(text), Timestamp(now)).await;
        assert_eq!(found, Ok(expected.cloned()), "{text} at {now}");
    };
    check("large", 0, Some(&large)).await;
    check("large", 999, Some(&large)).await;
    check("large", 1_000, None).await;
    check("lasting", u64::MAX, Some(&lasting)).await;
    check("ghost", 0, None).await;

    // Made again, it is replaced, in an append without events too.
    let mut newer = driver.cached("large", "build", None);
    newer.output = Content::Inline(json!(["é", 2]));
    let rows = Rows { cached: vec![newer.clone()], ..Rows::default() };
    driver.append(store, Vec::new(), rows).await.expect("append");
    check("large", 5_000, Some(&newer)).await;
}

pub(super) async fn results_are_forgotten_by_workflow_task_and_age(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::created(store, "a", 100).await;
    let other = WorkflowName::new("release").expect("a name");
    let mut results = Vec::new();
    for (text, task, at) in [("a1", "plan", 10), ("a2", "build", 20), ("a3", "plan", 30)] {
        results.push(CachedResult { at: Timestamp(at), ..driver.cached(text, task, None) });
    }
    let mut foreign = driver.cached("b1", "plan", None);
    foreign.workflow = other.clone();
    foreign.at = Timestamp(10);
    results.push(foreign);
    let all = ["a1", "a2", "a3", "b1"];
    let audit = driver.row.workflow.clone();
    let plan = super::name("plan");
    let check = async |workflow: Option<&WorkflowName>, task, before: u64, gone: &[&str]| {
        let before = Timestamp(before);
        let mut driver = driver.clone();
        let rows = Rows { cached: results.clone(), ..Rows::default() };
        driver.append(store, Vec::new(), rows).await.expect("append");
        let said = catalog.forget_cached(workflow, task, before, true).await;
        assert_eq!(said, Ok(gone.len() as u64), "{gone:?}");
        for text in all {
            let found = store.cached(&key(text), Timestamp(0)).await.expect("cached");
            assert!(found.is_some(), "{text} was only counted");
        }
        let done = catalog.forget_cached(workflow, task, before, false).await;
        assert_eq!(done, said);
        for text in all {
            let found = store.cached(&key(text), Timestamp(0)).await.expect("cached");
            assert_eq!(found.is_none(), gone.contains(&text), "{text} of {gone:?}");
        }
    };
    check(None, None, u64::MAX, &all).await;
    check(None, None, 20, &["a1", "b1"]).await;
    check(None, None, 0, &[]).await;
    check(Some(&audit), None, u64::MAX, &["a1", "a2", "a3"]).await;
    check(Some(&other), None, u64::MAX, &["b1"]).await;
    check(Some(&audit), Some(&plan), 30, &["a1"]).await;
    check(None, Some(&plan), 31, &["a1", "a3", "b1"]).await;
    check(None, Some(&super::name("ghost")), u64::MAX, &[]).await;
    keep(&subject, &mut driver, Vec::new()).await;
}
