mod expressions;
mod language;
mod library;
mod workspace;

use super::*;
use crate::task::TaskKind;
use serde_json::{Value, json};

/// Checks that `document` yields exactly `expected`, each as `CODE pointer`.
fn check(document: Value, expected: &[&str]) {
    let found: Vec<String> = match Workflow::parse(&document) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|p| format!("{} {}", p.code, p.pointer)).collect(),
    };
    assert_eq!(found, expected, "{document}");
}

fn with_tasks(tasks: Value) -> Value {
    json!({ "name": "w", "inputs": { "prompt": { "type": "string" } }, "tasks": tasks })
}

#[test]
fn a_whole_workflow_is_read() {
    let workflow = Workflow::parse(&json!({
        "name": "feature", "version": "1.2.0", "mode": "sequential",
        "inputs": { "prompt": { "type": "string", "required": true } },
        "budget": { "usd": 5.00 }, "max-parallel": 2,
        "defaults": { "timeout": "30m", "retry": { "max-attempts": 5 } },
        "tasks": {
            "plan": { "agent": "pm", "prompt": "Plan: {{ inputs.prompt }}", "priority": "high" },
            "build": { "command": ["make", "-j", "2"], "needs": ["plan"], "timeout": "90s",
                       "when": "tasks.plan.status == 'succeeded'", "on-failure": "continue" },
            "review": { "agent": "qa", "prompt": "{{ tasks.build.output }}", "needs": ["build"],
                        "output": { "type": "object" },
                        "revise": { "task": "build", "unless": "tasks.review.output.ok" } },
        },
    }))
    .unwrap();
    assert_eq!(workflow.mode, Mode::Sequential);
    assert_eq!(workflow.budget, Some(MicroUsd(5_000_000)));
    let [plan, build, review] = &workflow.tasks[..] else { panic!("three tasks") };
    assert_eq!(plan.timeout, Some(std::time::Duration::from_secs(1_800)));
    assert_eq!(build.timeout, Some(std::time::Duration::from_secs(90)));
    assert_eq!(build.retry.max_attempts, 5);
    assert!(matches!(&build.kind, TaskKind::Command { command } if command[0] == "make"));
    assert_eq!(review.revise.as_ref().unwrap().max, 3);
    let again: Workflow = serde_json::from_value(serde_json::to_value(&workflow).unwrap()).unwrap();
    assert_eq!(again, workflow);
}

#[test]
fn every_problem_is_reported_with_its_place() {
    check(json!([]), &["ORC-0201 "]);
    check(json!({}), &["ORC-0203 ", "ORC-0203 "]);
    check(
        json!({ "name": "a b", "mode": "paralel", "budget": { "usd": -1 }, "extra": 1,
                "tasks": { "t": { "agent": "dev", "prompt": "x", "timeout": "5 parsecs" } } }),
        &[
            "ORC-0202 /extra",
            "ORC-0204 /name",
            "ORC-0204 /mode",
            "ORC-0204 /budget/usd",
            "ORC-0204 /tasks/t/timeout",
        ],
    );
    check(
        with_tasks(json!({
            "none": {},
            "both": { "agent": "a", "prompt": "x", "command": ["y"] },
            "late": { "agent": "a", "prompt": "x", "workspace": "worktre", "checks": 5 },
            "after": { "agent": "a", "prompt": "x", "needs": ["late"] },
            "bad name": { "agent": "a", "prompt": "x" },
        })),
        &[
            "ORC-0207 /tasks/none",
            "ORC-0207 /tasks/both",
            "ORC-0204 /tasks/late/workspace",
            "ORC-0201 /tasks/late/checks",
            "ORC-0204 /tasks/bad name",
        ],
    );
}

#[test]
fn relations_between_tasks_are_checked() {
    let task =
        |prompt: &str, needs: &[&str]| json!({ "agent": "dev", "prompt": prompt, "needs": needs });
    check(
        with_tasks(json!({ "plan": task("x", &[]), "b": task("x", &["plam"]) })),
        &["ORC-0205 /tasks/b/needs/0"],
    );
    check(
        with_tasks(json!({ "a": task("x", &["b"]), "b": task("x", &["a"]) })),
        &["ORC-0206 /tasks"],
    );
    check(
        with_tasks(json!({
            "a": task("{{ inputs.promt }} {{ tasks.b.output }} {{ env.HOME }}", &[]),
            "b": task("{{ inputs.prompt", &[]),
        })),
        &["ORC-0209 /tasks/a/prompt"; 3]
            .into_iter()
            .chain(["ORC-0209 /tasks/b/prompt"])
            .collect::<Vec<_>>(),
    );
    check(
        with_tasks(json!({
            "a": task("x", &[]),
            "b": { "agent": "qa", "prompt": "x", "when": "tasks.c.output ==",
                   "revise": { "task": "a", "unless": "true" } },
        })),
        &["ORC-0209 /tasks/b/when", "ORC-0210 /tasks/b/revise/task"],
    );
}

#[cfg(feature = "engine")]
#[test]
fn an_output_schema_must_be_one() {
    check(
        with_tasks(json!({ "a": { "agent": "x", "prompt": "x", "output": { "type": "objekt" } } })),
        &["ORC-0212 /tasks/a/output"],
    );
}

#[test]
fn one_problem_of_a_task_hides_no_other() {
    check(
        with_tasks(json!({
            "a": { "agent": "dev", "promt": "x", "needs": ["ghost"] },
            "ab": { "agent": "dev", "prompt": "{{ inputs.nope }}", "needs": ["a"] },
            "abc": { "prompt": "x", "when": "1 +" },
        })),
        &[
            "ORC-0202 /tasks/a/promt",
            "ORC-0203 /tasks/a",
            "ORC-0207 /tasks/abc",
            "ORC-0205 /tasks/a/needs/0",
            "ORC-0209 /tasks/ab/prompt",
            "ORC-0209 /tasks/abc/when",
        ],
    );
}

#[test]
fn a_typo_gets_a_suggestion() {
    let problems = Workflow::parse(&with_tasks(
        json!({ "plan": { "agent": "dev", "promt": "x", "needs": ["plan2"] } }),
    ))
    .unwrap_err();
    assert_eq!(problems[0].suggestion.as_deref(), Some("did you mean `prompt`?"));
}

#[test]
fn inputs_are_bound() {
    let workflow = Workflow::parse(&json!({
        "name": "w",
        "inputs": { "prompt": { "type": "string", "required": true },
                    "n": { "type": "integer", "default": 3 },
                    "deep": { "type": "boolean" } },
        "tasks": { "a": { "agent": "dev", "prompt": "x" } },
    }))
    .unwrap();
    let bind = |given: Value| workflow.bind_inputs(given.as_object().unwrap());
    assert_eq!(
        bind(json!({ "prompt": "5", "deep": "true" })).unwrap(),
        json!({ "prompt": "5", "n": 3, "deep": true })
    );
    let codes: Vec<&str> =
        bind(json!({ "n": "x", "depp": 1 })).unwrap_err().iter().map(|p| p.code).collect();
    assert_eq!(codes, [UNKNOWN_INPUT, MISSING_INPUT, INPUT_TYPE]);
}
