//! The log: order, and who may write.

use super::fixture::{Driver, Subject, ended, run_id, started};
use orchestrator_core::{
    event::{Content, Event},
    id::{AttemptNumber, Epoch, Sequence},
    port::{LogLine, LogStream, Rows, Signal, StoreError},
    task::TaskStatus,
    time::Timestamp,
};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn a_run_begins_with_its_first_events(subject: Subject) {
    let driver = Driver::created(&*subject.store, "a", 100).await;
    let events = subject.store.events(&driver.run, Sequence(0), 10).await.expect("events");
    assert_eq!(events, driver.first().events);
    let row = subject.catalog.run(&driver.run).await.expect("run");
    assert_eq!(row, Some(driver.row.clone()), "the row is there with the events");
}

pub(super) async fn a_run_exists_once(subject: Subject) {
    let mut driver = Driver::created(&*subject.store, "a", 100).await;
    let mut again = Driver::new("a", 999);
    again.row.source = "elsewhere".into();
    let refused = subject.store.create(again.first(), again.lease()).await;
    assert_eq!(refused, Err(StoreError::RunExists(driver.run.clone())));
    let row = subject.catalog.run(&driver.run).await.expect("run").expect("a row");
    assert_eq!(row.source, driver.row.source, "the refused creation changed nothing");
    driver.append(&*subject.store, vec![ended()], Rows::default()).await.expect("append");
}

pub(super) async fn an_unknown_run_is_named(subject: Subject) {
    let (store, run) = (&subject.store, run_id("ghost"));
    let ghost = Err(StoreError::NoSuchRun(run.clone()));
    let (driver, at) = (Driver::new("ghost", 1), Timestamp(1));
    let owner = super::fixture::owner("owner-1");
    let cancel = Signal::Cancel { reason: "no".into() };
    assert_eq!(store.append(Arc::new(driver.next(vec![ended()], Rows::default()))).await, ghost);
    assert_eq!(store.events(&run, Sequence(0), 1).await, ghost.clone().map(|()| Vec::new()));
    assert_eq!(store.claim(&run, &owner, at, at, None).await.map(|_| ()), ghost.clone(), "claim");
    assert_eq!(store.signal(&run, cancel, at).await, ghost);
    assert_eq!(store.lease(&run).await, Ok(None));
    assert_eq!(store.signals(&run, 0).await, Ok(Vec::new()));
    assert_eq!(store.release(&run, Epoch(1)).await, Ok(()));
    assert_eq!(subject.catalog.run(&run).await, Ok(None));
    assert_eq!(subject.catalog.attempts(&run, None).await, Ok(Vec::new()));
}

pub(super) async fn events_come_in_order_and_in_parts(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    let mut other = Driver::created(store, "b", 100).await;
    for number in 0..10 {
        let events = (0..=number % 3).map(|n| started("build", number * 10 + n + 1)).collect();
        driver.append(store, events, Rows::default()).await.expect("append");
        other.append(store, vec![started("plan", 1)], Rows::default()).await.expect("append");
    }
    let all = store.events(&driver.run, Sequence(0), usize::MAX).await.expect("events");
    let numbers: Vec<u64> = all.iter().map(|event| event.seq.0).collect();
    assert_eq!(numbers, (1..=driver.seq.0).collect::<Vec<_>>(), "from 1, without gaps");
    let check = async |after: u64, limit: usize| {
        let part = store.events(&driver.run, Sequence(after), limit).await.expect("events");
        let expected: Vec<_> =
            all.iter().filter(|event| event.seq.0 > after).take(limit).cloned().collect();
        assert_eq!(part, expected, "after {after}, at most {limit}");
    };
    for after in [0, 1, 5, driver.seq.0 - 1, driver.seq.0, driver.seq.0 + 1, u64::MAX] {
        for limit in [0, 1, 3, 1_000] {
            check(after, limit).await;
        }
    }
}

pub(super) async fn content_comes_back_as_it_was(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    let text = |text: &str| LogLine { stream: LogStream::Stderr, text: text.into() };
    let lines =
        vec![text(""), text("a\u{0}b"), text("ünïcödé 🦀 '\"\\ %_"), text(&"x".repeat(20_000))];
    let output = json!({ "deep": [[[{ "n": -1, "big": u64::MAX, "none": null }]]], "": "" });
    let events = vec![
        Event::AttemptLogged {
            task: super::name("build"),
            attempt: AttemptNumber(u32::MAX),
            lines,
            dropped: u64::MAX,
        },
        Event::AttemptSucceeded {
            task: super::name("build"),
            attempt: AttemptNumber(1),
            output: Content::Inline(output),
            spend: Vec::new(),
            artifacts: Vec::new(),
            cached: None,
        },
    ];
    let append = driver.next(events.clone(), Rows::default());
    driver.append(store, events, Rows::default()).await.expect("append");
    let found = store.events(&driver.run, Sequence(1), 10).await.expect("events");
    assert_eq!(found, append.events);
}

pub(super) async fn a_writer_that_is_behind_or_ahead_is_refused(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    driver.append(store, vec![started("a", 1)], Rows::default()).await.expect("append");
    for expected in [0, 1, 3, 1_000] {
        let mut lost = driver.clone();
        lost.seq = Sequence(expected);
        let refused = lost.append(store, vec![ended()], Rows::default()).await;
        let (expected, actual) = (Sequence(expected), Sequence(2));
        assert_eq!(
            refused,
            Err(StoreError::Conflict { run: driver.run.clone(), expected, actual })
        );
    }
    let events = store.events(&driver.run, Sequence(0), 10).await.expect("events");
    assert_eq!(events.len(), 2, "nothing of a refused append is written");
}

pub(super) async fn a_gap_in_the_numbers_is_refused(subject: Subject) {
    let store = &*subject.store;
    let driver = Driver::created(store, "a", 100).await;
    let check = async |numbers: &[u64]| {
        let mut append = driver.next(vec![started("a", 1), ended()], Rows::default());
        for (event, number) in append.events.iter_mut().zip(numbers) {
            event.seq = Sequence(*number);
        }
        assert!(store.append(Arc::new(append)).await.is_err(), "{numbers:?}");
        let events = store.events(&driver.run, Sequence(0), 10).await.expect("events");
        assert_eq!(events.len(), 1, "{numbers:?} wrote something");
    };
    check(&[3, 4]).await;
    check(&[2, 4]).await;
    check(&[3, 2]).await;
    check(&[2, 2]).await;
    check(&[1, 2]).await;
}

pub(super) async fn a_writer_under_another_epoch_is_fenced(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    let owner = super::fixture::owner("owner-2");
    let taken = store
        .claim(&driver.run, &owner, Timestamp(5_000), Timestamp(9_000), None)
        .await
        .expect("an expired lease is free");
    for named in [1, 3, u64::MAX] {
        driver.epoch = Epoch(named);
        let refused = driver.append(store, vec![ended()], Rows::default()).await;
        let (named, actual) = (Epoch(named), taken.epoch);
        assert_eq!(refused, Err(StoreError::Fenced { run: driver.run.clone(), named, actual }));
    }
    driver.epoch = taken.epoch;
    driver.append(store, vec![ended()], Rows::default()).await.expect("the new driver writes");
}

pub(super) async fn a_refused_append_leaves_its_rows_unwritten(subject: Subject) {
    let store = &*subject.store;
    let driver = Driver::created(store, "a", 100).await;
    let mut row = driver.row.clone();
    row.source = "changed".into();
    let rows = || Rows {
        gone: Vec::new(),
        run: Some(row.clone()),
        tasks: vec![driver.task("plan", 0, TaskStatus::Running)],
        attempts: vec![driver.attempt("plan", 1, "dev", 10)],
        spend: vec![super::spend(&driver, "plan", "dev", "m", Some(1))],
        cached: vec![driver.cached("k", "plan", None)],
        estimate: None,
    };
    let mut behind = driver.clone();
    behind.seq = Sequence(0);
    assert!(behind.append(store, vec![ended()], rows()).await.is_err());
    let mut fenced = driver.clone();
    fenced.epoch = Epoch(7);
    assert!(fenced.append(store, vec![ended()], rows()).await.is_err());
    let catalog = &*subject.catalog;
    assert_eq!(catalog.run(&driver.run).await, Ok(Some(driver.row.clone())));
    assert_eq!(catalog.attempts(&driver.run, None).await, Ok(Vec::new()));
    let tasks = catalog.tasks(&Default::default(), &Default::default()).await.expect("tasks");
    assert!(tasks.items.is_empty());
    let sums = catalog.spending(orchestrator_core::port::SpendGroup::Run, None, None).await;
    assert_eq!(sums, Ok(Vec::new()));
    let key = driver.cached("k", "plan", None).key;
    assert_eq!(store.cached(&key, Timestamp(0)).await, Ok(None));
}

pub(super) async fn rows_change_without_events(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::created(store, "a", 100).await;
    driver.row.source = "changed".into();
    let task = driver.task("plan", 0, TaskStatus::Ready);
    let rows = Rows { run: Some(driver.row.clone()), tasks: vec![task.clone()], ..Rows::default() };
    driver.append(store, Vec::new(), rows.clone()).await.expect("append");
    assert_eq!(catalog.run(&driver.run).await, Ok(Some(driver.row.clone())));
    let tasks = catalog.tasks(&Default::default(), &Default::default()).await.expect("tasks");
    assert_eq!(tasks.items, [task]);
    let events = store.events(&driver.run, Sequence(0), 10).await.expect("events");
    assert_eq!(events.len(), 1, "the log is as it was");

    let mut lost = driver.clone();
    lost.seq = Sequence(0);
    let refused = lost.append(store, Vec::new(), rows.clone()).await;
    let (expected, actual) = (Sequence(0), Sequence(1));
    assert_eq!(refused, Err(StoreError::Conflict { run: driver.run.clone(), expected, actual }));
    let mut stale = driver.clone();
    stale.epoch = Epoch(9);
    let refused = stale.append(store, Vec::new(), rows).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    driver.append(store, vec![ended()], Rows::default()).await.expect("the log goes on");
}

pub(super) async fn an_append_may_be_shared(subject: Subject) {
    let store = &*subject.store;
    let driver = Driver::created(store, "a", 100).await;
    let tasks = vec![driver.task("plan", 0, TaskStatus::Running)];
    let rows = Rows { run: Some(driver.row.clone()), tasks, ..Rows::default() };
    let append = Arc::new(driver.next(vec![started("plan", 1), ended()], rows));
    let whole = (*append).clone();
    store.append(append.clone()).await.expect("append");
    assert_eq!(*append, whole, "it is not taken apart");
    let events = store.events(&driver.run, Sequence(1), 10).await.expect("events");
    assert_eq!(events, append.events);
    // Who did not hear the answer tries again, and learns that it was done.
    let again = store.append(append).await;
    assert!(matches!(again, Err(StoreError::Conflict { actual: Sequence(3), .. })), "{again:?}");
}

pub(super) async fn a_run_may_begin_with_ten_thousand_events(subject: Subject) {
    const COUNT: u32 = 10_000;
    let store = &*subject.store;
    let mut driver = Driver::new("a", 100);
    let mut first = driver.first();
    driver.seq = Sequence(1);
    let rest = (1..COUNT).map(|number| started("plan", number)).collect();
    first.events.extend(driver.next(rest, Rows::default()).events);
    store.create(first.clone(), driver.lease()).await.expect("create");
    let mut found = Vec::new();
    loop {
        let part = store.events(&driver.run, Sequence(found.len() as u64), 999).await;
        let part = part.expect("events");
        if part.is_empty() {
            break;
        }
        found.extend(part);
    }
    assert!(found == first.events, "all of them, in order, in parts");
    driver.seq = Sequence(u64::from(COUNT));
    driver.append(store, vec![ended()], Rows::default()).await.expect("append");
}

pub(super) async fn events_of_the_first_version_are_kept(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    let events: Vec<Event> = [
        r#"{"type":"attempt-started","task":"plan","attempt":1,"epoch":1,"agent":"dev"}"#,
        r#"{"type":"attempt-succeeded","task":"plan","attempt":1,"output":{"inline":[1]}}"#,
        r#"{"type":"task-skipped","task":"build","reason":{"because":"needs","task":"plan"}}"#,
        r#"{"type":"cancel-requested","reason":"no"}"#,
        r#"{"type":"run-recovered","lease":2}"#,
        r#"{"type":"run-ended","status":"cancelled"}"#,
    ]
    .iter()
    .map(|text| serde_json::from_str(text).expect("an event as the first version wrote it"))
    .collect();
    let append = driver.next(events.clone(), Rows::default());
    driver.append(store, events, Rows::default()).await.expect("append");
    let found = store.events(&driver.run, Sequence(1), 10).await.expect("events");
    assert_eq!(found, append.events);
}
