//! The way of an attempt when all goes well, and the crash at each of its steps.

use super::*;
use orchestrator_core::{port::Start, workspace::WorkspaceKind};

#[tokio::test(start_paused = true)]
async fn each_step_is_an_event_and_the_work_lands_verified() {
    let world = World::strict();
    let (report, log) = world
        .run(json!({
            "build": work("a=2", &[]),
            "look": { "agent": "writer", "needs": ["build"], "when": "tasks.build.verified",
                "prompt": "asking {{ tasks.build.verified }} {{ tasks.build.diff }}" },
        }))
        .await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(
        kinds(&log),
        "run-created attempt-started workspace-opened turn-recorded checkpoint-made work-recorded \
         evidence-recorded work-landed attempt-succeeded condition-met attempt-started attempt-succeeded run-ended"
    );
    assert_eq!(report.output("look"), Some(&json!("asking true Modified a: 2\n")));
    assert_eq!(world.heard(), "open snapshot check land close");
    assert_eq!(world.result(&report.run).unwrap()["a"], "2");
    assert_eq!(world.places.branch("main").unwrap()["a"], "1", "the project's own is not touched");
    let run = folded(&log);
    assert_eq!((verified(&run, "build"), verified(&run, "look")), (Some(true), None));
    let task = run.task(run.place("build").unwrap()).unwrap();
    let facts = task.facts().unwrap();
    assert_eq!(facts.work.files, 1);
    assert_eq!(facts.landed.as_ref().unwrap().commit, facts.work.commit);
    assert_eq!(task.workspace().unwrap().kind, WorkspaceKind::Worktree);
    let rows = run.task_row(run.place("build").unwrap()).unwrap();
    assert_eq!(rows.verified, Some(true));
    // The evidence is a document, and what the check printed is kept beside it.
    let evidence = facts.evidence.as_ref().unwrap();
    let document: Value =
        serde_json::from_slice(&world.blobs.get(&evidence.blob).await.unwrap()).unwrap();
    assert_eq!(document["schema"], "orchestrator.evidence/v1");
    let printed = document["checks"][0]["output"].as_str().unwrap();
    assert_eq!(evidence.outputs[0].as_str(), printed);
    assert_eq!(world.blobs.get(&evidence.outputs[0]).await.unwrap(), b"it is Passed");
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_event_never_asks_the_agent_again_for_recorded_work() {
    let tasks = || json!({ "build": work("a=2", &[]), "next": work("b=2", &["build"]) });
    let full = {
        let world = World::strict();
        world.run(tasks()).await.1
    };
    for cut in 1..full.len() {
        let world = World::strict();
        let first = world.engine("one");
        let handle = world.start(&first, tasks()).await;
        let run = handle.id().clone();
        // The engine goes no further than an event, and its driver is lost there.
        while world.log(&run).await.len() < cut {
            tokio::task::yield_now().await;
        }
        first.interrupt();
        let _ = handle.wait().await;
        drop(first);
        let before = world.log(&run).await;
        let recorded: Vec<String> = before
            .iter()
            .filter_map(|recorded| match &recorded.event {
                Event::WorkRecorded { task, .. } => Some(task.to_string()),
                _ => None,
            })
            .collect();
        let asked = |task: &String| {
            let asked = world.writer.asked.lock().unwrap();
            asked.iter().filter(|(of, _)| of == task).count()
        };
        let times: Vec<usize> = recorded.iter().map(asked).collect();
        let second = world.engine("two");
        let report = match folded(&before).status().is_final() {
            true => continue,
            false => second.resume(&run, None).await.unwrap().wait().await.unwrap(),
        };
        let log = world.log(&run).await;
        assert_eq!(report.status, RunStatus::Succeeded, "cut at {cut}: {}", kinds(&log));
        // Each task's work is recorded once, and landed and proved once.
        for kind in ["work-recorded", "evidence-recorded", "work-landed"] {
            assert_eq!(count(&log, kind), 2, "{kind}, cut at {cut}: {}", kinds(&log));
        }
        let after: Vec<usize> = recorded.iter().map(asked).collect();
        assert_eq!(after, times, "cut at {cut}: {}", kinds(&log));
        let files = world.result(&run).unwrap();
        assert_eq!((files["a"].as_str(), files["b"].as_str()), ("2", "2"));
        let run = folded(&log);
        assert_eq!((verified(&run, "build"), verified(&run, "next")), (Some(true), Some(true)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_off_attempt_goes_on_in_its_place_with_its_turns() {
    let world = World::strict();
    let first = world.engine("one");
    let handle = world.start(&first, json!({ "t": work("a=2 hang-once b=2", &[]) })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::CheckpointMade { .. })).await;
    first.interrupt();
    handle.wait().await.unwrap();
    let report = world.engine("two").resume(&run, None).await.unwrap().wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    // The first file was written once, and is there.
    assert_eq!(*world.writer.written.lock().unwrap(), ["a=2", "b=2"]);
    let files = world.result(&run).unwrap();
    assert_eq!((files["a"].as_str(), files["b"].as_str()), ("2", "2"));
    let opened: Vec<Start> = world
        .places
        .heard()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Opened { start, .. } => Some(start),
            _ => None,
        })
        .collect();
    assert!(matches!(&opened[..], [Start::Tip, Start::Resume(_)]), "{opened:?}");
    // The place is the same, so that it is told once.
    assert_eq!(count(&world.log(&run).await, "workspace-opened"), 1);
}

#[tokio::test(start_paused = true)]
async fn without_workspaces_a_task_that_declares_one_fails_before_anything_is_spent() {
    let world = World::strict();
    let engine = world.builder("one").build();
    let report = world.start(&engine, json!({ "t": work("a=2", &[]) })).await.wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Failed);
    let error = report.tasks[0].error.as_ref().unwrap();
    assert_eq!(error.class, ErrorClass::InvalidRequest);
    assert!(error.message.contains("`workspace: worktree`"), "{error}");
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_without_git_records_nothing_and_may_come_from_the_cache() {
    let world = World::strict();
    let task = |needs: &[&str]| {
        json!({ "agent": "writer", "prompt": "a=2", "needs": needs, "workspace": "copy",
                "cache": true })
    };
    let tasks =
        json!({ "one": task(&[]), "two": { "agent": "writer", "prompt": "x", "needs": ["one"] } });
    for cached in [0, 1] {
        let (report, log) = world.run(tasks.clone()).await;
        assert_eq!(report.status, RunStatus::Succeeded);
        assert_eq!(count(&log, "workspace-opened"), 1 - cached);
        assert_eq!(count(&log, "work-recorded") + count(&log, "work-landed"), 0);
    }
    assert_eq!(world.heard(), "open close");
    assert!(world.places.places().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_changed_is_proved_and_does_not_land() {
    let world = World::strict();
    let (report, log) = world.run(json!({ "t": work("mend", &[]) })).await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!((count(&log, "evidence-recorded"), count(&log, "work-landed")), (1, 0));
    let run = folded(&log);
    assert_eq!(verified(&run, "t"), Some(true));
    assert!(run.task(0).unwrap().facts().unwrap().work.diff.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_list_are_told_one_by_one() {
    let world = World::strict();
    let each = json!({ "agent": "writer", "prompt": "{{ item }}", "for-each": ["a=2", "b=bad"],
        "workspace": "worktree", "checks": ["x"], "retry": { "max-attempts": 1 },
        "on-failure": "continue" });
    let look = json!({ "agent": "writer", "needs": ["each"],
        "when": "tasks.each.verified == [true, false]",
        "prompt": "asking {{ tasks.each.diff }}" });
    let (report, log) = world.run(json!({ "each": each, "look": look })).await;
    let run = folded(&log);
    assert_eq!((verified(&run, "each:0"), verified(&run, "each:1")), (Some(true), Some(false)));
    assert_eq!(verified(&run, "each"), Some(false));
    let said = report.output("look").unwrap().as_str().unwrap();
    assert!(said.contains("Modified a: 2") && said.contains("Modified b: bad"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_was_carried_over_keeps_its_proof_and_is_what_the_new_run_begins_with() {
    let world = World::strict();
    let tasks = json!({ "build": work("a=2", &[]), "bad": work("b=bad", &["build"]) });
    let (report, log) = world.run(tasks.clone()).await;
    assert_eq!(report.status, RunStatus::Failed);
    let before = folded(&log);
    let workflow = before.created().workflow.clone();
    let keep = |task: &TaskName| task.as_str() == "build";
    let mut start = StartRun::new(workflow.clone());
    start.seed = before.carry(&workflow, &keep);
    let again = world.engine("two").start(start).await.unwrap().wait().await.unwrap();
    let after = folded(&world.log(&again.run).await);
    assert_eq!(verified(&after, "build"), Some(true));
    // What the other run had landed is there, and not begun from the project again.
    assert_eq!(world.result(&again.run).unwrap()["a"], "2");
}
