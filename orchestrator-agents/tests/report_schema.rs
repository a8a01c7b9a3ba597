//! Reports as JSON hold to the schema that is published for them.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use orchestrator_agents::builtin::{
    Index, Options, Report, dev, docs, index::Limits, pm, qa, security,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, sync::atomic::AtomicBool};

type Analyst = fn(&Index, &Options) -> Report;
const ALL: [Analyst; 5] =
    [dev::analyse, qa::analyse, docs::analyse, security::analyse, pm::analyse];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator() -> jsonschema::Validator {
    let text = fs::read_to_string(repository().join("docs/schemas/report.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_report_fits_its_published_schema() {
    let project = tempfile::tempdir().unwrap();
    fs::write(project.path().join("a.js"), "export function a() {} // TODO: name it\n").unwrap();
    fs::write(project.path().join("README.md"), "# A\n\n[x](missing.md)\n").unwrap();
    let validator = validator();
    let mut findings = 0;
    for root in [project.path(), repository().as_path()] {
        let index = Index::build(root, Limits::default(), &AtomicBool::new(false)).unwrap();
        for analyse in ALL {
            let report = analyse(&index, &Options::new(root));
            findings += report.findings.len();
            let value = serde_json::to_value(&report).unwrap();
            let problems: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{}: {problems:?}", report.analyst);
        }
    }
    assert!(findings > 0);
}

#[test]
fn the_schema_is_one_that_refuses() {
    let validator = validator();
    let mut report = serde_json::to_value(Report::new("own")).unwrap();
    assert!(validator.is_valid(&report));
    report["findings"] =
        json!([{ "rule": "a/b", "severity": "dire", "message": "", "advice": "" }]);
    assert!(!validator.is_valid(&report));
}
