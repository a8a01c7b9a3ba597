//! The log file: lines that programs can read, without secrets, from several processes at once.

use super::collector::{Collector, attribute};
use crate::{harness::Project, models};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a log");
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(line).collect()
}

#[test]
fn lines_are_json_say_where_they_belong_and_hold_no_secret() {
    let (server, collector) = (ModelServer::start().expect("a server"), Collector::start());
    server.otherwise(Reply::error(401, "authentication_error", "sk-test-0123456789 is no key"));
    let project = models::project(&server, "anthropic", "claude-sonnet-4-5")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let mut config = project.read(".orchestrator/config.toml");
    config += "\n[log]\nfile = '.orchestrator/state/run.log'\nformat = 'json'\nlevel = 'debug'\n";
    project.write(".orchestrator/config.toml", &config);
    let flow = "name: logged\ntasks:\n  ask: { agent: dev, prompt: hello }\n";
    project.write("flow.yaml", flow);
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(6);
    assert!(!ran.stderr.contains("DEBUG"), "it goes to the file alone: {}", ran.stderr);
    let log = project.path().join(".orchestrator/state/run.log");
    let lines = lines(&log);
    assert!(!lines.is_empty());
    for line in &lines {
        let at = line["timestamp"].as_str().expect("a time");
        assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
        for key in ["level", "target", "message"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
        assert!(line["fields"].is_object(), "{line}");
    }
    let call = lines.iter().find(|line| line["attempt"] == "1").expect("a line of the attempt");
    assert_eq!(call["task"], "ask");
    let run = project.json(&["list-runs"])["items"][0]["id"].clone();
    assert_eq!(call["run"], run);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let spans = collector.spans();
    let span = spans.iter().find(|span| call["span_id"] == hex(&span.span_id).as_str());
    let span = span.unwrap_or_else(|| panic!("{call} names no span"));
    assert_eq!(call["trace_id"], hex(&span.trace_id).as_str());
    assert!(attribute(&span.attributes, "gen_ai.request.model").is_some(), "{span:?}");
    let text = fs::read_to_string(&log).expect("a log");
    assert!(!text.contains("sk-test-0123456789"), "a key is in the log");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&log).expect("a log").permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn two_processes_share_a_log_and_its_turns() {
    let flow = "name: many\nmax-parallel: 4\ntasks:\n  each: { for-each: \"[1,2,3,4,5,6,7,8,9,10,11,12]\", command: ['true'] }\n";
    let project = Project::with_flow(flow)
        .with("ORCHESTRATOR_LOG__FILE", "logs/shared.log")
        .with("ORCHESTRATOR_LOG__FORMAT", "json")
        .with("ORCHESTRATOR_LOG__LEVEL", "trace")
        .with("ORCHESTRATOR_LOG__ROTATE_SIZE", "2KB")
        .with("ORCHESTRATOR_LOG__KEEP", "1000");
    let arguments = ["execute", "--workflow", "flow.yaml", "--json"];
    let mut both = [project.start(&arguments), project.start(&arguments)];
    let runs: BTreeSet<String> = both
        .iter_mut()
        .map(|running| {
            let ran = running.end().expect(0);
            ran.last()["run"].as_str().expect("a run").to_owned()
        })
        .collect();
    let directory = project.path().join("logs");
    let (mut seen, mut files) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(&directory).expect("logs") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|end| end == "lock") {
            continue;
        }
        files += 1;
        for line in lines(&path) {
            seen.extend(line["run"].as_str().map(str::to_owned));
        }
    }
    assert!(files > 1, "it was begun anew");
    assert_eq!(seen, runs, "both have written");
}

#[test]
fn a_log_that_cannot_be_written_is_told_once_and_stops_nothing() {
    let flow = "name: small\ntasks:\n  a: { command: ['true'] }\n  b: { command: ['true'] }\n";
    let project = Project::with_flow(flow)
        .with("ORCHESTRATOR_LOG__FILE", "flow.yaml/run.log")
        .with("ORCHESTRATOR_LOG__LEVEL", "trace");
    let ran = project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert_eq!(ran.stderr.matches("the log is not written to").count(), 1, "{}", ran.stderr);
    let project = Project::with_flow(flow)
        .with("ORCHESTRATOR_LOG__FILE", "/dev/full")
        .with("ORCHESTRATOR_LOG__LEVEL", "trace");
    let ran = project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert_eq!(ran.stderr.matches("the log is not written to").count(), 1, "{}", ran.stderr);
}
