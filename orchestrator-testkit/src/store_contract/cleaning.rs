//! Cleaning up.

use super::fixture::{Driver, Subject, agent, run_id, spend, started};
use orchestrator_core::{
    id::{CacheKey, RunId, Sequence},
    port::{Rows, RunFilter, Signal, SpendGroup, StoreError},
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
};

pub(super) async fn only_ended_runs_before_the_date_go(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    for (id, at, status) in [
        ("done", 10, Some(RunStatus::Succeeded)),
        ("failed", 20, Some(RunStatus::Failed)),
        ("stopped", 30, Some(RunStatus::Cancelled)),
        ("open", 15, None),
        ("edge", 100, Some(RunStatus::Succeeded)),
        ("young", 200, Some(RunStatus::Succeeded)),
    ] {
        let mut driver = Driver::created(store, id, at).await;
        let rows = Rows {
            gone: Vec::new(),
            run: None,
            tasks: vec![driver.task("plan", 0, TaskStatus::Running)],
            attempts: vec![driver.attempt("plan", 1, "dev", at)],
            spend: vec![spend(&driver, "plan", "dev", "m", Some(1))],
            cached: vec![
                driver.cached(id, "plan", None),
                driver.cached(&format!("{id}-old"), "plan", Some(100)),
                driver.cached(&format!("{id}-new"), "plan", Some(101)),
            ],
            estimate: None,
        };
        driver.append(store, vec![started("plan", 1)], rows).await.expect("append");
        let cancel = Signal::Cancel { reason: "no".into() };
        store.signal(&driver.run, cancel, Timestamp(at)).await.expect("signal");
        if let Some(status) = status {
            driver.end(store, status).await;
        }
    }
    let gone = ["done", "failed", "stopped"].map(run_id);
    let sorted = |mut runs: Vec<RunId>| {
        runs.sort();
        runs
    };
    let before = Timestamp(100);
    let dry = catalog.clean(before, true).await.expect("dry run");
    assert_eq!(sorted(dry.runs), gone, "said, not done");
    let all = catalog.runs(&RunFilter::default(), &Default::default()).await.expect("runs");
    assert_eq!(all.items.len(), 6);
    let cleaned = catalog.clean(before, false).await.expect("clean");
    assert_eq!(sorted(cleaned.runs), gone);
    for run in &gone {
        let events = store.events(run, Sequence(0), 10).await;
        assert_eq!(events, Err(StoreError::NoSuchRun(run.clone())));
        assert_eq!(catalog.run(run).await, Ok(None));
        assert_eq!(store.signals(run, 0).await.unwrap_or_default(), []);
        assert_eq!(catalog.attempts(run, None).await, Ok(Vec::new()));
    }
    // Results outlive their runs, but not their time.
    for (key, stays) in [("done", true), ("done-old", false), ("done-new", true), ("young", true)] {
        let found = store.cached(&CacheKey::new(key).expect("a key"), Timestamp(0)).await;
        assert_eq!(found.map(|found| found.is_some()), Ok(stays), "{key}");
    }
    let mail = store.mail(0).await.expect("mail");
    assert!(gone.iter().all(|run| !mail.runs.contains(run)), "{mail:?}");
    assert_eq!(mail.runs.len(), 3);
    for kept in ["open", "edge", "young"].map(run_id) {
        let events = store.events(&kept, Sequence(0), 10).await.expect("events");
        assert!(events.len() >= 2, "{kept}");
        assert_eq!(store.signals(&kept, 0).await.map(|all| all.len()), Ok(1));
    }
    assert_eq!(catalog.attempts_of(&agent("dev"), 10).await.map(|all| all.len()), Ok(3));
    let tasks = catalog.tasks(&Default::default(), &Default::default()).await.expect("tasks");
    assert_eq!(tasks.items.len(), 3);
    let sums = catalog.spending(SpendGroup::Run, None, None).await.expect("spending");
    assert_eq!(sums.len(), 3);
    let again = catalog.clean(before, false).await.expect("clean");
    assert_eq!(again.runs, []);
    // An id that was removed may be used again, and finds nothing of its former run.
    let reborn = Driver::created(store, "done", 500).await;
    let events = store.events(&reborn.run, Sequence(0), 10).await.expect("events");
    assert_eq!(events, reborn.first().events);
    assert_eq!(store.signals(&reborn.run, 0).await, Ok(Vec::new()));
    // A new signal is new, whatever was removed.
    store.signal(&reborn.run, Signal::Resume {}, Timestamp(501)).await.expect("signal");
    let new = store.mail(mail.last).await.expect("mail");
    assert_eq!(new.runs, [reborn.run]);
}
