//! Each construct of the language by its transitions.

use super::*;
use crate::{
    error::ErrorClass,
    event::{AskKind, Verdict},
};

fn spawning(extra: Value) -> Value {
    let mut each = json!({ "agent": "x", "prompt": "{{ item }}", "needs": ["plan"],
        "for-each": "tasks.plan.output", "retry": { "max-attempts": 1 } });
    for (key, value) in extra.as_object().unwrap() {
        each[key] = value.clone();
    }
    json!({ "plan": task(&[]), "each": each, "join": task(&["each"]) })
}

#[test]
fn a_list_becomes_tasks_and_their_end_its_own() {
    let mut driven = Driven::new(spawning(json!({})));
    driven.answer("plan", json!(["a", "b", "c"]));
    driven.check(
        "plan:succeeded each:running join:pending each:0:running each:1:running each:2:ready",
    );
    driven.answer("each:1", json!("B"));
    driven.answer("each:0", json!("A"));
    driven.answer("each:2", json!("C"));
    driven.check("plan:succeeded each:succeeded join:running each:0:succeeded each:1:succeeded each:2:succeeded");
    let scope = driven.run.sight(2).scope(&Loaded::new()).unwrap();
    assert_eq!(scope["tasks"]["each"]["output"], json!(["A", "B", "C"]));
    assert_eq!(driven.run.sight(4).item(&Loaded::new()).unwrap().unwrap().value, json!("b"));
    driven.answer("join", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
}

#[test]
fn an_empty_list_succeeds_at_once_and_what_is_no_list_fails() {
    let mut driven = Driven::new(spawning(json!({})));
    driven.answer("plan", json!([]));
    driven.check("plan:succeeded each:succeeded join:running");
    let mut driven = Driven::new(spawning(json!({})));
    driven.answer("plan", json!("no list"));
    driven.check("plan:succeeded each:failed join:skipped");
}

#[test]
fn items_that_fail_fail_the_task_unless_it_may_go_on_in_part() {
    for (on_failure, rest) in [("fail", "join:skipped"), ("continue", "join:running")] {
        let mut driven = Driven::new(spawning(json!({ "on-failure": on_failure })));
        driven.answer("plan", json!([1, 2]));
        driven.fail("each:0", ErrorClass::Refused);
        driven.answer("each:1", json!("done"));
        driven.check(&format!("plan:succeeded each:failed {rest} each:0:failed each:1:succeeded"));
        let output = driven.run.sight(2).scope(&Loaded::new()).unwrap();
        assert_eq!(output["tasks"]["each"]["output"], json!([null, "done"]));
    }
}

#[test]
fn a_revision_makes_the_list_again_and_counts_attempts_on() {
    let mut driven = Driven::new(json!({
        "each": { "agent": "x", "prompt": "x", "for-each": "[1, 2]" },
        "judge": { "agent": "x", "prompt": "x", "needs": ["each"],
                   "revise": { "task": "each", "unless": "tasks.judge.output.ok" } },
    }));
    driven.answer("each:0", json!(1));
    driven.answer("each:1", json!(1));
    driven.answer("judge", json!({ "ok": false, "feedback": "again" }));
    driven.check("each:running judge:pending each:0:running each:1:running");
    let place = driven.run.place("each:0").unwrap();
    assert_eq!(driven.run.task(place).unwrap().attempts(), 2);
    assert_eq!(driven.run.briefing(place).feedback[0].message, "again");
    driven.answer("each:0", json!(2));
    driven.answer("each:1", json!(2));
    driven.answer("judge", json!({ "ok": true }));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
    driven.check_replay();
}

fn asking(expires: &str) -> Value {
    json!({ "sign": { "approval": { "message": "Land {{ run.id }}?", "expires-in": expires } },
            "land": task(&["sign"]) })
}

#[test]
fn an_approval_waits_for_a_person() {
    let said = |verdict: Verdict, statuses: &str| {
        let mut driven = Driven::new(asking("1h"));
        driven.check("sign:waiting land:pending");
        assert_eq!(driven.run.status(), RunStatus::Waiting);
        assert!(driven.run.resting());
        assert_eq!(driven.run.task(0).unwrap().ask().unwrap().message, "Land r_1?");
        driven.reply("sign", verdict);
        driven.check(statuses);
        driven
    };
    let driven = said(Verdict::Approved, "sign:succeeded land:running");
    let output = driven.run.task(0).unwrap().output().cloned().unwrap();
    assert_eq!(output.inline().unwrap()["approved"], json!(true));
    said(Verdict::Answered("with care".into()), "sign:succeeded land:running");
    let driven = said(Verdict::Rejected("too early".into()), "sign:failed land:skipped");
    assert_eq!(driven.run.task(0).unwrap().error().unwrap().class, ErrorClass::Refused);
}

#[test]
fn nobody_answers_in_time() {
    let mut driven = Driven::new(asking("1h"));
    driven.now = driven.run.next_wake().unwrap().0;
    driven.tell(Command::Tick).unwrap();
    driven.check("sign:failed land:skipped");
    assert_eq!(driven.run.task(0).unwrap().error().unwrap().class, ErrorClass::TimedOut);
}

#[test]
fn a_delay_is_waited_out_also_over_a_restart() {
    let mut driven = Driven::new(json!({ "a": { "agent": "x", "prompt": "x", "delay": "10m" } }));
    driven.check("a:waiting");
    driven.run = Run::replay(&driven.log).unwrap();
    let due = driven.run.next_wake().unwrap();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    driven.check("a:waiting");
    driven.now = due.0;
    driven.tell(Command::Tick).unwrap();
    driven.check("a:running");
}

#[test]
fn a_child_is_attended_and_its_end_is_the_tasks() {
    let mut driven = Driven::new(json!({ "a": { "workflow": "other" }, "b": task(&["a"]) }));
    let Some(Effect::AttendChild { child, .. }) = driven.asked.pop() else {
        panic!("no child is attended");
    };
    assert!(driven.run.resting());
    let end = |run, status| Command::EndChild {
        run,
        status,
        output: Content::Inline(json!("out")),
        reason: None,
    };
    assert_eq!(
        driven.tell(end(RunId::new("r_x").unwrap(), RunStatus::Failed)),
        Err(Rejected::Late)
    );
    driven.run = Run::replay(&driven.log).unwrap();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    assert!(
        matches!(&driven.asked[..], [Effect::AttendChild { child: again, .. }] if *again == child)
    );
    driven.check("a:running b:pending");
    driven.tell(end(child, RunStatus::Succeeded)).unwrap();
    driven.check("a:succeeded b:running");
}

#[test]
fn what_was_done_is_undone_the_last_first() {
    let undo = |name: &str, needs: &[&str]| {
        json!({ "agent": "x", "prompt": "x", "needs": needs,
                "compensate": { "agent": "x", "prompt": name } })
    };
    let mut driven = Driven::new(json!({
        "a": undo("a", &[]), "b": undo("b", &["a"]),
        "c": { "agent": "x", "prompt": "x", "needs": ["b"], "on-failure": "compensate" },
        "d": task(&["c"]),
    }));
    driven.answer("a", json!(1));
    driven.answer("b", json!(1));
    driven.fail("c", ErrorClass::Refused);
    driven.check("a:succeeded b:succeeded c:failed d:skipped b:undo:running a:undo:pending");
    driven.fail("b:undo", ErrorClass::Refused);
    driven.check("a:succeeded b:succeeded c:failed d:skipped b:undo:failed a:undo:running");
    driven.answer("a:undo", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    driven.check_replay();
}

#[test]
fn another_workflow_is_started_before_the_run_ends() {
    let document = |on: &str| json!({ "name": "w", "tasks": { "a": task(&[]) }, "then": [{ "on": on, "workflow": "o" }] });
    let mut driven = Driven::with(document("success"), &["one"]);
    driven.answer("a", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Running);
    let Some(Effect::StartChain { run, .. }) = driven.asked.pop() else {
        panic!("nothing is started");
    };
    driven.check_replay();
    driven.run = Run::replay(&driven.log).unwrap();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    assert!(matches!(&driven.asked[..], [Effect::StartChain { run: again, .. }] if *again == run));
    driven.tell(Command::EndChain { run, failure: None }).unwrap();
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
    let mut driven = Driven::with(document("failure"), &["one"]);
    driven.answer("a", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
}

#[test]
fn a_managing_task_adds_tasks_that_fit() {
    let document = json!({ "name": "w", "mode": "hierarchical", "tasks": { "boss": task(&[]), "z": task(&[]) } });
    let added = |name: &str, needs: &[&str]| {
        let task =
            Workflow::new("w").unwrap().task(name, "one", "x", needs).unwrap().tasks.remove(0);
        let binding = Binding::new(task.name.clone(), vec![AgentName::new("one").unwrap()]);
        (task, binding)
    };
    let finish = |driven: &mut Driven, all: Vec<_>| {
        let attempt = driven.attempt("boss");
        let (tasks, bindings) = all.into_iter().unzip();
        let added = Some(Box::new(crate::command::Added { tasks, bindings, agents: Vec::new() }));
        let output = Content::Inline(json!(1));
        let (spend, artifacts) = (Vec::new(), Vec::new());
        let finish =
            Command::FinishAttempt { attempt, output, spend, artifacts, cached: None, added };
        driven.tell(finish).unwrap();
    };
    let mut driven = Driven::with(document.clone(), &["one"]);
    finish(&mut driven, vec![added("p", &[]), added("q", &["p", "boss"])]);
    driven.check("boss:succeeded z:running p:running q:pending");
    // It answers after the run was stopped: what it adds never begins, and the run ends.
    let mut driven = Driven::with(document.clone(), &["one"]);
    driven.tell(Command::Cancel { reason: "enough".into() }).unwrap();
    finish(&mut driven, vec![added("p", &[]), added("q", &["p"])]);
    driven.check("boss:succeeded z:cancelled p:cancelled q:cancelled");
    assert_eq!(driven.run.status(), RunStatus::Cancelled);
    driven.check_replay();
    let mut limited = document.clone();
    limited["timeout"] = json!("1m");
    let mut driven = Driven::with(limited, &["one"]);
    driven.now = driven.run.next_wake().unwrap().0;
    driven.tell(Command::Tick).unwrap();
    finish(&mut driven, vec![added("p", &[])]);
    driven.check("boss:succeeded z:skipped p:skipped");
    assert_eq!(driven.run.status(), RunStatus::Failed);
    driven.check_replay();
    for bad in [
        vec![added("z", &[])],
        vec![added("p", &["nobody"])],
        vec![added("p", &["q"]), added("q", &["p"])],
    ] {
        let mut driven = Driven::with(document.clone(), &["one"]);
        finish(&mut driven, bad);
        assert_eq!(driven.run.task(0).unwrap().error().unwrap().class, ErrorClass::BadOutput);
        assert!(!driven.run.status().is_final(), "it is sent back for repair");
        driven.check_replay();
    }
}

#[test]
fn what_large_values_decide_is_found_out_by_the_engine() {
    let mut driven = Driven::new(json!({
        "a": task(&[]),
        "b": { "agent": "x", "prompt": "x", "needs": ["a"], "when": "size(tasks.a.output) > 2" },
    }));
    let attempt = driven.attempt("a");
    let id = crate::id::BlobId::new("sha256:0").unwrap();
    let finish = Command::FinishAttempt {
        attempt,
        output: Content::Blob { id: id.clone(), bytes: 99 },
        spend: Vec::new(),
        artifacts: Vec::new(),
        cached: None,
        added: None,
    };
    driven.tell(finish).unwrap();
    let question = Question::When;
    assert_eq!(driven.asked, [Effect::Evaluate { place: 1, question }]);
    assert_eq!(driven.run.sight(1).blobs(), [id]);
    driven.check("a:succeeded b:pending");
    let task = TaskName::new("b").unwrap();
    let answer = Ok(crate::command::Evaluated::Decided(true));
    driven.tell(Command::Answer { task, question, answer }).unwrap();
    driven.check("a:succeeded b:running");
}

#[test]
fn an_attempt_that_must_not_be_repeated_waits_for_a_person() {
    let document = json!({ "a": { "agent": "x", "prompt": "x", "retry": "never-repeat" } });
    let crashed = || {
        let mut driven = Driven::new(document.clone());
        driven.run = Run::replay(&driven.log).unwrap();
        driven.started.clear();
        driven.tell(Command::recover(Epoch(2))).unwrap();
        driven.check("a:waiting");
        assert_eq!(driven.run.task(0).unwrap().ask().unwrap().kind, AskKind::Outcome);
        assert!(driven.started.is_empty());
        driven
    };
    let mut driven = crashed();
    driven.reply("a", Verdict::Approved);
    driven.check("a:running");
    let mut driven = crashed();
    driven.reply("a", Verdict::Answered("it worked".into()));
    driven.check("a:succeeded");
    assert_eq!(driven.run.task(0).unwrap().output().unwrap().inline(), Some(&json!("it worked")));
    let mut driven = crashed();
    driven.reply("a", Verdict::Rejected(String::new()));
    driven.check("a:failed");
    let mut driven = Driven::new(document.clone());
    driven.fail("a", ErrorClass::ToolFailed);
    driven.check("a:failed");
}
