//! Attempts that are stopped in one of their steps, and steps that fail.

use super::*;
use orchestrator_core::{port::Start, run::Reason};

/// Workspaces in which that step takes so long that it can be stopped.
fn slow() -> World {
    World::new(Script::default().slow(Duration::from_secs(20)))
}

/// Where an attempt is while it takes its steps.
const STEPS: [(&str, &str); 3] =
    [("open", "attempt-started"), ("check", "work-recorded"), ("land", "evidence-recorded")];

#[tokio::test(start_paused = true)]
async fn a_pause_stops_every_step_and_it_is_done_again_when_the_run_goes_on() {
    for (step, after) in STEPS {
        let world = slow();
        let engine = world.engine("one");
        let handle = world.start(&engine, json!({ "t": work("a=2", &[]) })).await;
        let run = handle.id().clone();
        world.until(&run, |event| event.kind() == after).await;
        while !world.places.heard().iter().any(|heard| heard.what() == step) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let asked = world.asked();
        handle.pause(true).await.unwrap();
        world.until(&run, |event| matches!(event, Event::AttemptFailed { .. })).await;
        handle.resume().await.unwrap();
        let report = handle.wait().await.unwrap();
        let log = world.log(&run).await;
        assert_eq!(report.status, RunStatus::Succeeded, "{step}: {}", kinds(&log));
        let times = world.places.heard().iter().filter(|heard| heard.what() == step).count();
        assert_eq!(times, 2, "{step}: {}", kinds(&log));
        assert_eq!(count(&log, "work-recorded"), 1, "{step}: {}", kinds(&log));
        assert_eq!(world.asked(), asked.max(1), "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_stops_in_every_step() {
    for (step, after) in STEPS {
        let world = slow();
        let engine = world.engine("one");
        let handle = world.start(&engine, json!({ "t": work("a=2", &[]) })).await;
        let run = handle.id().clone();
        world.until(&run, |event| event.kind() == after).await;
        while !world.places.heard().iter().any(|heard| heard.what() == step) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        handle.cancel("enough").await.unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(report.status, RunStatus::Cancelled, "{step}");
        assert_eq!(report.tasks[0].status, TaskStatus::Cancelled, "{step}");
        assert_eq!(count(&world.log(&run).await, "work-landed"), 0, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn why_tells_the_step() {
    let world = slow();
    let engine = world.engine("one");
    let handle = world.start(&engine, json!({ "t": work("a=2", &[]) })).await;
    let run = handle.id().clone();
    let why = async || {
        let run = engine.load(&run).await.unwrap();
        run.why("t", world.clock.now()).unwrap().because
    };
    world.until(&run, |event| matches!(event, Event::WorkRecorded { .. })).await;
    let told = why().await;
    assert!(matches!(told, Reason::Checking { .. }), "{told:?}");
    assert!(told.told(world.clock.now()).contains("its checks run on commit"));
    world.until(&run, |event| matches!(event, Event::EvidenceRecorded { .. })).await;
    let told = why().await;
    assert!(matches!(told, Reason::Landing { .. }), "{told:?}");
    handle.wait().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_recorded_although_the_attempt_was_stopped() {
    let world = World::strict();
    let engine = world.engine("one");
    let handle = world.start(&engine, json!({ "t": work("a=2 late", &[]) })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::TurnRecorded { .. })).await;
    handle.pause(true).await.unwrap();
    world.until(&run, |event| matches!(event, Event::AttemptFailed { .. })).await;
    assert_eq!(count(&world.log(&run).await, "work-recorded"), 1);
    handle.resume().await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_late_is_recorded_and_proved_by_the_next_attempt() {
    let world = World::strict();
    let mut task = work("a=2 late", &[]);
    task["timeout"] = json!("1s");
    let (report, log) = world.run(json!({ "t": task })).await;
    assert_eq!(report.status, RunStatus::Succeeded, "{}", kinds(&log));
    assert_eq!((world.asked(), count(&log, "work-recorded")), (1, 1));
    assert_eq!(count(&log, "attempt-started"), 2);
}

/// A task whose place may take a megabyte, of an agent that works on and on.
fn bounded() -> Value {
    let mut task = work("a=2 hang", &[]);
    task["workspace"] = json!({ "kind": "worktree", "quota": "1 MB" });
    task["retry"] = json!({ "max-attempts": 1 });
    task
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_place_outgrows_its_quota_is_stopped_when_it_is_measured() {
    // A measurement that cannot be made says nothing.
    let measured = Mutex::new(0);
    let world = World::new(Script::default().failing(move |heard| {
        if heard.what() != "measure" {
            return None;
        }
        let mut measured = measured.lock().unwrap();
        *measured += 1;
        match *measured {
            2 => Some(Failure::new(ErrorClass::Transient, "cannot be read")),
            3 => Some(Failure::new(ErrorClass::ToolFailed, "it takes too much")),
            _ => None,
        }
    }));
    let (report, log) = world.run(json!({ "t": bounded() })).await;
    assert_eq!(report.status, RunStatus::Failed);
    let failed = log.iter().find_map(|recorded| match &recorded.event {
        Event::AttemptFailed { failure, .. } => Some((recorded.at, failure.clone())),
        _ => None,
    });
    let (at, failure) = failed.unwrap();
    assert_eq!((failure.class, &*failure.message), (ErrorClass::ToolFailed, "it takes too much"));
    // Three times ten seconds, and the time to stop by itself.
    let grace = orchestrator_core::engine::STOP_GRACE.as_millis();
    assert_eq!(u128::from(at.0), 30_000 + grace, "{}", kinds(&log));
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_to_measure_is_measured_less_often() {
    let world = World::new(Script::default().slow(Duration::from_secs(2)));
    let mut task = bounded();
    task["timeout"] = json!("100s");
    world.run(json!({ "t": task })).await;
    let heard = world.places.heard();
    let times = heard.iter().filter(|heard| heard.what() == "measure").count();
    // After 10 s, and 40 s after each that took 2 s.
    assert_eq!(times, 3);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_in_passing_is_done_again_without_the_agent() {
    for step in ["check", "land"] {
        let failures = Mutex::new(0);
        let script = Script::default().failing(move |heard| {
            let mut failures = failures.lock().unwrap();
            let fails = heard.what() == step && *failures < 2;
            *failures += u32::from(fails);
            fails.then(|| Failure::new(ErrorClass::Transient, "the disk is full"))
        });
        let world = World::new(script);
        let (report, log) = world.run(json!({ "t": work("a=2", &[]) })).await;
        assert_eq!(report.status, RunStatus::Succeeded, "{step}: {}", kinds(&log));
        assert_eq!((world.asked(), count(&log, "work-recorded")), (1, 1), "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_repeated_is_asked_about_only_while_it_is_not_recorded() {
    // Once the work is recorded it is known what was done.
    let world = slow();
    let mut task = work("a=2", &[]);
    task["retry"] = json!("never-repeat");
    let first = world.engine("one");
    let handle = world.start(&first, json!({ "t": task.clone() })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::WorkRecorded { .. })).await;
    first.interrupt();
    handle.wait().await.unwrap();
    let report = world.engine("two").resume(&run, None).await.unwrap().wait().await.unwrap();
    assert_eq!((report.status, world.asked()), (RunStatus::Succeeded, 1));
    // Before, a person has to say what came of it.
    let world = World::strict();
    task["prompt"] = json!("a=2 hang");
    let first = world.engine("one");
    let handle = world.start(&first, json!({ "t": task })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::TurnRecorded { .. })).await;
    first.interrupt();
    handle.wait().await.unwrap();
    let log = world.log(&run).await;
    let asks = |event: &Event| matches!(event, Event::AttemptFailed { ask: Some(_), .. });
    assert!(log.iter().any(|recorded| asks(&recorded.event)), "{}", kinds(&log));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_leaves_its_last_state_and_goes_on_from_it() {
    let world = World::strict();
    let (report, log) = world.run(json!({ "t": work("a=2 flaky", &[]) })).await;
    assert_eq!(report.status, RunStatus::Succeeded, "{}", kinds(&log));
    let heard = world.places.heard();
    let last = heard.iter().any(|heard| matches!(heard, Heard::Checkpoint { turn: None, .. }));
    assert!(last, "{heard:?}");
    let again = heard
        .iter()
        .any(|heard| matches!(heard, Heard::Opened { attempt: 2, start: Start::Resume(_), .. }));
    assert!(again, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_task_that_failed_is_let_go_and_kept() {
    let world = World::strict();
    let (report, _) = world.run(json!({ "t": work("a=2 fail", &[]) })).await;
    assert_eq!(report.status, RunStatus::Failed);
    let closed = world.places.heard().pop().unwrap();
    assert_eq!(closed, Heard::Closed { task: name("t"), keep: true });
    assert_eq!(world.places.places().len(), 1);
}
