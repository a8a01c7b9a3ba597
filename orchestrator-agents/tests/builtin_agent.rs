//! The built-in agent as the engine sees it.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use async_trait::async_trait;
use orchestrator_agents::builtin::{BuiltinAgent, Report};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    error::{ErrorClass, Failure},
    id::{AgentName, ProviderName, RunId, TaskName},
    port::{Agent, Answer, Assignment, AttemptHost, LogLine, Progress, Upstream, Work},
    task::TaskStatus,
    time::Timestamp,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

/// Keeps what is logged; cancels at once or never.
#[derive(Default)]
struct Host {
    lines: Mutex<Vec<String>>,
    is_cancelled: bool,
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        self.lines.lock().unwrap().push(line.text);
    }

    fn progress(&self, _: Progress) {}

    async fn cancelled(&self) {
        if !self.is_cancelled {
            std::future::pending::<()>().await;
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

fn assignment(run: &str, role: &str, project: &Path) -> Assignment {
    let spec = AgentSpec::new(
        AgentName::new(role).unwrap(),
        Role::from(role.to_owned()),
        ProviderName::new("builtin").unwrap(),
    );
    let mut assignment = Assignment::new(
        RunId::new(run).unwrap(),
        TaskName::new(role).unwrap(),
        Arc::new(spec),
        Work::Prompt("Look at it.".to_owned()),
    );
    assignment.project = project.to_path_buf();
    assignment
}

fn perform(agent: &BuiltinAgent, assignment: &Assignment, host: &Host) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(agent.perform(assignment, host))
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.py"), "def a():\n    return 1\n").unwrap();
    fs::write(dir.path().join("logo.png"), b"\x89PNG\0").unwrap();
    dir
}

#[test]
fn each_role_leaves_its_report_in_three_forms() {
    let (agent, project) = (BuiltinAgent::default(), project());
    for role in ["dev", "qa", "docs", "security", "pm"] {
        let host = Host::default();
        let answer = perform(&agent, &assignment("r_1", role, project.path()), &host).unwrap();
        let report = Report::from_value(&answer.output).unwrap();
        assert_eq!(report.analyst, role);
        let names: Vec<_> = answer
            .artifacts
            .iter()
            .map(|a| (&*a.name, &*a.media_type, a.bytes.is_empty()))
            .collect();
        assert_eq!(
            names,
            [
                ("report.md", "text/markdown", false),
                ("report.json", "application/json", false),
                ("report.sarif", "application/sarif+json", false),
            ]
        );
        let json: Value = serde_json::from_slice(&answer.artifacts[1].bytes).unwrap();
        assert_eq!(json, answer.output);
        // What was left out is said, in the report and in the log.
        assert!(report.notes.iter().any(|note| note.contains("logo.png")), "{:?}", report.notes);
        let lines = host.lines.into_inner().unwrap();
        assert!(lines.contains(&report.summary) && lines.iter().any(|l| l.contains("logo.png")));
    }
}

#[test]
fn what_changes_between_two_analysts_of_a_run_is_seen() {
    let (agent, project) = (BuiltinAgent::default(), project());
    let code_lines = |role| {
        let answer =
            perform(&agent, &assignment("r_1", role, project.path()), &Host::default()).unwrap();
        answer.output["facts"]["totals"]["code"].clone()
    };
    assert_eq!(code_lines("dev"), 2);
    fs::write(project.path().join("a.py"), "def a():\n    x = 1\n    return x\n").unwrap();
    fs::write(project.path().join("b.py"), "x = 1\n").unwrap();
    assert_eq!(code_lines("dev"), 4);
}

#[test]
fn what_cannot_be_done_is_a_failure_of_the_right_class() {
    let (agent, project) = (BuiltinAgent::default(), project());
    let missing = project.path().join("missing");
    for (role, path, is_cancelled, class, says) in [
        ("poet", project.path(), false, ErrorClass::InvalidRequest, "role `poet`"),
        ("dev", &missing, false, ErrorClass::InvalidRequest, "missing"),
        ("dev", project.path(), true, ErrorClass::Cancelled, "stopped"),
    ] {
        let host = Host { is_cancelled, ..Host::default() };
        let failure = perform(&agent, &assignment("r_1", role, path), &host).unwrap_err();
        assert_eq!(failure.class, class, "{role}: {failure}");
        assert!(failure.message.contains(says), "{role}: {failure}");
    }
}

#[test]
fn upstream_outputs_that_are_no_reports_do_no_harm() {
    let (agent, project) = (BuiltinAgent::default(), project());
    let mut assignment = assignment("r_1", "docs", project.path());
    for (name, output) in [
        ("a", json!(null)),
        ("b", json!("text")),
        ("c", json!([1, {"schema": "orchestrator.report/v1"}])),
        ("d", json!({"schema": "orchestrator.report/v1", "analyst": 3})),
    ] {
        let upstream = Upstream { status: TaskStatus::Succeeded, output: output.into() };
        assignment.needs.insert(TaskName::new(name).unwrap(), upstream);
    }
    assert!(perform(&agent, &assignment, &Host::default()).is_ok());
}
