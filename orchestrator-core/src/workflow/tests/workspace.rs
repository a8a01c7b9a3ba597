//! Where tasks work, what proves their results, how they land.

use super::*;
use crate::workspace::{
    CheckCommand, CheckParser, LandMode, TamperPolicy, WorkspaceKind, WorkspacePolicy,
};
use std::time::Duration;

fn one(task: Value, expected: &[&str]) {
    let mut task = task;
    let map = task.as_object_mut().unwrap();
    if !["command", "workflow", "approval"].iter().any(|kind| map.contains_key(*kind)) {
        map.insert("agent".into(), "dev".into());
        map.insert("prompt".into(), "x".into());
    }
    check(with_tasks(json!({ "a": task })), expected);
}

fn read(document: Value) -> Workflow {
    Workflow::parse(&document).unwrap()
}

#[test]
fn a_task_says_where_it_works_what_proves_it_and_how_it_lands() {
    let workflow = read(with_tasks(json!({ "a": {
        "agent": "dev", "prompt": "x",
        "workspace": { "kind": "worktree", "setup": ["npm ci"], "cleanup": ["x"], "copy": [".env"],
            "ports": 2, "directory": "packages/a", "sparse": ["packages"], "quota": "500 MB",
            "hooks": true },
        "checks": { "run": [
            "cargo test",
            { "name": "unit", "run": ["pytest", "-q"], "directory": "py", "timeout": "5m",
              "parser": "junit", "report": "out.xml", "retries": 2, "coverage": 80 },
        ], "tamper": "flag", "baseline": true, "setup": ["make"], "protect": ["ci/**"],
           "judge": "qa" },
        "land": { "mode": "direct", "target": "main", "touches": ["src/**"], "keep-apart": true,
            "unverified": true },
    }, "b": { "command": ["make"], "workspace": "copy" } })));
    let [a, b] = &workflow.tasks[..] else { panic!() };
    let workspace = a.workspace.as_deref().unwrap();
    assert_eq!(
        (workspace.kind, workspace.ports, workspace.hooks),
        (WorkspaceKind::Worktree, 2, true)
    );
    assert_eq!(workspace.quota, Some(500_000_000));
    let checks = a.checks.as_deref().unwrap();
    assert_eq!((checks.tamper, checks.baseline), (TamperPolicy::Flag, true));
    assert_eq!(checks.judge.as_deref(), Some("qa"));
    assert_eq!(checks.run[0].name, "cargo test");
    let unit = &checks.run[1];
    assert_eq!(unit.command, CheckCommand::Program(vec!["pytest".into(), "-q".into()]));
    assert_eq!((unit.parser, unit.retries, unit.coverage), (CheckParser::Junit, 2, Some(80)));
    assert_eq!(unit.timeout, Some(Duration::from_secs(300)));
    let land = a.land.as_deref().unwrap();
    assert_eq!((land.mode, land.keep_apart, land.unverified), (LandMode::Direct, true, true));
    let copy = WorkspacePolicy { kind: WorkspaceKind::Copy, ..WorkspacePolicy::default() };
    assert_eq!(b.workspace.as_deref(), Some(&copy));
    assert!(b.landing().is_none() && !b.has_worktree());
    let again: Workflow = serde_json::from_value(serde_json::to_value(&workflow).unwrap()).unwrap();
    assert_eq!(again, workflow);
}

#[test]
fn a_worktree_lands_on_the_result_branch_unless_it_says_otherwise() {
    let workflow = read(with_tasks(json!({
        "plain": { "command": ["x"], "workspace": "worktree" },
        "stays": { "command": ["x"], "workspace": "worktree", "land": "no" },
    })));
    assert_eq!(workflow.tasks[0].landing().unwrap().mode, LandMode::Branch);
    assert!(workflow.tasks[1].landing().is_none());
    // A log of before has none of these keys, and none is written for a task without them.
    let text =
        serde_json::to_string(&read(with_tasks(json!({ "a": { "command": ["x"] } })))).unwrap();
    assert!(!["workspace", "checks", "land"].iter().any(|key| text.contains(key)), "{text}");
}

#[test]
fn defaults_are_taken_where_they_make_sense() {
    let defaults = json!({ "workspace": "worktree", "checks": ["make test"], "land": "direct" });
    let tasks = json!({
        "lead": { "agent": "pm", "prompt": "x" },
        "make": { "agent": "dev", "prompt": "x" },
        "look": { "agent": "dev", "prompt": "x", "workspace": "project" },
        "free": { "agent": "dev", "prompt": "x", "checks": [], "land": "no" },
        "ask": { "approval": "ok?" },
        "child": { "workflow": "w" },
    });
    let mut document = json!({ "name": "w", "defaults": defaults, "tasks": tasks });
    let told = |workflow: &Workflow, name: &str| {
        let task = workflow.tasks.iter().find(|task| task.name.as_str() == name).unwrap();
        (task.workspace.is_some(), task.checks.is_some(), task.landing().map(|land| land.mode))
    };
    let flat = read(document.clone());
    assert_eq!(told(&flat, "lead"), (true, true, Some(LandMode::Direct)));
    assert_eq!(told(&flat, "look"), (true, false, None));
    assert_eq!(told(&flat, "free"), (true, false, None));
    assert_eq!(told(&flat, "ask"), (false, false, None));
    assert_eq!(told(&flat, "child"), (false, false, None));
    // Who manages the others makes no commits.
    document["mode"] = "hierarchical".into();
    let managed = read(document.clone());
    assert_eq!(told(&managed, "lead"), (false, false, None));
    assert_eq!(told(&managed, "make"), (true, true, Some(LandMode::Direct)));
    document["tasks"]["lead"]["workspace"] = "worktree".into();
    check(document, &["ORC-0214 /tasks/lead/workspace"]);
}

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    one(json!({ "checks": ["x"] }), &["ORC-0214 /tasks/a/checks"]);
    one(json!({ "workspace": "copy", "checks": ["x"] }), &["ORC-0214 /tasks/a/checks"]);
    one(json!({ "land": "direct" }), &["ORC-0214 /tasks/a/land"]);
    one(json!({ "land": "no" }), &[]);
    for key in ["workspace", "checks", "land"] {
        let value = if key == "checks" { json!(["x"]) } else { json!("no") };
        let value = if key == "workspace" { json!("worktree") } else { value };
        let at = format!("ORC-0214 /tasks/a/{key}");
        one(json!({ "approval": "ok?", key: value.clone() }), &[&at]);
        one(json!({ "workflow": "w", key: value }), &[&at]);
    }
    let tree = |key: &str, value: Value| json!({ "workspace": "worktree", key: value });
    for place in ["../x", "/etc", "a/../../b", "", "C:\\x", "\\\\x"] {
        let workspace = json!({ "workspace": { "directory": place } });
        one(workspace, &["ORC-0204 /tasks/a/workspace/directory"]);
        let checks = json!([{ "run": "x", "directory": place }]);
        one(tree("checks", checks), &["ORC-0204 /tasks/a/checks"]);
        one(json!({ "workspace": { "copy": [place] } }), &["ORC-0204 /tasks/a/workspace/copy"]);
        one(tree("land", json!({ "touches": [place] })), &["ORC-0204 /tasks/a/land/touches"]);
    }
    for branch in ["-x", "a..b", "a b", "a~1", "HEAD", "a.lock", "/a", "a//b", "a@{1}"] {
        one(tree("land", json!({ "target": branch })), &["ORC-0204 /tasks/a/land/target"]);
    }
    one(tree("land", json!({ "target": "release/1.x" })), &[]);
    one(tree("land", json!({ "keep-apart": true })), &["ORC-0214 /tasks/a/land/keep-apart"]);
    one(tree("land", json!({ "mode": "brnch" })), &["ORC-0204 /tasks/a/land/mode"]);
    one(tree("checks", json!({ "judge": "qa" })), &["ORC-0203 /tasks/a/checks"]);
    let alone = json!({ "run": [], "judge": "qa" });
    one(tree("checks", alone), &["ORC-0204 /tasks/a/checks"]);
    one(tree("checks", json!([""])), &["ORC-0204 /tasks/a/checks/0"]);
    one(tree("checks", json!([{ "run": [] }])), &["ORC-0204 /tasks/a/checks/0/run"]);
    one(tree("checks", json!([{ "name": "x" }])), &["ORC-0203 /tasks/a/checks/0"]);
    one(tree("checks", json!([{ "run": "x", "retry": 1 }])), &["ORC-0202 /tasks/a/checks/0/retry"]);
    one(tree("cache", json!("1h")), &["ORC-0214 /tasks/a/cache"]);
    one(tree("cache", json!({ "responses": "1h" })), &[]);
    one(json!({ "workspace": { "quota": "lots" } }), &["ORC-0204 /tasks/a/workspace/quota"]);
    one(json!({ "workspace": { "ports": 1000 } }), &["ORC-0204 /tasks/a/workspace/ports"]);
}

#[test]
fn an_unknown_parser_is_told_with_the_one_that_was_meant() {
    let task = json!({ "command": ["x"], "workspace": "worktree",
        "checks": [{ "run": "x", "parser": "jnit" }] });
    let problems = Workflow::parse(&with_tasks(json!({ "a": task }))).unwrap_err();
    assert_eq!(problems[0].pointer, "/tasks/a/checks/0/parser");
    assert_eq!(problems[0].suggestion.as_deref(), Some("did you mean `junit`?"));
}
