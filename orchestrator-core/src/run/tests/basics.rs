//! Needs, failures, conditions, revisions, cancelling, recovery.

use super::*;
use crate::error::ErrorClass;

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
    driven.tell(Command::recover(Epoch(2))).unwrap();
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
    driven.tell(Command::recover(Epoch(2))).unwrap();
    driven.check("a:running b:running c:pending");
    let tally = |place: usize| driven.run.tasks[place].more.as_ref().unwrap().tally.clone();
    assert_eq!((tally(0).total(), tally(0).interruptions()), (0, 0));
}

#[test]
fn interruptions_are_bounded_over_restarts_and_then_a_person_is_asked() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    for _ in 0..crate::policy::MAX_INTERRUPTIONS {
        driven.tell(Command::recover(Epoch(2))).unwrap();
        driven.check("a:running");
    }
    driven.tell(Command::recover(Epoch(2))).unwrap();
    driven.check("a:waiting");
    assert_eq!(driven.run.status(), RunStatus::Waiting);
    assert_eq!(driven.run.task(0).unwrap().ask().unwrap().kind, crate::event::AskKind::Failure);
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
