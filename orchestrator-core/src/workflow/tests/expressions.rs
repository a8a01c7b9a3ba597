//! What expressions may see, and where.

use super::{check, with_tasks};
use crate::workflow::Workflow;
use serde_json::{Value, json};

/// Checks the keys of one task that needs `plan` and has nothing to do with `other`; each expected
/// problem is the place in the task of an expression that cannot be used.
fn check_task(task: Value, expected: &[&str]) {
    let expected: Vec<String> =
        expected.iter().map(|place| format!("ORC-0209 /tasks/t/{place}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let mut task = task;
    task["needs"] = json!(["plan"]);
    if task.get("approval").is_none() && task.get("workflow").is_none() {
        task["command"] = task.get("command").cloned().unwrap_or(json!(["true"]));
    }
    let tasks = json!({
        "plan": { "command": ["true"] }, "a-b": { "command": ["true"] },
        "other": { "command": ["true"] }, "t": task,
    });
    check(with_tasks(tasks), &expected);
}

#[test]
fn items_are_seen_in_for_each_tasks_alone() {
    let all = json!({ "for-each": "tasks.plan.output", "command": ["x", "{{ item.x }} {{ index }}"],
                      "cache": { "key": "{{ item }}" },
                      "compensate": { "command": ["x", "{{ item }}"] } });
    check_task(all.clone(), &[]);
    let mut none = all;
    none.as_object_mut().unwrap().shift_remove("for-each");
    check_task(none, &["command/1", "command/1", "compensate/command/1", "cache/key"]);
    check_task(json!({ "for-each": "[item]", "when": "index > 0" }), &["when", "for-each"]);
}

#[test]
fn every_text_is_looked_at() {
    check_task(json!({ "approval": "{{ tasks.other.output }}" }), &["approval/message"]);
    check_task(json!({ "approval": "{{ tasks.plan.output }}" }), &[]);
    check_task(
        json!({ "workflow": "w", "with": {
            "a": "{{ tasks.other.output }}", "b": [{ "c": "{{ inputs.nope }}" }],
            "d": "{{ tasks.plan.output }}", "e": "{{ end",
        } }),
        &["with/a", "with/b/0/c", "with/e"],
    );
    check_task(json!({ "cache": { "key": "{{ tasks.other.output }}" } }), &["cache/key"]);
    check_task(
        json!({ "compensate": { "command": ["x", "{{ tasks.t.output }}", "{{ tasks.other.output }}"] } }),
        &["compensate/command/2"],
    );
    check_task(json!({ "concurrency-group": "{{ inputs.prompt }}" }), &[]);
    for text in ["{{ tasks.plan.output }}", "{{ run.id }}", "{{ item }}", "{{ inputs }}"] {
        check_task(json!({ "concurrency-group": text }), &["concurrency-group"]);
    }
}

#[test]
fn conditions_name_what_is_there() {
    for fine in [
        "tasks.plan.output.n > 3 && inputs.prompt != ''",
        "inputs.prompt.contains('tasks.md')",
        "tasks.plan.output.exists(x, x.y == run.id)",
        "type(inputs) == map && size(inputs) == 1",
    ] {
        check_task(json!({ "when": fine }), &[]);
    }
    for wrong in [
        "tasks.other.output",
        "tasks.ghost.output",
        "inputs.nope",
        "nobody",
        "tasks[inputs.prompt].output",
        "tasks.all(t, true)",
        "run.status == 'failed'",
        "run.nope == 1",
        "tasks.plan.output.exists(x, y)",
        "(tasks).plan.output",
        "tasks[r'plan'].output",
        "1 +",
    ] {
        check_task(json!({ "when": wrong }), &["when"]);
    }
}

#[test]
fn what_then_hands_on_sees_the_end() {
    let then = |path: &str| json!({ "then": { "workflow": "w", "with": { "x": path } } });
    for fine in ["{{ tasks.t.output }}", "{{ tasks.plan.output }}", "{{ run.status }}"] {
        check_task(then(fine), &[]);
    }
    check_task(then("{{ tasks.other.output }}"), &["then/0/with/x"]);
    check(
        json!({ "name": "w", "tasks": { "a": { "command": ["true"] } }, "then": [
            { "workflow": "x", "with": { "ok": "{{ tasks.a.output }} {{ run.status }}",
                                         "no": "{{ tasks.b.output }}", "none": "{{ item }}" } } ] }),
        &["ORC-0209 /then/0/with/no", "ORC-0209 /then/0/with/none"],
    );
}

#[test]
fn a_list_that_is_written_down_is_bounded() {
    let list = |count: usize| Value::Array(vec![json!(0); count]);
    check_task(json!({ "for-each": list(100_000) }), &[]);
    check_task(json!({ "for-each": list(100_001) }), &["for-each"]);
    check_task(json!({ "for-each": "'text'" }), &["for-each"]);
    check_task(json!({ "for-each": "[1] + ['{{ item }}']" }), &[]);
}

#[test]
fn a_name_with_a_minus_is_explained() {
    let advice = |when: &str| {
        let document = json!({
            "name": "w", "inputs": { "my-key": { "type": "string" } },
            "tasks": { "a-b": { "command": ["x"] },
                       "t": { "command": ["x"], "needs": ["a-b"], "when": when } },
        });
        Workflow::parse(&document).unwrap_err()[0].suggestion.clone().unwrap_or_default()
    };
    assert!(advice("tasks.a-b.output == 1").contains("write `tasks[\"a-b\"]`"));
    assert!(advice("inputs.my-key == 'x'").contains("write `inputs[\"my-key\"]`"));
    check(
        json!({ "name": "w", "tasks": { "a-b": { "command": ["x"] },
            "t": { "command": ["{{ tasks.a-b.output }}"], "needs": ["a-b"],
                   "when": "tasks[\"a-b\"].status == 'succeeded'" } } }),
        &[],
    );
}
