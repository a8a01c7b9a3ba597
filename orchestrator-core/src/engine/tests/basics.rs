//! Attempts, leases, logs, the ends of runs.

use super::*;

#[tokio::test]
async fn outputs_flow_into_prompts() {
    let world = World::new();
    let report = world
        .start(json!({
            "one": ask("hello", &[]),
            "big": ask("large", &[]),
            "two": ask("<{{ tasks.one.output }}> {{ tasks.one.status }}", &["one", "big"]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(report.output("two"), Some(&json!("<HELLO> SUCCEEDED")));
    assert!(matches!(report.tasks[1].output, Some(Content::Blob { .. })));
    let rows = world.store.tasks(&TaskFilter::default(), &Page::default()).await.unwrap().items;
    assert!(rows.iter().all(|row| row.status == TaskStatus::Succeeded));
    assert_eq!(world.store.lease(&report.run).await.unwrap(), None);
}

#[tokio::test]
async fn an_agent_that_panics_or_misfits_fails_its_task_only() {
    let world = World::new();
    let report = world
        .start(json!({
            "panic": ask("panic", &[]),
            "misfit": { "agent": "a", "prompt": "text", "output": { "type": "object" } },
            "fine": ask("x", &[]),
            "deep": ask("deep", &[]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    let classes: Vec<Option<ErrorClass>> =
        report.tasks.iter().map(|task| task.error.as_ref().map(|error| error.class)).collect();
    let bad = Some(ErrorClass::BadOutput);
    assert_eq!(classes, [Some(ErrorClass::Internal), bad, None, bad]);
    assert_eq!(report.status, RunStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_in_time_and_tried_again() {
    let world = World::new();
    let report = world
        .start(json!({
            "slow": { "agent": "a", "prompt": "hang", "timeout": "1s", "retry": { "max-attempts": 2 } },
            "flaky": ask("flaky", &[]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    assert_eq!(report.tasks[0].error.as_ref().unwrap().class, ErrorClass::TimedOut);
    assert_eq!(report.tasks[1].status, TaskStatus::Succeeded);
    assert_eq!(world.asked().iter().filter(|asked| asked.starts_with("slow")).count(), 2);
}

#[tokio::test]
async fn a_run_is_cancelled_from_here_and_from_elsewhere() {
    for elsewhere in [false, true] {
        let world = World::new();
        let handle = world
            .start(json!({
                "polite": ask("stop when told", &[]),
                "late": ask("answer when told", &[]),
                "next": ask("x", &["polite"]),
            }))
            .await;
        let run = handle.id().clone();
        if elsewhere {
            let signal = Signal::Cancel { reason: "asked".into() };
            world.store.signal(&run, signal, Timestamp(0)).await.unwrap();
        } else {
            handle.cancel("asked").await.unwrap();
        }
        let report = handle.wait().await.unwrap();
        let statuses: Vec<TaskStatus> = report.tasks.iter().map(|task| task.status).collect();
        assert_eq!(statuses, [TaskStatus::Cancelled, TaskStatus::Succeeded, TaskStatus::Cancelled]);
        assert_eq!(report.status, RunStatus::Cancelled);
    }
}

#[tokio::test]
async fn an_interrupted_run_goes_on_where_it_was() {
    let world = World::new();
    let handle =
        world.start(json!({ "one": ask("x", &[]), "two": ask("stop when told", &["one"]) })).await;
    let run = handle.id().clone();
    world
        .until(
            &run,
            |event| matches!(event, Event::AttemptStarted { task, .. } if task.as_str() == "two"),
        )
        .await;
    world.engine.interrupt();
    let report = handle.wait().await.unwrap();
    assert!(report.interrupted && !report.status.is_final());

    let later = World::over(world.store.clone(), "two");
    let handle = later.engine.resume(&run, None).await.unwrap();
    handle.cancel("enough").await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.tasks[0].status, TaskStatus::Succeeded);
    assert!(later.asked().iter().all(|asked| asked.starts_with("two")), "{:?}", later.asked());
    assert!(matches!(
        later.engine.resume(&run, None).await,
        Err(EngineError::Ended { status: RunStatus::Cancelled, .. })
    ));
}

#[tokio::test]
async fn a_driver_that_lost_its_lease_stops_and_writes_nothing() {
    let world = World::new();
    let handle = world.start(json!({ "one": ask("answer when told", &[]) })).await;
    let run = handle.id().clone();
    let held = world.store.lease(&run).await.unwrap().unwrap();
    let other = World::over(world.store.clone(), "two");
    assert!(matches!(
        other.engine.resume(&run, None).await,
        Err(EngineError::Store(StoreError::LeaseHeld { .. }))
    ));
    let taken = other.engine.resume(&run, Some(held.epoch)).await.unwrap();
    let before = world.log(&run).await.len();
    // Whoever is told, the wish reaches the one who drives the run.
    handle.cancel("late").await.unwrap();
    assert!(matches!(handle.wait().await, Err(EngineError::Store(StoreError::Fenced { .. }))));
    assert_eq!(taken.wait().await.unwrap().status, RunStatus::Cancelled);
    let taken_up = world.log(&run).await.split_off(before);
    let count = |kind| taken_up.iter().filter(|recorded| recorded.event.kind() == kind).count();
    assert_eq!([count("signal-taken"), count("run-ended")], [1, 1]);
}

#[tokio::test]
async fn what_an_attempt_says_is_kept_within_bounds() {
    let world = World::new();
    let report = world.start(json!({ "talk": ask("talk", &[]) })).await.wait().await.unwrap();
    let (mut kept, mut lost) = (0, 0);
    for recorded in world.log(&report.run).await {
        if let Event::AttemptLogged { lines, dropped, .. } = recorded.event {
            kept += lines.len() as u64;
            lost += dropped;
        }
    }
    assert_eq!((kept, lost), (5_000, 1_000));
}

#[tokio::test]
async fn unknown_agents_are_refused_before_anything_is_stored() {
    let world = World::new();
    let document = json!({ "name": "w", "tasks": { "t": { "agent": "dwv", "prompt": "x" } } });
    let workflow = Arc::new(Workflow::parse(&document).unwrap());
    match world.engine.start(StartRun::new(workflow)).await {
        Err(EngineError::UnknownAgent { suggestion, .. }) => {
            assert_eq!(suggestion.as_deref(), Some("did you mean `dev`?"));
        }
        other => panic!("{other:?}"),
    }
    assert!(world.store.run_ids("", 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn blobs_are_found_by_content() {
    let blobs = MemoryBlobs::default();
    let id = blobs.put(b"abc").await.unwrap();
    assert_eq!(
        id.as_str(),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(blobs.get(&id).await.unwrap(), b"abc");
}
