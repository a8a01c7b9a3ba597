//! Work that is sent back: by checks, by a judge, because it weakens what proves it.

use super::*;
use orchestrator_core::schedule::LimitPolicy;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are at work, and how many were at the most: all, and those who judge.
#[derive(Default)]
struct Company {
    now: [AtomicUsize; 2],
    most: [AtomicUsize; 2],
}

impl Company {
    fn enter(&self, kind: usize) {
        let now = self.now[kind].fetch_add(1, Ordering::SeqCst) + 1;
        self.most[kind].fetch_max(now, Ordering::SeqCst);
    }

    fn most(&self) -> (usize, usize) {
        (self.most[0].load(Ordering::SeqCst), self.most[1].load(Ordering::SeqCst))
    }
}

/// An agent that takes a second, and is counted while it does.
struct Slow {
    inner: Arc<dyn Agent>,
    company: Arc<Company>,
    is_judge: bool,
}

#[async_trait]
impl Agent for Slow {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let kinds: &[usize] = if self.is_judge { &[0, 1] } else { &[0] };
        kinds.iter().for_each(|kind| self.company.enter(*kind));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answer = self.inner.perform(work, host).await;
        for kind in kinds {
            self.company.now[*kind].fetch_sub(1, Ordering::SeqCst);
        }
        answer
    }
}

/// A judge that never comes to an end by itself.
struct Hold(Mutex<Vec<String>>);

#[async_trait]
impl Agent for Hold {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        self.0.lock().unwrap().push(work.task.to_string());
        host.cancelled().await;
        Err(Failure::new(ErrorClass::Cancelled, "it was told to stop"))
    }
}
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

/// One attempt at once is allowed in all: the judge gets its place when the agent has given up its own,
/// and no two agents are ever at work.
#[tokio::test(start_paused = true)]
async fn a_judge_has_a_place_of_its_own_among_those_that_limits_allow() {
    for (limits, most) in [
        (LimitPolicy { global: Some(1), ..LimitPolicy::default() }, (1, 1)),
        (
            LimitPolicy {
                agents: [(AgentName::new("judge").unwrap(), 1)].into(),
                ..LimitPolicy::default()
            },
            (3, 1),
        ),
        (
            LimitPolicy {
                providers: [(ProviderName::new("judge").unwrap(), 2)].into(),
                ..LimitPolicy::default()
            },
            (3, 2),
        ),
    ] {
        let world = World::strict();
        let company = Arc::new(Company::default());
        let spec = |name: &str, role| {
            AgentSpec::new(AgentName::new(name).unwrap(), role, ProviderName::new(name).unwrap())
        };
        let slow = |inner: Arc<dyn Agent>, is_judge| {
            Arc::new(Slow { inner, company: company.clone(), is_judge })
        };
        let engine = world
            .builder("one")
            .workspaces(world.places.clone())
            .limits(limits)
            .agent(spec("writer", Role::Dev), slow(Arc::new(Shared(world.writer.clone())), false))
            .agent(spec("judge", Role::Qa), slow(Arc::new(Shared(world.judge.clone())), true))
            .build();
        let judged = |prompt: &str| {
            json!({ "agent": "writer", "prompt": prompt, "workspace": "worktree",
                    "checks": { "run": ["x"], "judge": "qa" } })
        };
        let tasks = json!({ "a": judged("a=2"), "b": judged("b=2"), "c": judged("shared=2") });
        let handle = world.start(&engine, tasks).await;
        let run = handle.id().clone();
        let report = handle.wait().await.unwrap();
        assert_eq!(report.status, RunStatus::Succeeded);
        let (agents, judges) = company.most();
        assert_eq!((agents, judges), most, "at once, all and judges");
        let folded = folded(&world.log(&run).await);
        for task in ["a", "b", "c"] {
            assert_eq!(verified(&folded, task), Some(true), "{task}");
        }
    }
}

/// A judge that has to wait says so, and an attempt that is stopped then gives up what it waits for.
#[tokio::test(start_paused = true)]
async fn a_judge_that_waits_says_so_and_does_not_keep_a_run_from_being_stopped() {
    let world = World::strict();
    let hold = Arc::new(Hold(Mutex::default()));
    let spec = |name: &str, role| {
        AgentSpec::new(AgentName::new(name).unwrap(), role, ProviderName::new(name).unwrap())
    };
    let agents = [(AgentName::new("judge").unwrap(), 1)].into();
    let engine = world
        .builder("one")
        .workspaces(world.places.clone())
        .limits(LimitPolicy { agents, ..LimitPolicy::default() })
        .agent(spec("judge", Role::Qa), Arc::new(Shared(hold.clone())))
        .build();
    let judged = |prompt: &str| {
        json!({ "agent": "writer", "prompt": prompt, "workspace": "worktree",
                "checks": { "run": ["x"], "judge": "qa" } })
    };
    let handle = world.start(&engine, json!({ "a": judged("a=2"), "b": judged("b=2") })).await;
    let run = handle.id().clone();
    world
        .until(&run, |event| {
            matches!(event, Event::AttemptLogged { lines, .. }
                if lines.iter().any(|line| line.text.contains("the judge `judge` has to wait")))
        })
        .await;
    assert_eq!(hold.0.lock().unwrap().len(), 1, "only one was asked");
    handle.cancel("enough").await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Cancelled);
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
