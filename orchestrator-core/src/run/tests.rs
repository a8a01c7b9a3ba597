use super::*;
use crate::{
    agent::{AgentSpec, Role},
    command::{AttemptKey, Command, Moment, Rejected},
    error::{ErrorClass, Failure},
    event::{Content, Event, SkipReason},
    id::{AgentName, ProviderName, RunId},
    task::Binding,
    workflow::Workflow,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// A run that is driven by hand, with its log.
struct Driven {
    run: Run,
    log: Vec<Recorded>,
    now: u64,
    started: Vec<AttemptKey>,
    stopped: Vec<String>,
}

impl Driven {
    fn new(tasks: Value) -> Self {
        Self::with(json!({ "name": "w", "tasks": tasks, "max-parallel": 2 }), &["one", "two"])
    }

    fn with(document: Value, agents: &[&str]) -> Self {
        let workflow = Arc::new(Workflow::parse(&document).unwrap());
        let agents: Vec<AgentName> = agents.iter().map(|a| AgentName::new(a).unwrap()).collect();
        let bindings = workflow
            .tasks
            .iter()
            .map(|task| Binding { task: task.name.clone(), agents: agents.clone() })
            .collect();
        let provider = ProviderName::new("test").unwrap();
        let specs = agents
            .iter()
            .map(|name| AgentSpec::new(name.clone(), Role::Dev, provider.clone()))
            .collect();
        let (run, log) = Run::create(
            RunId::new("r_1").unwrap(),
            StartRun::new(workflow),
            bindings,
            specs,
            Moment { now: Timestamp(1_000), draw: 0 },
        )
        .unwrap();
        let mut driven = Self { run, log, now: 1_000, started: Vec::new(), stopped: Vec::new() };
        driven.collect();
        driven
    }

    fn collect(&mut self) {
        for effect in self.run.take_effects() {
            match effect {
                Effect::StartAttempt { attempt, .. } => self.started.push(attempt),
                Effect::StopAttempt { attempt } => self.stopped.push(attempt.task.to_string()),
            }
        }
        self.run.take_rows();
    }

    fn tell(&mut self, command: Command) -> Result<(), Rejected> {
        self.now += 10;
        let moment = Moment { now: Timestamp(self.now), draw: u64::MAX };
        let events = self.run.handle(command, moment)?;
        self.log.extend(events);
        self.collect();
        Ok(())
    }

    /// Takes the attempt of `task` that was started and not yet answered.
    fn attempt(&mut self, task: &str) -> AttemptKey {
        let place = self.started.iter().position(|key| key.task.as_str() == task);
        self.started.remove(place.unwrap_or_else(|| panic!("`{task}` was not started")))
    }

    fn answer(&mut self, task: &str, output: Value) {
        let attempt = self.attempt(task);
        let (spend, artifacts) = (Vec::new(), Vec::new());
        let output = Content::Inline(output);
        self.tell(Command::FinishAttempt { attempt, output, spend, artifacts }).unwrap();
    }

    fn fail(&mut self, task: &str, class: ErrorClass) {
        let attempt = self.attempt(task);
        let failure = Failure::new(class, "it broke");
        self.tell(Command::FailAttempt { attempt, failure }).unwrap();
    }

    /// Checks what is under way and how every task stands, as `name:status`.
    fn check(&self, statuses: &str) {
        let found: Vec<String> =
            self.run.tasks().map(|t| format!("{}:{}", t.spec().name, t.status())).collect();
        assert_eq!(found.join(" "), statuses);
        self.check_replay();
    }

    /// Replaying the log gives the state that live has.
    fn check_replay(&self) {
        let stored: Vec<Recorded> = self
            .log
            .iter()
            .map(|r| serde_json::from_str(&serde_json::to_string(r).unwrap()).unwrap())
            .collect();
        assert_eq!(stored, self.log, "events survive storage");
        let again = Run::replay(&stored).unwrap();
        assert_eq!(again.tasks, self.run.tasks);
        assert_eq!(
            (again.status, again.seq, again.epoch, again.running, again.open, again.failed),
            (
                self.run.status,
                self.run.seq,
                self.run.epoch,
                self.run.running,
                self.run.open,
                self.run.failed
            )
        );
        assert_eq!(again.waiting, self.run.waiting);
        assert_eq!((again.cost, again.usage), (self.run.cost, self.run.usage));
        assert_eq!(again.run_row(), self.run.run_row());
    }
}

fn task(needs: &[&str]) -> Value {
    json!({ "agent": "x", "prompt": "x", "needs": needs, "retry": { "max-attempts": 2 } })
}

#[test]
fn tasks_start_as_their_needs_end_within_the_limit() {
    let mut driven = Driven::new(json!({
        "a": task(&[]), "b": task(&[]), "c": task(&[]), "d": task(&["a", "b", "c"]),
    }));
    driven.check("a:running b:running c:ready d:pending");
    driven.answer("b", json!("x"));
    driven.check("a:running b:succeeded c:running d:pending");
    driven.answer("a", json!("x"));
    driven.answer("c", json!("x"));
    driven.check("a:succeeded b:succeeded c:succeeded d:running");
    driven.answer("d", json!("x"));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
    driven.check_replay();
    assert_eq!(driven.tell(Command::Tick), Err(Rejected::Ended));
}

#[test]
fn a_failure_skips_what_needs_it_and_nothing_else() {
    let mut driven = Driven::new(
        json!({ "a": task(&[]), "b": task(&["a"]), "c": task(&["b"]), "d": task(&[]) }),
    );
    driven.fail("a", ErrorClass::InvalidRequest);
    driven.check("a:failed b:skipped c:skipped d:running");
    driven.answer("d", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    let skipped = driven.log.iter().filter(|r| {
        matches!(&r.event, Event::TaskSkipped { reason: SkipReason::Needs { .. }, .. })
    });
    assert_eq!(skipped.count(), 2);
}

#[test]
fn a_failure_may_be_declared_harmless() {
    let mut driven = Driven::new(json!({
        "a": { "agent": "x", "prompt": "x", "on-failure": "continue" }, "b": task(&["a"]),
    }));
    driven.fail("a", ErrorClass::Refused);
    driven.check("a:failed b:running");
    driven.answer("b", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
}

#[test]
fn a_transient_failure_is_retried_after_a_wait_then_handed_over_then_final() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    driven.fail("a", ErrorClass::Transient);
    driven.check("a:waiting");
    let due = driven.run.next_wake().unwrap();
    assert!(due.0 > driven.now);
    driven.tell(Command::Tick).unwrap();
    driven.check("a:waiting");
    driven.now = due.0;
    driven.tell(Command::Tick).unwrap();
    driven.check("a:running");
    driven.fail("a", ErrorClass::Transient);
    driven.check("a:running");
    let agents: Vec<&str> = driven
        .log
        .iter()
        .filter_map(|r| match &r.event {
            Event::AttemptStarted { agent, .. } => Some(agent.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(agents, ["one", "one", "two"]);
    driven.fail("a", ErrorClass::InvalidRequest);
    assert_eq!(driven.run.status(), RunStatus::Failed);
    driven.check("a:failed");
}

#[test]
fn stale_writes_are_rejected() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    let old = driven.started[0].clone();
    driven.fail("a", ErrorClass::Crashed);
    driven.check("a:running");
    let failure = Failure::new(ErrorClass::Internal, "late");
    let late = Command::FailAttempt { attempt: old.clone(), failure };
    assert_eq!(driven.tell(late), Err(Rejected::Stale(old)));
    let mut forged = driven.started[0].clone();
    forged.epoch = Epoch(99);
    let lines = Vec::new();
    let log = Command::LogAttempt { attempt: forged.clone(), lines, dropped: 0 };
    assert_eq!(driven.tell(log), Err(Rejected::Stale(forged)));
}

#[test]
fn conditions_skip_and_bad_ones_fail() {
    let mut driven = Driven::new(json!({
        "a": task(&[]),
        "yes": { "agent": "x", "prompt": "x", "needs": ["a"], "when": "tasks.a.output.n > 3" },
        "no": { "agent": "x", "prompt": "x", "needs": ["a"], "when": "tasks.a.output.n > 30" },
        "odd": { "agent": "x", "prompt": "x", "needs": ["a"], "when": "tasks.a.output.m" },
    }));
    driven.answer("a", json!({ "n": 5 }));
    driven.check("a:succeeded yes:running no:skipped odd:failed");
}

fn revising(max: u32) -> Value {
    json!({
        "plan": task(&[]),
        "build": task(&["plan"]),
        "test": task(&["build"]),
        "review": { "agent": "x", "prompt": "x", "needs": ["test"],
                    "revise": { "task": "build", "unless": "tasks.review.output.ok", "max": max } },
        "land": task(&["review"]),
    })
}

#[test]
fn work_is_sent_back_with_feedback_until_it_is_accepted() {
    let mut driven = Driven::new(revising(2));
    for task in ["plan", "build", "test"] {
        driven.answer(task, json!("done"));
    }
    driven.answer("review", json!({ "ok": false, "feedback": "tests are missing" }));
    driven.check("plan:succeeded build:running test:pending review:pending land:pending");
    let build = driven.run.task(1).unwrap();
    assert_eq!(build.feedback()[0].message, "tests are missing");
    assert_eq!(build.attempts(), 2);
    driven.answer("build", json!("better"));
    driven.answer("test", json!("done"));
    driven.answer("review", json!({ "ok": true }));
    driven.check("plan:succeeded build:succeeded test:succeeded review:succeeded land:running");
    driven.answer("land", json!(0));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
}

#[test]
fn revisions_are_bounded() {
    let mut driven = Driven::new(revising(1));
    driven.answer("plan", json!("done"));
    for _ in 0..2 {
        driven.answer("build", json!("done"));
        driven.answer("test", json!("done"));
        driven.answer("review", json!({ "ok": false }));
    }
    driven.check("plan:succeeded build:succeeded test:succeeded review:failed land:skipped");
    assert_eq!(driven.run.task(3).unwrap().error().unwrap().class, ErrorClass::CheckFailed);
    assert_eq!(driven.run.status(), RunStatus::Failed);
}

#[test]
fn cancelling_stops_what_runs_and_keeps_what_is_done() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&[]), "c": task(&["b"]) }));
    driven.answer("a", json!(1));
    driven.tell(Command::Cancel { reason: "asked".into() }).unwrap();
    driven.check("a:succeeded b:running c:cancelled");
    assert_eq!(
        (driven.run.status(), &driven.stopped[..]),
        (RunStatus::Cancelling, &["b".to_owned()][..])
    );
    driven.fail("b", ErrorClass::Cancelled);
    driven.check("a:succeeded b:cancelled c:cancelled");
    assert_eq!(driven.run.status(), RunStatus::Cancelled);
}

#[test]
fn recovery_starts_lost_attempts_again_and_only_those() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]) }));
    driven.answer("a", json!(1));
    driven.run = Run::replay(&driven.log).unwrap();
    driven.started.clear();
    driven.tell(Command::Recover { lease: Epoch(2) }).unwrap();
    driven.check("a:succeeded b:running");
    assert_eq!(driven.started.len(), 1);
    assert_eq!(driven.run.task(1).unwrap().attempts(), 2);
    driven.answer("b", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
}

#[test]
fn a_run_that_is_put_down_starts_nothing_and_counts_nothing() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&[]), "c": task(&["b"]) }));
    driven.run.drain();
    for _ in 0..2 {
        let attempt = driven.started.remove(0);
        let failure = Failure::new(ErrorClass::Cancelled, "the engine goes down");
        driven.tell(Command::PutDownAttempt { attempt, failure }).unwrap();
    }
    driven.check("a:waiting b:waiting c:pending");
    driven.run = Run::replay(&driven.log).unwrap();
    driven.tell(Command::Recover { lease: Epoch(2) }).unwrap();
    driven.check("a:running b:running c:pending");
    assert_eq!((driven.run.tasks[0].failures, driven.run.tasks[0].interruptions), (0, 0));
}

#[test]
fn interruptions_are_bounded_over_restarts() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    let mut restarts = 0;
    while !driven.run.status().is_final() {
        driven.started.clear();
        driven.tell(Command::Recover { lease: Epoch(2) }).unwrap();
        restarts += 1;
        assert!(restarts < 100);
    }
    assert_eq!(restarts, crate::policy::MAX_INTERRUPTIONS + 1);
}

#[test]
fn a_damaged_log_is_refused() {
    let driven = Driven::new(json!({ "a": task(&[]) }));
    let check = |log: &[Recorded], part: &str| {
        let error = Run::replay(log).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(&[], "empty");
    check(&driven.log[1..], "does not begin");
    let mut gap = driven.log.clone();
    gap[1].seq = Sequence(7);
    check(&gap, "stands where");
    let mut twice = driven.log.clone();
    twice.push(Recorded { seq: Sequence(3), ..driven.log[1].clone() });
    check(&twice, "cannot follow");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Over random DAGs and random fates of attempts: no dependent starts before its needs, limits
    /// hold, replay equals live at every step, and every run ends.
    #[test]
    fn every_run_ends_and_replays(
        edges in prop::collection::vec((0usize..12, 0usize..12), 0..30),
        harmless in prop::collection::vec(any::<bool>(), 12),
        fates in prop::collection::vec(0u8..8, 200),
        sequential in any::<bool>(),
    ) {
        let mut tasks = serde_json::Map::new();
        for (i, harmless) in harmless.iter().enumerate() {
            let needs: Vec<String> = edges.iter()
                .filter(|(a, b)| a.max(b) == &i && a != b)
                .map(|(a, b)| format!("t{}", a.min(b)))
                .collect();
            let on_failure = if *harmless { "continue" } else { "fail" };
            tasks.insert(format!("t{i}"), json!({
                "agent": "x", "prompt": "x", "needs": needs, "on-failure": on_failure,
                "retry": { "max-attempts": 2 },
            }));
        }
        let mode = if sequential { "sequential" } else { "parallel" };
        let document = json!({ "name": "w", "mode": mode, "tasks": tasks, "max-parallel": 3 });
        let mut driven = Driven::with(document, &["one", "two"]);
        for fate in fates.iter().cycle().take(2_000) {
            if driven.run.status().is_final() {
                break;
            }
            prop_assert!(driven.run.running() <= 3);
            for key in &driven.started {
                let place = driven.run.place(key.task.as_str()).unwrap();
                for need in driven.run.graph().needs(place) {
                    prop_assert!(driven.run.task(need).unwrap().status().is_final());
                }
            }
            if let Some(key) = driven.started.first() {
                let name = key.task.to_string();
                match fate {
                    0 => driven.fail(&name, ErrorClass::Transient),
                    1 => driven.fail(&name, ErrorClass::InvalidRequest),
                    2 => {
                        driven.run = Run::replay(&driven.log).unwrap();
                        driven.started.clear();
                        driven.tell(Command::Recover { lease: Epoch(2) }).unwrap();
                    }
                    3 if driven.now.is_multiple_of(7) => {
                        driven.tell(Command::Cancel { reason: "x".into() }).unwrap();
                    }
                    _ => driven.answer(&name, json!({ "n": fate })),
                }
            } else if let Some(due) = driven.run.next_wake() {
                driven.now = driven.now.max(due.0);
                driven.tell(Command::Tick).unwrap();
            } else {
                prop_assert!(false, "nothing runs, nothing is due, and the run has not ended");
            }
            driven.check_replay();
        }
        prop_assert!(driven.run.status().is_final());
    }
}
