//! Work that is sent back: by checks, by a judge, because it weakens what proves it.

use super::*;
use orchestrator_core::port::Start;

#[tokio::test(start_paused = true)]
async fn what_fails_its_checks_is_mended_from_what_was_made() {
    let world = World::strict();
    let (report, log) = world.run(json!({ "t": work("a=bad", &[]) })).await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(world.result(&report.run).unwrap()["a"], "mended by t");
    let asked = world.writer.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    let told = &asked[1].1[0];
    assert!(told.starts_with("check-failed: The engine ran the checks"), "{told}");
    assert!(told.contains("`make test` (failed with exit code 1)"), "{told}");
    assert!(told.contains("it is Failed"), "{told}");
    let mended =
        world.places.heard().into_iter().any(|heard| {
            matches!(heard, Heard::Opened { attempt: 2, start: Start::Mend { .. }, .. })
        });
    assert!(mended, "{}", world.heard());
    assert_eq!(count(&log, "evidence-recorded"), 2);
    assert_eq!(count(&log, "work-landed"), 1);
    let run = folded(&log);
    assert_eq!(verified(&run, "t"), Some(true));
}

#[tokio::test(start_paused = true)]
async fn what_never_passes_ends_unverified_and_lands_nowhere() {
    let world = World::new(Script::default().judged(|_| Verdict::Failed));
    let (report, log) = world.run(json!({ "t": work("a=2", &[]) })).await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(world.asked(), 3, "as often as `max-attempts` allows");
    assert_eq!(verified(&folded(&log), "t"), Some(false));
    assert!(!world.heard().contains("land"), "{}", world.heard());
    let error = report.tasks[0].error.as_ref().unwrap();
    assert_eq!(error.class, ErrorClass::CheckFailed);
    assert!(!error.message.contains('\n'), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_weakens_what_proves_it_is_told_so_and_is_not_verified() {
    let world = World::new(Script::default().judged(|_| Verdict::Tampered));
    let (report, log) = world.run(json!({ "t": work("a=2", &[]) })).await;
    assert_eq!(report.status, RunStatus::Failed);
    let told = &world.writer.asked.lock().unwrap()[1].1[0];
    assert!(told.contains("weakens what proves it") && told.contains("tests/it.rs"), "{told}");
    assert_eq!(verified(&folded(&log), "t"), Some(false));
    assert_eq!(count(&log, "work-landed"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_judge_sees_task_and_change_and_what_it_says_is_in_the_evidence() {
    let world = World::strict();
    let judged = |prompt: &str| {
        json!({ "agent": "writer", "prompt": prompt, "workspace": "worktree",
                "retry": { "max-attempts": 1 },
                "checks": { "run": ["x"], "judge": "qa" } })
    };
    let (report, log) =
        world.run(json!({ "good": judged("a=fine"), "poor": judged("b=poor") })).await;
    assert_eq!(report.status, RunStatus::Failed);
    let run = folded(&log);
    assert_eq!((verified(&run, "good"), verified(&run, "poor")), (Some(true), Some(false)));
    let poor = run.task(run.place("poor").unwrap()).unwrap();
    let evidence = poor.facts().unwrap().evidence.clone().unwrap();
    assert_eq!(evidence.verdict, Verdict::NotAccepted);
    let document: Value =
        serde_json::from_slice(&world.blobs.get(&evidence.blob).await.unwrap()).unwrap();
    assert_eq!(document["judgement"]["agent"], "judge");
    assert_eq!(document["judgement"]["reason"], "it is poor");
    let asked = world.judge.0.lock().unwrap().clone();
    assert!(asked.iter().any(|prompt| prompt.contains("b=poor") && prompt.contains("Modified b")));
    // Its turns are not in the journal of the attempt that it judges.
    assert_eq!(count(&log, "turn-recorded"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_nobody_knows_is_refused_before_the_run_begins() {
    let world = World::strict();
    let task = json!({ "agent": "writer", "prompt": "a=2", "workspace": "worktree",
        "checks": { "run": ["x"], "judge": "juge" } });
    let workflow = Workflow::parse(&json!({ "name": "w", "tasks": { "t": task } })).unwrap();
    let refused = world.engine("one").start(StartRun::new(Arc::new(workflow))).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("juge"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_program_whose_checks_fail_is_not_run_again_unless_that_is_declared() {
    for (declared, times) in [(false, 1), (true, 2)] {
        let world = World::new(Script::default().judged(|_| Verdict::Failed));
        let engine = world
            .builder("one")
            .workspaces(world.places.clone())
            .agent(
                AgentSpec::new(
                    AgentName::new("command").unwrap(),
                    Role::Dev,
                    ProviderName::new("command").unwrap(),
                ),
                Arc::new(Shared(world.writer.clone())),
            )
            .build();
        let mut task = json!({ "command": ["make"], "workspace": "worktree", "checks": ["x"] });
        if declared {
            task["retry"] = json!({ "max-attempts": 2 });
        }
        let report = world.start(&engine, json!({ "t": task })).await.wait().await.unwrap();
        assert_eq!(report.status, RunStatus::Failed);
        assert_eq!(world.asked(), times);
        // It does the same again: from the beginning, not on what it made.
        assert!(world.places.heard().iter().all(|heard| match heard {
            Heard::Opened { start, .. } => *start == Start::Tip,
            _ => true,
        }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_begins_with_what_was_made() {
    let world = World::strict();
    let review = json!({ "agent": "writer", "prompt": "asking {{ tasks.build.output }}",
        "needs": ["build"], "revise": { "task": "build", "unless": "false", "max": 1 } });
    let mut build = work("a=2", &[]);
    build["land"] = json!("no");
    let (_, log) = world.run(json!({ "build": build, "review": review })).await;
    let made =
        world.places.heard().into_iter().any(|heard| {
            matches!(heard, Heard::Opened { attempt: 2, start: Start::Mend { .. }, .. })
        });
    assert!(made, "{}", kinds(&log));
}
