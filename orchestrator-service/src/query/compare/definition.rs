//! How two definitions, or two sets of inputs, differ.

use crate::views::{DefinitionChange, TaskChange, ValueChange};
use orchestrator_core::{task::TaskSpec, workflow::Workflow};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most characters that are shown of a value.
const SHOWN: usize = 160;

/// How `left` and `right` differ.
pub(super) fn definitions(left: &Workflow, right: &Workflow) -> DefinitionChange {
    let specs = |workflow: &'_ Workflow| -> BTreeMap<String, TaskSpec> {
        workflow.tasks.iter().map(|spec| (spec.name.to_string(), spec.clone())).collect()
    };
    let names = |workflow: &Workflow| -> Vec<String> {
        workflow.tasks.iter().map(|spec| spec.name.to_string()).collect()
    };
    let (of_left, of_right) = (specs(left), specs(right));
    let missing = |names: Vec<String>, other: &BTreeMap<String, TaskSpec>| {
        names.into_iter().filter(|name| !other.contains_key(name)).collect()
    };
    let changed = names(left).into_iter().filter_map(|task| {
        let (one, other) = (of_left.get(&task)?, of_right.get(&task)?);
        (one != other).then(|| TaskChange { keys: values(&of_task(one), &of_task(other)), task })
    });
    DefinitionChange {
        keys: values(&of_workflow(left), &of_workflow(right)),
        added: missing(names(right), &of_left),
        removed: missing(names(left), &of_right),
        changed: changed.collect(),
    }
}

/// The keys whose values differ: those of `left` in its order, then those that only `right` has.
pub(super) fn values(left: &Map<String, Value>, right: &Map<String, Value>) -> Vec<ValueChange> {
    let new = right.keys().filter(|key| !left.contains_key(*key));
    left.keys()
        .chain(new)
        .filter(|key| left.get(*key) != right.get(*key))
        .map(|key| ValueChange {
            key: key.clone(),
            left: left.get(key).map(excerpt),
            right: right.get(key).map(excerpt),
        })
        .collect()
}

/// The beginning of a value: text as it is, anything else as JSON.
pub(super) fn excerpt(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn of_workflow(workflow: &Workflow) -> Map<String, Value> {
    let mut keys = object(serde_json::to_value(workflow));
    keys.remove("tasks");
    keys
}

/// The keys of a task, what it asks for among them, as a file has them.
fn of_task(spec: &TaskSpec) -> Map<String, Value> {
    let mut keys = object(serde_json::to_value(spec));
    keys.remove("name");
    let kind = keys.remove("kind");
    for (variant, fields) in object(Ok(kind.unwrap_or_default())) {
        for (field, value) in object(Ok(fields)) {
            // An approval's message is not the message of anything else.
            let key = match variant == field {
                true => field,
                false => format!("{variant}.{}", field.replace('_', "-")),
            };
            keys.insert(key, value);
        }
    }
    keys
}

fn object(value: Result<Value, serde_json::Error>) -> Map<String, Value> {
    match value {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_by_task_and_key() {
        let left = Workflow::new("w").unwrap();
        let left =
            left.task("a", "dev", "do it", &[]).unwrap().task("b", "qa", "x", &["a"]).unwrap();
        let mut right = Workflow::new("w").unwrap();
        right.version = "2.0.0".into();
        let right = right
            .task("a", "dev", "do it well", &[])
            .unwrap()
            .task("c", "qa", "x", &["a"])
            .unwrap();
        let change = definitions(&left, &right);
        let keys = |changes: &[ValueChange]| -> Vec<String> {
            changes.iter().map(|change| change.key.clone()).collect()
        };
        assert_eq!(keys(&change.keys), ["version"]);
        assert_eq!((change.added, change.removed), (vec!["c".into()], vec!["b".into()]));
        assert_eq!(change.changed.len(), 1);
        assert_eq!(change.changed[0].task, "a");
        assert_eq!(keys(&change.changed[0].keys), ["agent.prompt"]);
        assert_eq!(change.changed[0].keys[0].right.as_deref(), Some("do it well"));
        let same = definitions(&left, &left);
        assert!(same.keys.is_empty() && same.changed.is_empty() && same.added.is_empty());
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt(&Value::from("é".repeat(500))).chars().count(), SHOWN + 1);
        assert_eq!(excerpt(&serde_json::json!([1])), "[1]");
    }
}
