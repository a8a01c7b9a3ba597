//! Workflows that start others.

use crate::workflow::{MAX_NESTING, Problem, Workflow};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

fn read(name: &str, children: &[&str], then: &[&str]) -> Workflow {
    let mut tasks = json!({ "own": { "command": ["true"] } });
    for (n, child) in children.iter().enumerate() {
        tasks[format!("c{n}")] = json!({ "workflow": child });
    }
    Workflow::parse(&json!({ "name": name, "then": then, "tasks": tasks })).unwrap()
}

/// A workflow of a library: its name, its children, and what it starts then.
type Entry<'e> = (&'e str, &'e [&'e str], &'e [&'e str]);

fn problems(entries: &[Entry<'_>]) -> Vec<Problem> {
    let library: BTreeMap<String, Arc<Workflow>> = entries
        .iter()
        .map(|(name, children, then)| ((*name).to_owned(), read(name, children, then).into()))
        .collect();
    let (name, children, then) = entries[0];
    read(name, children, then).check_library(&library)
}

/// Checks what is said of the first of `entries`: where, and a part of the message.
fn check(entries: &[Entry<'_>], expected: &[(&str, &str)]) {
    let found = problems(entries);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (problem, (place, part)) in found.iter().zip(expected) {
        assert_eq!(format!("{} {}", problem.code, problem.pointer), *place, "{problem}");
        assert!(problem.message.contains(part), "{problem}");
    }
}

#[test]
fn every_name_must_be_known() {
    check(&[("a", &["b"], &["c"]), ("b", &["c"], &[]), ("c", &[], &[])], &[]);
    check(
        &[("a", &["x"], &["y"]), ("b", &["unknown-to-b"], &[])],
        &[("ORC-0215 /then/0/workflow", "`y`"), ("ORC-0215 /tasks/c0/workflow", "`x`")],
    );
}

#[test]
fn no_workflow_comes_back_to_itself() {
    let place = "ORC-0213 /tasks/c0/workflow";
    check(&[("a", &["a"], &[])], &[(place, "a → a is a circle")]);
    check(
        &[("a", &["b"], &[]), ("b", &["c"], &[]), ("c", &["a"], &[])],
        &[(place, "b → c → a → b is a circle")],
    );
    check(&[("a", &[], &["b"]), ("b", &["a"], &[])], &[("ORC-0213 /then/0/workflow", "b → a → b")]);
    check(
        &[("a", &["b", "b"], &["b"]), ("b", &["d"], &["c"]), ("c", &[], &["b"]), ("d", &[], &[])],
        &[("ORC-0213 /then/0/workflow", "b → c → b")],
    );
    // The same one twice is no circle.
    check(&[("a", &["b", "c"], &[]), ("b", &["c"], &["c"]), ("c", &[], &[])], &[]);
}

#[test]
fn children_are_nested_to_a_depth() {
    let names: Vec<String> = (0..16).map(|n| format!("w{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let next = |n: usize, length: usize| if n < length { &names[n + 1..n + 2] } else { &[] };
    let children = |length: usize| -> Vec<Entry<'_>> {
        (0..=length).map(|n| (names[n], next(n, length), &[][..])).collect()
    };
    let thens = |length: usize| -> Vec<Entry<'_>> {
        (0..=length).map(|n| (names[n], &[][..], next(n, length))).collect()
    };
    check(&children(MAX_NESTING), &[]);
    check(&children(MAX_NESTING + 1), &[("ORC-0216 /tasks/c0/workflow", "9 deep; at most 8")]);
    check(&thens(MAX_NESTING + 3), &[]);
}

#[test]
fn what_is_handed_on_fits_the_inputs() {
    let child = Workflow::parse(&json!({
        "name": "child",
        "inputs": { "n": { "type": "integer", "required": true }, "s": { "type": "string" },
                    "d": { "type": "boolean", "required": true, "default": true } },
        "tasks": { "a": { "command": ["true"] } },
    }))
    .unwrap();
    let library = BTreeMap::from([("child".to_owned(), Arc::new(child))]);
    let check = |with: Value, expected: &[&str]| {
        let parent = Workflow::parse(&json!({
            "name": "w", "inputs": { "x": { "type": "string" } },
            "tasks": { "a": { "workflow": "child", "with": with } },
        }))
        .unwrap();
        let found: Vec<String> = parent
            .check_library(&library)
            .iter()
            .map(|p| format!("{} {}", p.code, p.pointer))
            .collect();
        assert_eq!(found, expected, "{with}");
    };
    check(json!({ "n": 1 }), &[]);
    check(json!({ "n": "5", "s": "{{ inputs.x }}" }), &[]);
    check(json!({ "n": "{{ inputs.x }}" }), &[]);
    check(json!({}), &["ORC-0302 /tasks/a/with"]);
    check(json!({ "n": "five", "s": 1, "d": [] }), {
        &["ORC-0303 /tasks/a/with/n", "ORC-0303 /tasks/a/with/s", "ORC-0303 /tasks/a/with/d"]
    });
    check(json!({ "n": 1, "m": 1 }), &["ORC-0301 /tasks/a/with/m"]);
}

#[test]
fn references_are_listed_with_their_places() {
    let workflow = Workflow::parse(&json!({
        "name": "w", "then": "after",
        "tasks": { "a": { "workflow": "child", "then": ["x", { "workflow": "y" }] } },
    }))
    .unwrap();
    let found: Vec<String> =
        workflow.references().into_iter().map(|(at, name)| format!("{at} {name}")).collect();
    assert_eq!(
        found,
        [
            "/then/0/workflow after",
            "/tasks/a/workflow child",
            "/tasks/a/then/0/workflow x",
            "/tasks/a/then/1/workflow y",
        ]
    );
}
