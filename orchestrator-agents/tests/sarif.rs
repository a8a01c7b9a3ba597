//! Reports as SARIF hold to the schema of the standard.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use orchestrator_agents::builtin::{
    Finding, Index, Options, Report, Severity, dev, docs, index::Limits, pm, qa, render, security,
};
use serde_json::Value;
use std::{fs, path::PathBuf, sync::atomic::AtomicBool};

/// The schema as `scripts/sarif-schema` has installed it. Nothing of it is in this repository.
fn schema() -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let tools = std::env::var_os("ORCHESTRATOR_TEST_TOOLS")
        .map_or_else(|| root.join("target/test-tools"), PathBuf::from);
    let installed = fs::read_dir(&tools).ok().into_iter().flatten().flatten().find(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("sarif-schema-2.1.0-") && name.ends_with(".json")
    });
    match installed {
        Some(entry) => {
            let text = fs::read_to_string(entry.path()).expect("the installed schema is readable");
            // One pattern of the published schema, that of a run's language, has a stray bracket
            // that only lenient engines take. No report names a language.
            let text = text.replace("{2}]?$", "{2}$");
            serde_json::from_str(&text).expect("the installed schema is JSON")
        }
        None => panic!("no SARIF schema in {}; run scripts/sarif-schema first", tools.display()),
    }
}

fn check(schema: &Value, report: &Report) {
    let validator = jsonschema::validator_for(schema).expect("the schema is a schema");
    let log: Value = serde_json::from_str(&render::sarif(report).unwrap()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&log)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}: {errors:#?}", report.analyst);
    assert_eq!(
        log["runs"][0]["results"].as_array().map(Vec::len),
        Some(report.findings.len()),
        "{}",
        report.analyst
    );
}

type Analyst = fn(&Index, &Options) -> Report;
const ALL: [Analyst; 5] =
    [dev::analyse, qa::analyse, docs::analyse, security::analyse, pm::analyse];

/// A project with something to find for each analyst.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("package.json", r#"{"name":"a","dependencies":{"react":"*"}}"#),
        ("src/ä b#.js", "export function a() {}\n"),
        ("src/a.test.js", "it.only('a', () => {})\n"),
        ("README.md", "# A\n\n[x](missing.md) and [y](#none) and words to make it long enough.\n"),
        ("big.py", &"x = 1\n".repeat(2000)),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn reports_of_real_projects_fit_the_schema() {
    let schema = schema();
    let project = project();
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for root in [project.path(), repository.as_path()] {
        let never = AtomicBool::new(false);
        let index = Index::build(root, Limits::default(), &never).unwrap();
        let options = Options::new(root);
        for analyse in ALL {
            let report = analyse(&index, &options);
            check(&schema, &report);
        }
    }
    let index = Index::build(project.path(), Limits::default(), &AtomicBool::new(false)).unwrap();
    for analyse in [dev::analyse, qa::analyse, docs::analyse] {
        let report = analyse(&index, &Options::new(project.path()));
        assert!(!report.findings.is_empty(), "{} finds nothing to render", report.analyst);
    }
}

#[test]
fn odd_reports_fit_the_schema_too() {
    let schema = schema();
    check(&schema, &Report::new("own"));
    let mut report = Report::new("odd");
    report.summary = "\u{0} \u{fffd} \"quoted\"".to_owned();
    report.note("");
    for (path, line) in [("", 1), ("a\nb", 0), ("c:/x y%?#", u32::MAX), ("\u{fffd}", 2)] {
        report.push(Finding::new("no-slash", Severity::Info, "m", "").at(path).on_line(line));
        report.push(Finding::new("", Severity::Critical, "", "a"));
    }
    report.finish();
    check(&schema, &report);
}

#[test]
fn the_schema_is_one_that_refuses() {
    let schema = schema();
    let log = serde_json::json!({ "version": "2.1.0", "runs": [{ "results": [{}] }] });
    assert!(!jsonschema::is_valid(&schema, &log));
}
