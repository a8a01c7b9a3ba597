//! Work that does not go together with what is on the branch.

use super::*;
use orchestrator_core::{event::AskKind, port::Start, run::Reason, schedule::HeldUp};

/// Two tasks that change the same file at once.
fn both() -> Value {
    json!({ "one": work("shared=one", &[]), "two": work("shared=two", &[]) })
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_sent_back_on_the_tip_and_then_lands() {
    let world = World::strict();
    let (report, log) = world.run(both()).await;
    assert_eq!(report.status, RunStatus::Succeeded, "{}", kinds(&log));
    assert_eq!(count(&log, "landing-refused"), 1);
    assert_eq!(count(&log, "work-landed"), 2);
    let onto =
        world.places.heard().into_iter().any(|heard| {
            matches!(heard, Heard::Opened { attempt: 2, start: Start::Onto { .. }, .. })
        });
    assert!(onto);
    let files = world.result(&report.run).unwrap();
    assert!(files["shared"].starts_with("mended by"), "{files:?}");
    let told = world.writer.asked.lock().unwrap()[2].1.clone();
    assert_eq!(told.len(), 1, "it is told once: {told:?}");
    assert!(told[0].starts_with("landing: Your work does not go together"), "{told:?}");
    assert!(told[0].contains("shared"), "{told:?}");
    let run = folded(&log);
    assert_eq!((verified(&run, "one"), verified(&run, "two")), (Some(true), Some(true)));
    assert!(run.tasks().all(|task| task.refusal().is_none()));
}

#[tokio::test(start_paused = true)]
async fn what_fails_together_is_sent_back_with_the_evidence_of_both() {
    // Each is good by itself.
    let tasks = json!({
        "one": { "agent": "writer", "prompt": "a=renamed", "workspace": "worktree", "checks": ["x"] },
        "two": { "agent": "writer", "prompt": "b=calls", "workspace": "worktree", "checks": ["x"],
                 "retry": { "max-attempts": 1 } },
    });
    let world = World::new(Script::default().judged(|files| {
        match files["a"] == "renamed" && files["b"] == "calls" {
            true => Verdict::Failed,
            false => Verdict::Verified,
        }
    }));
    let handle = world.start(&world.engine("one"), tasks).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::LandingRefused { .. })).await;
    let log = world.log(&run).await;
    let refused = log.iter().find_map(|recorded| match &recorded.event {
        Event::LandingRefused { task, refusal, .. } => Some((task.clone(), refusal.clone())),
        _ => None,
    });
    let (_, refusal) = refused.unwrap();
    assert!(refusal.files.is_empty());
    assert!(refusal.message.contains("not together with what is on"), "{}", refusal.message);
    let blob = refusal.evidence.unwrap();
    let document: Value = serde_json::from_slice(&world.blobs.get(&blob).await.unwrap()).unwrap();
    assert_eq!(document["verdict"], "failed");
    // What is on the branch stays good.
    let files = world.result(&run).unwrap();
    assert!(files["a"] != "renamed" || files["b"] != "calls", "{files:?}");
    handle.cancel("enough").await.unwrap();
    handle.wait().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_no_attempt_is_left_a_person_is_asked_and_nothing_is_lost() {
    for approve in [true, false] {
        let world = World::strict();
        let mut tasks = both();
        for task in ["one", "two"] {
            tasks[task]["retry"] = json!({ "max-attempts": 1 });
        }
        let engine = world.engine("one");
        let handle = world.start(&engine, tasks).await;
        let run = handle.id().clone();
        let is_asked = |event: &Event| matches!(event, Event::AttemptFailed { ask: Some(_), .. });
        world.until(&run, is_asked).await;
        let log = world.log(&run).await;
        let (task, ask) = log
            .iter()
            .find_map(|recorded| match &recorded.event {
                Event::AttemptFailed { task, ask: Some(ask), .. } => {
                    Some((task.clone(), ask.clone()))
                }
                _ => None,
            })
            .unwrap();
        assert_eq!(ask.kind, AskKind::Failure);
        assert!(ask.message.contains("nothing of the work is lost"), "{}", ask.message);
        assert!(ask.message.contains("conflicts in shared"), "{}", ask.message);
        let held = folded(&log);
        let why = held.why(task.as_str(), Timestamp(0)).unwrap();
        assert!(matches!(why.because, Reason::Person { ask: AskKind::Failure, .. }), "{why:?}");
        let verdict = if approve { Said::Approved } else { Said::Rejected("no".into()) };
        handle.reply(task.clone(), Reply::new(verdict, "ann")).await.unwrap();
        let report = handle.wait().await.unwrap();
        let log = world.log(&run).await;
        let asked = world.asked();
        match approve {
            true => {
                assert_eq!((report.status, asked), (RunStatus::Succeeded, 3), "{}", kinds(&log));
                assert_eq!(count(&log, "work-landed"), 2);
            }
            false => assert_eq!((report.status, asked), (RunStatus::Failed, 2)),
        }
        // The commit of the work is there in any case.
        let made = held.task(held.place(task.as_str()).unwrap()).unwrap().facts().unwrap().clone();
        assert!(world.places.commit(&made.work.commit).is_some());
        assert_eq!(name(task.as_str()), task);
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_touch_the_same_files_are_kept_apart_and_why_names_it() {
    let apart = |prompt: &str, touches: &str| {
        let mut task = work(prompt, &[]);
        task["land"] = json!({ "touches": [touches], "keep-apart": true });
        task
    };
    let world = World::strict();
    let engine = world.engine("one");
    let handle = world
        .start(
            &engine,
            json!({
                "one": apart("a=2 hang-once", "src/*.rs"),
                "two": apart("b=2", "src/a.rs"),
                // The same agent, which nothing holds up.
                "other": work("shared=2", &[]),
            }),
        )
        .await;
    let run = handle.id().clone();
    let done = |event: &Event| matches!(event, Event::AttemptSucceeded { task, .. } if task.as_str() == "other");
    world.until(&run, done).await;
    let mut held = engine.load(&run).await.unwrap();
    let row = {
        // What holds a task up is published from time to time.
        tokio::time::sleep(Duration::from_secs(3)).await;
        use orchestrator_core::port::{Catalog, Page, TaskFilter};
        let filter = TaskFilter { run: Some(run.clone()), ..TaskFilter::default() };
        let page = Page { limit: 10, cursor: None };
        let rows = world.store.tasks(&filter, &page).await.unwrap().items;
        rows.into_iter().find(|row| row.name.as_str() == "two").unwrap()
    };
    let by = row.held_up.unwrap();
    assert_eq!(by, HeldUp::Apart { task: name("one"), path: "src/a.rs".into() });
    held.recall_held_up([(name("two"), by)]);
    let why = held.why("two", Timestamp(0)).unwrap();
    let told = why.because.told(Timestamp(0));
    assert!(told.contains("`one` is at work on `src/a.rs`"), "{told}");
    // Once the one is over, the other begins.
    handle.kill(name("one"), "enough").await.unwrap();
    let report = handle.wait().await.unwrap();
    let two = report.tasks.iter().find(|task| task.name.as_str() == "two").unwrap();
    assert_eq!(two.status, TaskStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn work_may_end_in_a_pull_request_which_is_recorded_once_and_told() {
    let task = || {
        let mut task = work("a=2", &[]);
        task["land"] = json!("pull-request");
        json!({ "build": task })
    };
    let full = {
        let world = World::strict();
        let (report, log) = world.run(task()).await;
        assert_eq!(report.status, RunStatus::Succeeded);
        assert_eq!((count(&log, "pull-request-opened"), count(&log, "work-landed")), (1, 0));
        let run = folded(&log);
        let built = run.task(run.place("build").unwrap()).unwrap();
        let facts = built.facts().unwrap();
        let request = facts.requested.as_ref().unwrap();
        assert_eq!((&*request.target, request.number), ("main", Some(7)));
        assert_eq!((&request.commit, facts.landed.as_ref()), (&facts.work.commit, None));
        let why = run.why("build", Timestamp(0)).unwrap();
        let told = why.because.told(Timestamp(0));
        assert!(
            told.contains("a pull request for `main` was opened: https://forge.example/"),
            "{told}"
        );
        assert_eq!(world.places.branch("main").unwrap()["a"], "1", "that is for whoever merges it");
        log
    };
    // Whatever cuts it off, it is recorded once, and the agent is not asked again.
    for cut in 1..full.len() {
        let world = World::strict();
        let first = world.engine("one");
        let handle = world.start(&first, task()).await;
        let run = handle.id().clone();
        while world.log(&run).await.len() < cut {
            tokio::task::yield_now().await;
        }
        first.interrupt();
        let _ = handle.wait().await;
        drop(first);
        if !folded(&world.log(&run).await).status().is_final() {
            let second = world.engine("two");
            let report = second.resume(&run, None).await.unwrap().wait().await.unwrap();
            assert_eq!(report.status, RunStatus::Succeeded, "cut at {cut}");
        }
        let log = world.log(&run).await;
        assert_eq!(count(&log, "pull-request-opened"), 1, "cut at {cut}");
        assert_eq!(count(&log, "work-recorded"), 1, "cut at {cut}");
    }
}
