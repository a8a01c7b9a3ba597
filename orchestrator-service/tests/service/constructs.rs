//! The file of each construct: it can be read, everything that it names is there, editors take it.

use orchestrator_core::workflow::{Mode, Workflow};
use orchestrator_service::document::Document;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The documents of `examples/constructs` by their file names.
fn documents() -> BTreeMap<String, Value> {
    fs::read_dir(repository().join("examples/constructs"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, Document::read(&entry.path()).unwrap().value)
        })
        .collect()
}

fn schema() -> jsonschema::Validator {
    let file = repository().join("docs/schemas/workflow.json");
    let schema = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_file_is_a_workflow_whose_references_fit() {
    let library: BTreeMap<String, Arc<Workflow>> = documents()
        .into_iter()
        .map(|(name, document)| {
            let workflow = Workflow::parse(&document)
                .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            (name, Arc::new(workflow))
        })
        .collect();
    for (name, workflow) in &library {
        assert_eq!(workflow.check_library(&library), [], "{name}");
        assert_eq!(format!("{}.yaml", workflow.name), *name);
    }
}

/// What the managing task of `hierarchical.yaml` prints are tasks that can be added.
#[test]
fn what_the_manager_adds_is_valid() {
    let workflow = Workflow::parse(&documents()["hierarchical.yaml"]).unwrap();
    assert_eq!(workflow.mode, Mode::Hierarchical);
    let manage = serde_json::to_value(&workflow.tasks[0].kind).unwrap();
    let printed: Value =
        serde_json::from_str(manage["command"]["command"][1].as_str().unwrap()).unwrap();
    let added = Workflow::parse_tasks(&printed["tasks"]).unwrap();
    assert_eq!(added.len(), 2);
    let exists = |name: &str| workflow.tasks.iter().any(|task| task.name.as_str() == name);
    assert_eq!(workflow.check_added(&exists, &BTreeMap::new(), &added), []);
}

#[test]
fn every_key_of_the_language_is_shown_somewhere() {
    let mut shown = BTreeSet::new();
    for document in documents().into_values() {
        let keys = |value: &Value| -> Vec<String> {
            value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
        };
        shown.extend(keys(&document));
        for task in document["tasks"].as_object().unwrap().values() {
            shown.extend(keys(task));
        }
    }
    for key in [
        "inputs",
        "max-parallel",
        "mode",
        "timeout",
        "then",
        "command",
        "workflow",
        "with",
        "approval",
        "needs",
        "when",
        "for-each",
        "delay",
        "output",
        "revise",
        "retry",
        "priority",
        "on-failure",
        "compensate",
        "concurrency-group",
        "cache",
    ] {
        assert!(shown.contains(key), "{key}");
    }
}

/// Each file has a page that shows it as it is.
#[test]
fn every_file_stands_in_its_page() {
    let pages = fs::read_dir(repository().join("docs/workflows")).unwrap();
    let pages: String =
        pages.map(|page| fs::read_to_string(page.unwrap().path()).unwrap()).collect();
    for name in documents().keys() {
        let file = repository().join("examples/constructs").join(name);
        let text = fs::read_to_string(file).unwrap();
        assert!(pages.contains(&format!("```yaml\n{text}```\n")), "{name} is shown by no page");
    }
}

#[test]
fn editors_take_every_construct() {
    let schema = schema();
    for (name, document) in documents() {
        let problems: Vec<String> = schema
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

/// Tasks that the schema and the reader judge alike.
#[test]
fn the_schema_and_the_reader_agree() {
    let schema = schema();
    let check = |task: Value, is_fine: bool| {
        let document = json!({
            "name": "w", "inputs": { "x": { "type": "string" } },
            "tasks": { "a": { "command": ["true"], "compensate": { "command": ["true"] } },
                       "t": task },
        });
        assert_eq!(schema.is_valid(&document), is_fine, "the schema: {document}");
        let read = Workflow::parse(&document);
        assert_eq!(read.is_ok(), is_fine, "the reader: {document}: {read:?}");
    };
    let with = |keys: Value| {
        let mut task = json!({ "command": ["true"], "needs": ["a"] });
        task.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        task
    };
    for fine in [
        json!({ "for-each": [1, 2] }),
        json!({ "for-each": "tasks.a.output" }),
        json!({ "timeout": "1h30m" }),
        json!({ "timeout": { "attempt": "1m", "task": "1h" } }),
        json!({ "retry": "never-repeat" }),
        json!({ "retry": { "never-repeat": true, "max-attempts": 2 } }),
        json!({ "on-failure": "compensate", "delay": "1s" }),
        json!({ "compensate": { "agent": "dev", "prompt": "Undo it." } }),
        json!({ "cache": true }),
        json!({ "cache": "7d" }),
        json!({ "cache": { "ttl": "7d", "key": "{{ inputs.x }}" } }),
        json!({ "then": "next" }),
        json!({ "then": ["next", { "on": "always", "workflow": "other", "with": { "a": [1] } }] }),
        json!({ "concurrency-group": "g-{{ inputs.x }}", "priority": "critical" }),
        json!({ "revise": { "task": "a", "unless": "true" } }),
        json!({ "when": null, "cache": null }),
    ] {
        check(with(fine), true);
    }
    for wrong in [
        json!({ "for-each": 5 }),
        json!({ "timeout": { "all": "1h" } }),
        json!({ "timeout": "soon" }),
        json!({ "retry": "never" }),
        json!({ "retry": { "max-attempts": 0 } }),
        json!({ "on-failure": "ignore" }),
        json!({ "compensate": {} }),
        json!({ "compensate": { "approval": "x" } }),
        json!({ "cache": 5 }),
        json!({ "cache": { "until": "1h" } }),
        json!({ "then": { "on": "always" } }),
        json!({ "then": { "on": "sometimes", "workflow": "x" } }),
        json!({ "approval": "two kinds" }),
        json!({ "workspace": "worktre" }),
        json!({ "foreach": [1] }),
    ] {
        check(with(wrong), false);
    }
    check(json!({ "approval": "ok?" }), true);
    check(json!({ "approval": { "message": "ok?", "expires-in": "1d" } }), true);
    check(json!({ "approval": { "expires-in": "1d" } }), false);
    check(json!({ "workflow": "child", "with": { "a": "{{ inputs.x }}" } }), true);
    check(json!({ "workflow": "child", "with": [] }), false);
}
