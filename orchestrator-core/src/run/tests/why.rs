//! Why each task stands where it stands.

use super::*;
use crate::{event::AskKind, schedule::HeldUp};

/// Checks the kinds from the task to the root, as `task:kind`, and what is told of the root.
#[track_caller]
fn check(run: &Run, now: u64, task: &str, chain: &str, told: &str) {
    let why = run.why(task, Timestamp(now)).unwrap();
    let mut found = vec![format!("{}:{}", why.task, why.because.kind())];
    found.extend(why.chain.iter().map(|link| format!("{}:{}", link.task, link.because.kind())));
    assert_eq!(found.join(" "), chain);
    let words = why.root().1.told(Timestamp(now));
    assert!(words.contains(told), "{words}");
    let stored: Why = serde_json::from_value(serde_json::to_value(&why).unwrap()).unwrap();
    assert_eq!(stored, why, "a reason survives its JSON form");
}

fn replayed(driven: &Driven) -> Run {
    Run::replay(&driven.log).unwrap()
}

#[test]
fn a_chain_of_needs_leads_to_who_is_at_work() {
    let driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]), "c": task(&["b", "a"]) }));
    let now = driven.now + 65_000;
    check(&driven.run, now, "a", "a:attempt", "`one` works on it, attempt 1, since 1m5s");
    check(&driven.run, now, "c", "c:needs a:attempt", "works on it");
    check(&driven.run, now, "b", "b:needs a:attempt", "works on it");
    assert!(driven.run.why("nobody", Timestamp(now)).is_none());
    let first = driven.run.why("c", Timestamp(now)).unwrap();
    assert_eq!(first.because.told(Timestamp(now)), "it waits for `a` and `b`");
}

#[test]
fn the_most_telling_need_is_followed() {
    let driven = Driven::new(json!({
        "a": task(&[]), "b": task(&[]), "c": task(&["a"]),
        "sign": { "approval": { "message": "Land it?", "expires-in": "1h" } },
        "late": task(&["sign"]),
        "end": task(&["a", "b", "c", "late"]),
    }));
    let why = "end:needs late:needs sign:person";
    check(&driven.run, 61_000, "end", why, "it waits for an approval, asked 1m ago, open until");
}

#[test]
fn limits_are_told_to_all_who_need_the_same() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&[]), "c": task(&[]) }));
    check(&driven.run, 2_000, "c", "c:held-up", "2 attempts of the run at once");
    driven.answer("a", json!(1));
    driven.answer("b", json!(1));
    check(&driven.run, 2_000, "c", "c:attempt", "works on it");
    // What another process knows is in the rows.
    let many = json!({ "a": task(&[]), "b": task(&[]), "c": task(&[]), "d": task(&["c"]) });
    let driven = Driven::new(many);
    let mut run = replayed(&driven);
    let by = HeldUp::Group { group: "disk".into(), run: None, task: None };
    run.recall_held_up([(TaskName::new("c").unwrap(), by)]);
    check(&run, 2_000, "d", "d:needs c:held-up", "the group `disk` is not free");
}

#[test]
fn waits_between_attempts_say_after_what_and_until_when() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]) }));
    driven.fail("a", ErrorClass::Transient);
    check(
        &driven.run,
        driven.now,
        "b",
        "b:needs a:retry",
        "attempt 1 failed (transient: it broke)",
    );
    check(&replayed(&driven), driven.now, "a", "a:retry", "and the next is due at 1970");
    // Once it is due, it is the driver's turn.
    check(&driven.run, driven.now + 3_600_000, "a", "a:turn", "it could start");
    let alone = json!({ "name": "w", "tasks": { "a": task(&[]) } });
    let mut driven = Driven::with(alone, &["one"]);
    let attempt = driven.attempt("a");
    let reset = Timestamp(driven.now + 7_200_000);
    let failure = Failure::new(ErrorClass::RateLimited, "too many").retry_at(reset);
    driven.tell(Command::FailAttempt { attempt, failure }).unwrap();
    check(&driven.run, driven.now, "a", "a:reset", "rate_limited (too many); it goes on at");
    let driven = Driven::new(json!({ "a": { "agent": "x", "prompt": "x", "delay": "10m" } }));
    check(&driven.run, 1_000, "a", "a:delay", "(in 10m)");
}

#[test]
fn people_are_told_what_they_are_asked() {
    let mut driven = Driven::with(
        json!({ "name": "w", "tasks": { "a": task(&[]), "b": task(&["a"]) } }),
        &["one"],
    );
    driven.fail("a", ErrorClass::Auth);
    let why = driven.run.why("b", Timestamp(driven.now)).unwrap();
    let (root, reason) = why.root();
    assert_eq!(root.as_str(), "a");
    assert!(matches!(reason, Reason::Person { ask: AskKind::Failure, .. }), "{reason:?}");
    let mut driven = Driven::with(json!({ "name": "w", "tasks": { "a": task(&[]) } }), &["one"]);
    driven.fail("a", ErrorClass::OverBudget);
    check(&driven.run, driven.now, "a", "a:budget", "the budget is used up");
    assert_eq!(driven.run.most_telling(Timestamp(0)).unwrap().as_str(), "a");
}

#[test]
fn a_list_says_how_far_it_is_and_what_its_items_wait_for() {
    let mut driven = Driven::new(json!({
        "each": { "agent": "x", "prompt": "x", "for-each": "[1, 2, 3, 4]" }, "join": task(&["each"]),
    }));
    driven.answer("each:0", json!(1));
    let chain = "join:needs each:items each:3:held-up";
    check(&driven.run, driven.now, "join", chain, "2 attempts of the run at once");
    let why = driven.run.why("each", Timestamp(driven.now)).unwrap();
    let told = why.because.told(Timestamp(driven.now));
    assert_eq!(told, "1 of its 4 items have ended; 2 attempt, 1 held up");
}

#[test]
fn a_run_that_is_paused_or_ending_says_so() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]), "c": task(&["b"]) }));
    driven.signal(Signal::Pause { now: false });
    driven.answer("a", json!(1));
    check(&driven.run, driven.now, "c", "c:needs b:paused", "the run is paused");
    check(&replayed(&driven), driven.now, "b", "b:paused", "the run is paused");
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]) }));
    driven.tell(Command::Cancel { reason: "enough".into() }).unwrap();
    check(&driven.run, driven.now, "a", "a:cancelling", "enough");
    check(&driven.run, driven.now, "b", "b:cancelled", "it was stopped: enough");
}

#[test]
fn a_failure_says_of_what_how_often_and_by_which_rule() {
    let mut driven = Driven::with(
        json!({ "name": "w", "tasks": { "a": task(&[]), "b": task(&["a"]), "c": task(&["b"]) } }),
        &["one"],
    );
    driven.fail("a", ErrorClass::Transient);
    driven.now = driven.run.next_wake().unwrap().0;
    driven.tell(Command::Tick).unwrap();
    driven.fail("a", ErrorClass::TimedOut);
    let told = "after 2 attempts (1 transient, 1 timed_out), timed_out: it broke; \
                `retry.max-attempts` allows 2";
    check(&driven.run, driven.now, "a", "a:failed", told);
    check(&driven.run, driven.now, "c", "c:skipped b:skipped a:failed", "max-attempts");
    assert_eq!(driven.run.most_telling(Timestamp(0)).unwrap().as_str(), "a");
    for (class, rule) in [
        (ErrorClass::Refused, "a failure of this class is not tried again"),
        (ErrorClass::InvalidRequest, "a failure of this class is not tried again"),
    ] {
        let mut driven = Driven::new(json!({ "a": task(&[]) }));
        driven.fail("a", class);
        check(&driven.run, driven.now, "a", "a:failed", rule);
    }
    let mut driven = Driven::new(json!({ "a": { "command": ["false"] } }));
    driven.fail("a", ErrorClass::ToolFailed);
    check(&driven.run, driven.now, "a", "a:failed", "only where `retry` is declared");
    let mut driven = Driven::new(json!({ "a":
        { "command": ["false"], "retry": { "max-attempts": 1 } } }));
    driven.fail("a", ErrorClass::ToolFailed);
    check(&driven.run, driven.now, "a", "a:failed", "`retry.max-attempts` allows 1");
    let mut driven = Driven::new(json!({ "each": { "agent": "x", "prompt": "x", "for-each": "[1]",
        "retry": { "max-attempts": 1 } }, "join": task(&["each"]) }));
    driven.fail("each:0", ErrorClass::Refused);
    check(&driven.run, driven.now, "join", "join:skipped each:failed each:0:failed", "refused");
}

#[test]
fn what_did_not_run_or_was_done_elsewhere_says_so() {
    let driven = Driven::new(json!({ "a": { "agent": "x", "prompt": "x", "when": "1 > 2" } }));
    check(&driven.run, 0, "a", "a:skipped", "its `when` is false: 1 > 2");
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    driven.answer("a", json!(1));
    check(&driven.run, 0, "a", "a:succeeded", "`one` did it at the first attempt");
    let mut driven = Driven::new(json!({
        "a": { "agent": "x", "prompt": "x", "compensate": { "agent": "x", "prompt": "undo" } },
        "c": { "agent": "x", "prompt": "x", "needs": ["a"], "on-failure": "compensate" },
        "d": task(&["c"]),
    }));
    driven.answer("a", json!(1));
    driven.fail("c", ErrorClass::Refused);
    check(&driven.run, 0, "a", "a:succeeded", "did it");
    driven.answer("a:undo", json!(1));
    check(&driven.run, 0, "a", "a:undone c:failed", "refused");
    let why = driven.run.why("a", Timestamp(0)).unwrap();
    assert_eq!(why.because.told(Timestamp(0)), "what it did was undone because `c` failed");
}

#[test]
fn a_long_chain_keeps_both_ends() {
    let mut tasks = serde_json::Map::new();
    tasks.insert("t0".into(), task(&[]));
    for n in 1..100 {
        tasks.insert(format!("t{n}"), task(&[&format!("t{}", n - 1)]));
    }
    let driven = Driven::new(Value::Object(tasks));
    let why = driven.run.why("t99", Timestamp(0)).unwrap();
    assert_eq!(why.chain.len() + why.omitted as usize, 99);
    assert_eq!(why.chain.first().unwrap().task.as_str(), "t98");
    assert_eq!(why.root().0.as_str(), "t0");
}
