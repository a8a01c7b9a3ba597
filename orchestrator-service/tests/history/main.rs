//! What can be done with the history of runs: asking why, doing them again, comparing them, taking
//! them elsewhere; over real directories and a real store.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod again;
mod compare;
mod forged;
mod pages;
mod people;
#[path = "../service/place.rs"]
#[expect(dead_code, reason = "it is shared with other tests, which use more of it")]
mod place;
mod transfer;
mod why;

use orchestrator_service::views::TaskView;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Checks a document against the schema file `name`, which says what it must be called.
fn fits(name: &str, document: &impl Serialize) {
    let document = serde_json::to_value(document).unwrap();
    let file = format!("{}/../docs/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(document["schema"], schema["properties"]["schema"]["const"]);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{name}: {problems:?}");
}

/// `name:status` of each task.
fn statuses(tasks: &[TaskView]) -> String {
    let each = tasks.iter().map(|task| format!("{}:{}", task.name, task.status));
    each.collect::<Vec<_>>().join(" ")
}

/// The lines of a file of the project; none when it is not there.
fn lines(root: &Path, name: &str) -> usize {
    std::fs::read_to_string(root.join(name)).unwrap_or_default().lines().count()
}
