//! Every construct of the language: what is read, and what is refused.

use super::{check, with_tasks};
use crate::{
    task::{CachePolicy, OnFailure, TaskKind, TaskSpec, ThenOn},
    workflow::{MAX_ADDED, Workflow},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

const HOUR: Duration = Duration::from_secs(3_600);

/// The only task of a workflow whose other task is `before`.
fn task(document: Value) -> TaskSpec {
    let workflow = Workflow::parse(&with_tasks(json!({
        "before": { "command": ["true"], "compensate": { "command": ["true"] } },
        "x": document,
    })))
    .unwrap_or_else(|problems| panic!("{problems:?}"));
    let again: Workflow = serde_json::from_value(serde_json::to_value(&workflow).unwrap()).unwrap();
    assert_eq!(again, workflow, "what is read is what is stored");
    workflow.tasks[1].clone()
}

fn command(keys: Value) -> TaskSpec {
    task(command_with(keys))
}

/// A command task with more keys.
fn command_with(keys: Value) -> Value {
    let mut document = json!({ "command": ["true"] });
    let (Value::Object(map), Value::Object(keys)) = (&mut document, keys) else { panic!("a map") };
    map.extend(keys);
    document
}

#[test]
fn for_each_takes_an_expression_or_a_list() {
    let check = |given: Value, expected: &str| {
        assert_eq!(command(json!({ "for-each": given })).for_each.as_deref(), Some(expected));
    };
    check(json!("inputs.prompt"), "inputs.prompt");
    check(json!(["a", { "b": 1 }]), "[\"a\",{\"b\":1}]");
    check(json!([]), "[]");
}

#[test]
fn an_approval_takes_a_text_or_a_mapping() {
    let check = |given: Value, message: &str, expires_in: Option<Duration>| {
        let expected = TaskKind::Approval { message: message.into(), expires_in };
        assert_eq!(task(json!({ "approval": given })).kind, expected);
    };
    check(json!("Land it?"), "Land it?", None);
    check(json!({ "message": "Land it?", "expires-in": "1h" }), "Land it?", Some(HOUR));
}

#[test]
fn a_child_takes_inputs_of_any_shape() {
    let with = json!({ "a": "{{ inputs.prompt }}", "b": [1, { "c": null }] });
    let child = task(json!({ "workflow": "child", "with": with }));
    let TaskKind::Workflow { workflow, with: read } = child.kind else { panic!("a child") };
    assert_eq!((workflow.as_str(), Value::Object(*read)), ("child", with));
}

#[test]
fn time_limits_are_of_an_attempt_or_a_task() {
    let check = |given: Value, attempt: Option<Duration>, all: Option<Duration>| {
        let task = command(given);
        assert_eq!((task.timeout, task.task_timeout), (attempt, all));
    };
    check(json!({ "timeout": "1h" }), Some(HOUR), None);
    check(json!({ "timeout": { "attempt": "1h" } }), Some(HOUR), None);
    check(json!({ "timeout": { "attempt": "1h", "task": "2h" } }), Some(HOUR), Some(HOUR * 2));
    assert_eq!(command(json!({ "delay": "1h" })).delay, Some(HOUR));
    for given in [json!("1h"), json!({ "task": "1h" }), json!({ "attempt": "1h", "task": "2h" })] {
        let child = task(json!({ "workflow": "c", "timeout": given }));
        assert_eq!((child.timeout, child.task_timeout), (None, Some(HOUR)), "of a child");
    }
}

#[test]
fn defaults_are_for_tasks_that_work() {
    let workflow = Workflow::parse(&json!({
        "name": "w", "timeout": "2h",
        "defaults": { "timeout": { "attempt": "1h", "task": "2h" }, "retry": "never-repeat" },
        "tasks": {
            "work": { "command": ["true"] },
            "other": { "command": ["true"], "retry": { "max-attempts": 2, "never-repeat": false } },
            "child": { "workflow": "c" },
            "ask": { "approval": "ok?" },
        },
    }))
    .unwrap();
    assert_eq!(workflow.timeout, Some(HOUR * 2));
    let [work, other, child, ask] = &workflow.tasks[..] else { panic!("four tasks") };
    assert_eq!((work.timeout, work.task_timeout), (Some(HOUR), Some(HOUR * 2)));
    assert!(work.retry.never_repeat);
    assert_eq!((other.retry.max_attempts, other.retry.never_repeat), (2, false));
    for task in [child, ask] {
        assert_eq!((task.timeout, task.task_timeout), (None, None), "{}", task.name);
        assert!(!task.retry.never_repeat, "{}", task.name);
    }
}

#[test]
fn never_repeat_is_a_word_or_a_key() {
    for given in [json!("never-repeat"), json!({ "never-repeat": true })] {
        assert!(command(json!({ "retry": given })).retry.never_repeat);
    }
    check(
        with_tasks(json!({ "a": command_with(json!({ "retry": "never" })) })),
        &["ORC-0204 /tasks/a/retry"],
    );
}

#[test]
fn what_is_undone_says_how() {
    let undone = command(json!({
        "on-failure": "compensate", "compensate": { "agent": "dev", "prompt": "Undo it." },
    }));
    assert_eq!(undone.on_failure, OnFailure::Compensate);
    assert!(matches!(undone.compensate.as_deref(), Some(TaskKind::Agent { .. })));
}

#[test]
fn the_cache_is_on_or_says_how() {
    let check = |given: Value, expected: Option<(Option<Duration>, Option<&str>)>| {
        let expected = expected.map(|(ttl, key)| CachePolicy {
            ttl,
            key: key.map(str::to_owned),
            ..CachePolicy::default()
        });
        assert_eq!(command(json!({ "cache": given })).cache.as_deref(), expected.as_ref());
    };
    check(json!(true), Some((None, None)));
    check(json!(false), None);
    check(json!("1h"), Some((Some(HOUR), None)));
    check(json!({ "ttl": "1h", "key": "{{ inputs.prompt }}" }), {
        Some((Some(HOUR), Some("{{ inputs.prompt }}")))
    });
}

#[test]
fn answers_of_models_are_kept_apart_from_results() {
    let asking = |cache: Value| json!({ "agent": "dev", "prompt": "p", "cache": cache });
    for (given, keeps_results) in [
        (json!({ "responses": "1h" }), false),
        (json!({ "responses": "1h", "ttl": "2h" }), true),
        (json!({ "responses": "1h", "key": "k" }), true),
    ] {
        let policy = task(asking(given.clone())).cache.unwrap();
        assert_eq!(policy.responses, Some(HOUR));
        assert_eq!(policy.keeps_results(), keeps_results, "{given}");
    }
    check(
        with_tasks(json!({ "a": asking(json!({ "responses": "soon" })) })),
        &["ORC-0204 /tasks/a/cache/responses"],
    );
    let program = command_with(json!({ "cache": { "responses": "1h" } }));
    check(with_tasks(json!({ "a": program })), &["ORC-0214 /tasks/a/cache"]);
}

#[test]
fn then_is_a_name_a_mapping_or_a_list() {
    let check = |given: Value, expected: &[(ThenOn, &str)]| {
        let whole = Workflow::parse(&json!({
            "name": "w", "then": given.clone(), "tasks": { "a": command_with(json!({})) },
        }))
        .unwrap();
        for then in [&whole.then, &command(json!({ "then": given })).then] {
            let found: Vec<_> = then.iter().map(|then| (then.on, &*then.workflow)).collect();
            assert_eq!(found, expected);
        }
    };
    check(json!("next"), &[(ThenOn::Success, "next")]);
    check(json!({ "workflow": "next", "on": "always" }), &[(ThenOn::Always, "next")]);
    check(
        json!(["next", { "on": "failure", "workflow": "mend", "with": { "why": "{{ run.status }}" } }]),
        &[(ThenOn::Success, "next"), (ThenOn::Failure, "mend")],
    );
}

#[test]
fn a_group_may_name_inputs() {
    let task = command(json!({ "concurrency-group": "deploy-{{ inputs.prompt }}" }));
    assert_eq!(task.concurrency_group.as_deref(), Some("deploy-{{ inputs.prompt }}"));
}

#[test]
fn each_wrong_value_is_placed() {
    let one = |keys: Value, expected: &[&str]| {
        check(with_tasks(json!({ "a": command_with(keys) })), expected);
    };
    one(json!({ "for-each": 5 }), &["ORC-0201 /tasks/a/for-each"]);
    one(json!({ "delay": "soon" }), &["ORC-0204 /tasks/a/delay"]);
    one(
        json!({ "timeout": { "attempt": "x", "all": "1h" } }),
        &["ORC-0202 /tasks/a/timeout/all", "ORC-0204 /tasks/a/timeout/attempt"],
    );
    one(json!({ "timeout": 5 }), &["ORC-0201 /tasks/a/timeout"]);
    one(json!({ "retry": { "never-repeat": "yes" } }), &["ORC-0201 /tasks/a/retry/never-repeat"]);
    one(json!({ "on-failure": "ignore" }), &["ORC-0204 /tasks/a/on-failure"]);
    one(json!({ "compensate": {} }), &["ORC-0207 /tasks/a/compensate"]);
    one(
        json!({ "compensate": { "agent": "a", "command": ["b"] } }),
        &["ORC-0207 /tasks/a/compensate"],
    );
    one(json!({ "compensate": { "agent": "dev" } }), &["ORC-0203 /tasks/a/compensate"]);
    one(
        json!({ "compensate": { "workflow": "w" } }),
        &["ORC-0202 /tasks/a/compensate/workflow", "ORC-0207 /tasks/a/compensate"],
    );
    one(json!({ "cache": 5 }), &["ORC-0201 /tasks/a/cache"]);
    one(json!({ "cache": { "tll": "1h" } }), &["ORC-0202 /tasks/a/cache/tll"]);
    one(json!({ "then": 5 }), &["ORC-0201 /tasks/a/then"]);
    one(
        json!({ "then": [{ "on": "sucess" }, "ok"] }),
        &["ORC-0204 /tasks/a/then/0/on", "ORC-0203 /tasks/a/then/0"],
    );
    check(
        json!({ "name": "w", "timeout": "x", "agents": {}, "then": { "workflow": "" },
                "defaults": { "retry": "x", "workspace": "w" }, "tasks": {} }),
        &[
            "ORC-0208 /agents",
            "ORC-0204 /timeout",
            "ORC-0204 /defaults/retry",
            "ORC-0204 /defaults/workspace",
            "ORC-0204 /then/0/workflow",
        ],
    );
    check(
        with_tasks(json!({ "a": { "approval": { "expires-in": "x" } }, "b": { "approval": 1 },
                           "c": { "workflow": "{{ inputs.prompt }}", "with": [] } })),
        &[
            "ORC-0203 /tasks/a/approval",
            "ORC-0204 /tasks/a/approval/expires-in",
            "ORC-0201 /tasks/b/approval",
            "ORC-0201 /tasks/c/with",
            "ORC-0204 /tasks/c/workflow",
        ],
    );
}

#[test]
fn keys_that_make_no_sense_together_are_refused() {
    check(
        with_tasks(json!({
            "ask": { "approval": "ok?", "prompt": "x", "with": {}, "timeout": "1h", "retry": {},
                     "output": {}, "cache": true, "compensate": { "command": ["true"] },
                     "concurrency-group": "g" },
            "child": { "workflow": "c", "output": {}, "cache": true, "retry": "never-repeat" },
            "run": { "command": ["true"], "with": {}, "prompt": "x" },
            "judge": { "agent": "qa", "prompt": "x", "needs": ["run"], "for-each": [1],
                       "revise": { "task": "run", "unless": "true" } },
        })),
        &[
            "ORC-0214 /tasks/ask/prompt",
            "ORC-0214 /tasks/ask/with",
            "ORC-0214 /tasks/ask/timeout",
            "ORC-0214 /tasks/ask/retry",
            "ORC-0214 /tasks/child/retry",
            "ORC-0214 /tasks/run/prompt",
            "ORC-0214 /tasks/run/with",
            "ORC-0214 /tasks/ask/output",
            "ORC-0214 /tasks/ask/cache",
            "ORC-0214 /tasks/ask/compensate",
            "ORC-0214 /tasks/ask/concurrency-group",
            "ORC-0214 /tasks/child/output",
            "ORC-0214 /tasks/child/cache",
            "ORC-0214 /tasks/judge/revise",
        ],
    );
    check(
        with_tasks(json!({ "a": command_with(json!({ "on-failure": "compensate" })) })),
        &["ORC-0214 /tasks/a/on-failure"],
    );
}

#[test]
fn names_with_a_suffix_are_the_engines() {
    check(
        with_tasks(json!({ "a:1": command_with(json!({})), "a:undo": command_with(json!({})) })),
        &["ORC-0204 /tasks/a:1", "ORC-0204 /tasks/a:undo"],
    );
    check(
        with_tasks(json!({ "a": command_with(json!({ "for-each": [1] })),
                           "b": command_with(json!({ "needs": ["a:0"] })) })),
        &["ORC-0205 /tasks/b/needs/0"],
    );
}

/// Checks what is said of tasks that are added to a run which has the tasks `plan` and `build`.
fn check_added(tasks: Value, expected: &[&str]) {
    let workflow = Workflow::parse(&with_tasks(json!({
        "plan": command_with(json!({})), "build": command_with(json!({})),
    })))
    .unwrap();
    let child = Workflow::parse(&json!({
        "name": "child", "inputs": { "n": { "type": "integer", "required": true } },
        "tasks": { "a": command_with(json!({})) },
    }));
    let library = BTreeMap::from([("child".to_owned(), child.unwrap().into())]);
    let problems = match Workflow::parse_tasks(&tasks) {
        Err(problems) => problems,
        Ok(added) => {
            workflow.check_added(&|name| ["plan", "build"].contains(&name), &library, &added)
        }
    };
    let found: Vec<String> = problems.iter().map(|p| format!("{} {}", p.code, p.pointer)).collect();
    assert_eq!(found, expected, "{tasks}");
}

#[test]
fn added_tasks_are_validated_like_a_file() {
    check_added(
        json!({
            "lib": { "agent": "dev", "prompt": "{{ tasks.plan.output }} {{ inputs.prompt }}" },
            "test": { "command": ["true"], "needs": ["lib", "plan"], "when": "tasks.lib.output != ''",
                      "revise": { "task": "plan", "unless": "tasks.test.status == 'succeeded'" } },
            "more": { "workflow": "child", "with": { "n": "{{ tasks.build.output }}" } },
        }),
        &[],
    );
    check_added(json!([]), &["ORC-0201 /tasks"]);
    check_added(json!({ "a": {} }), &["ORC-0207 /tasks/a"]);
    check_added(
        json!({
            "plan": command_with(json!({})),
            "a": command_with(json!({ "needs": ["ghost"], "when": "tasks.b.output == 1" })),
            "b": { "agent": "dev", "prompt": "{{ inputs.nope }}",
                   "revise": { "task": "build", "unless": "true" } },
            "c": { "workflow": "child", "with": { "m": 1 } },
            "d": { "workflow": "other" },
        }),
        &[
            "ORC-0204 /tasks/plan",
            "ORC-0205 /tasks/a/needs/0",
            "ORC-0209 /tasks/a/when",
            "ORC-0209 /tasks/b/prompt",
            "ORC-0210 /tasks/b/revise/task",
            "ORC-0301 /tasks/c/with/m",
            "ORC-0302 /tasks/c/with",
            "ORC-0215 /tasks/d/workflow",
        ],
    );
    check_added(
        json!({ "a": command_with(json!({ "needs": ["b"] })),
                "b": command_with(json!({ "needs": ["a"] })) }),
        &["ORC-0206 /tasks"],
    );
}

#[test]
fn what_is_added_at_once_is_bounded() {
    let tasks: Map<String, Value> =
        (0..=MAX_ADDED).map(|n| (format!("t{n}"), command_with(json!({})))).collect();
    check_added(Value::Object(tasks), &["ORC-0211 /tasks"]);
}
