//! Documents against the schema files that describe them.

use serde_json::Value;
use std::path::PathBuf;

/// The file that describes documents of this `schema`.
fn file(schema: &str) -> PathBuf {
    let name = schema.strip_prefix("orchestrator.").and_then(|rest| rest.rsplit_once("/v"));
    let name = name.map(|(name, _)| name);
    let name = name.unwrap_or_else(|| panic!("`{schema}` is no schema of ours"));
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas").join(format!("{name}.json"))
}

/// Fails unless the schema file that `document` names describes it.
pub(crate) fn check(document: &Value) {
    let schema = document["schema"].as_str().unwrap_or_else(|| panic!("no schema in {document}"));
    let file = file(schema);
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    validate(&schema, document);
}

/// Fails unless `part`, within the file that describes documents of `schema`, describes `value`.
pub(crate) fn check_part(schema: &str, part: &Value, value: &Value) {
    let text = std::fs::read_to_string(file(schema)).expect("a schema file");
    let mut schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let whole = schema.as_object_mut().expect("an object");
    whole.retain(|key, _| key == "$defs" || key == "$schema");
    whole.extend(part.as_object().expect("an object").clone());
    validate(&schema, value);
}

fn validate(schema: &Value, document: &Value) {
    let validator = jsonschema::validator_for(schema).expect("a valid schema");
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}
