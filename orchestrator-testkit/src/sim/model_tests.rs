//! That a log which breaks a rule is found out.

use super::LogModel;
use orchestrator_core::{
    event::{Event, Recorded},
    id::Sequence,
    time::Timestamp,
    workflow::Workflow,
};
use serde_json::{Value, json};

fn created() -> Value {
    let agent = |needs: Value| json!({ "agent": "dev", "prompt": "x", "needs": needs });
    let tasks = json!({ "a": agent(json!([])), "b": agent(json!(["a"])), "c": agent(json!([])) });
    let document = json!({ "name": "w", "max-parallel": 1, "tasks": tasks });
    json!({
        "type": "run-created", "run": "r_1", "tenant": "default", "project": "default",
        "directory": ".", "workflow": Workflow::parse(&document).unwrap(), "source": "test",
        "inputs": {}, "bindings": [], "agents": [], "max-parallel": 1,
    })
}

fn start(task: &str, attempt: u32, epoch: u32) -> Value {
    json!({ "type": "attempt-started", "task": task, "attempt": attempt, "epoch": epoch, "agent": "dev" })
}

fn success(task: &str) -> Value {
    json!({ "type": "attempt-succeeded", "task": task, "attempt": 1, "output": { "inline": 1 } })
}

fn turn(number: u32) -> Value {
    let turn = json!({ "number": number, "kind": "tool", "name": "t", "input": "i", "output": { "inline": 1 } });
    json!({ "type": "turn-recorded", "task": "a", "attempt": 1, "turn": turn })
}

#[test]
fn each_rule_is_looked_after() {
    let check = |events: &[Value], expected: Option<&str>| {
        let mut model = LogModel::default();
        let mut broken = Vec::new();
        for (seq, event) in (1..).zip([created()].iter().chain(events)) {
            let event: Event = serde_json::from_value(event.clone()).unwrap();
            broken.extend(model.read(&Recorded { seq: Sequence(seq), at: Timestamp(seq), event }));
        }
        match expected {
            None => assert_eq!(broken, Vec::<String>::new()),
            Some(rule) => assert!(broken.iter().any(|b| b.contains(rule)), "{rule}: {broken:?}"),
        }
    };
    let ended = |status: &str| json!({ "type": "run-ended", "status": status });
    let skipped = |task: &str| json!({ "type": "task-skipped", "task": task, "reason": { "because": "when" } });
    let recovered = |lease: u32| json!({ "type": "run-recovered", "lease": lease });
    check(&[start("a", 1, 1), turn(1), turn(2), success("a"), start("b", 1, 2)], None);
    check(&[start("b", 1, 1)], Some("begins though `a` is Open"));
    check(&[start("a", 1, 1), start("c", 1, 2)], Some("2 attempts at once where 1 are allowed"));
    check(&[start("a", 1, 1), start("a", 2, 2)], Some("two attempts at once"));
    check(&[start("a", 2, 1)], Some("attempt 2 of `a` follows 0"));
    check(&[start("a", 1, 2), success("a"), start("b", 1, 2)], Some("epoch 2 of `b` follows 2"));
    check(&[success("a")], Some("is not under way"));
    check(&[start("a", 1, 1), turn(2)], Some("turn 2 of `a` comes before 1"));
    check(
        &[start("a", 1, 1), success("a"), start("a", 2, 2)],
        Some("begins though it is Succeeded"),
    );
    check(&[skipped("a"), skipped("b"), ended("succeeded")], Some("ends while `c` is open"));
    check(&[skipped("a"), skipped("b"), skipped("c"), ended("cancelled")], Some("nobody asked"));
    check(
        &[skipped("a"), skipped("b"), skipped("c"), ended("succeeded"), recovered(2)],
        Some("after the run ended"),
    );
    check(&[recovered(2), recovered(2)], Some("lease 2 follows 2"));
}
