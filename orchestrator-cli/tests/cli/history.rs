//! The commands about the history of runs: why, again, another way, side by side, elsewhere.

use crate::{harness::Project, schemas};
use serde_json::Value;

const FLOW: &str = "name: flow\ninputs:\n  word: { type: string, default: one }\ntasks:\n  \
    a: { command: [echo, '{{ inputs.word }}'] }\n  \
    b: { needs: [a], command: [sh, -c, 'printf \"first line\\nthere is no file good\\n\" >&2; test -e good'], retry: { max-attempts: 1 } }\n  \
    c: { needs: [b], command: [echo, 'got {{ tasks.a.output }}, {{ inputs.word }}'] }\n";

/// A project in which the flow has failed, and the run.
fn failed() -> (Project, String) {
    let project = Project::with_flow(FLOW);
    project.run(&["execute", "--workflow", "flow.yaml"]).expect(1);
    let run = latest(&project);
    (project, run)
}

fn latest(project: &Project) -> String {
    let runs = project.json(&["list-runs", "--limit", "1"]);
    runs["items"][0]["id"].as_str().expect("an id").to_owned()
}

/// The last document of a stream.
fn last(text: &str) -> Value {
    serde_json::from_str(text.lines().last().expect("a line")).expect("a document")
}

#[test]
fn why_fits_on_a_screen_and_into_a_document() {
    let (project, run) = failed();
    let said = project.ok(&["why", "c"]).stdout;
    assert!(said.starts_with(&format!("{run}.c skipped: `b`, which it needs")), "{said}");
    assert!(said.contains("b failed: tool_failed"), "{said}");
    assert!(said.contains(&format!("orchestrator retry {run}")), "{said}");
    assert!(said.lines().count() < 12, "{said}");
    // Of several lines that a program wrote one is made: nothing can pass for the answer.
    assert!(said.contains("first line there is no file good"), "{said}");
    let document = project.json(&["why", &format!("{run}.b")]);
    schemas::check(&document);
    assert_eq!(document["items"][0]["because"]["kind"], "failed");
    let whole = project.ok(&["why"]).stdout;
    assert!(whole.starts_with(&format!("run {run} (flow): failed")), "{whole}");
    assert!(project.run(&["why", "d"]).expect(2).stderr.contains("ORC-0604"));
}

#[test]
fn retry_does_what_is_left_and_ends_as_the_run_does() {
    let (project, run) = failed();
    project.run(&["retry", "latest"]).expect(1);
    project.write("good", "");
    let ran = project.ok(&["retry", &run, "--json"]);
    let result = last(&ran.stdout);
    assert_eq!(result["status"], "succeeded");
    assert_ne!(result["run"], run.as_str());
    assert!(project.run(&["retry", "latest"]).expect(2).stderr.contains("--from TASK"));
    let ran = project.ok(&["retry", "latest", "--from", "b"]);
    assert!(ran.stderr.contains("succeeded"), "{ran:?}");
    let clash = project.run(&["retry", "latest", "--from", "b", "--failed"]);
    assert_eq!(clash.code, Some(2), "{clash:?}");
    project.ok(&["retry", "latest", "--latest"]);
}

#[test]
fn a_fork_is_compared_with_where_it_came_from() {
    let (project, _) = failed();
    project.write("good", "");
    project.ok(&["retry", "latest"]);
    let left = latest(&project);
    project.ok(&["fork", &left, "--at", "c", "--input", "word=two"]);
    let right = latest(&project);
    let said = project.ok(&["compare", &left, &right]).stdout;
    assert!(said.contains("word: one") && said.contains("-got one, one"), "{said}");
    assert!(said.contains("+got one, two"), "{said}");
    let document = project.json(&["compare", &left, &right]);
    schemas::check(&document);
    assert_eq!(document["same"], false);
    let same = project.ok(&["compare", &left, &left]).stdout;
    assert!(same.contains("no difference"), "{same}");
    for bad in ["0", "nobody"] {
        project.run(&["fork", &left, "--at", bad]).expect(2);
    }
}

#[test]
fn a_run_goes_from_one_project_to_another() {
    let (project, run) = failed();
    let file = project.path().join("run.json");
    let path = file.to_str().expect("a path");
    project.ok(&["export", &run, "--children", "--output", path]);
    let other = Project::new();
    let document = other.json(&["import", path]);
    schemas::check(&document);
    assert_eq!(document["name"], run.as_str());
    assert!(other.ok(&["why", "c"]).stdout.contains("b failed"));
    assert!(other.run(&["import", path]).expect(2).stderr.contains("--new-id"));
    let said = other.ok(&["import", path, "--new-id"]).stdout;
    assert!(said.contains("flow failed (3 tasks,"), "{said}");
    let text = project.read("run.json");
    project.write("cut.json", &text[..text.len() / 2]);
    let cut = project.path().join("cut.json");
    let refused = Project::new().run(&["import", cut.to_str().expect("a path")]).expect(2);
    assert!(refused.stderr.contains("ORC-0631") && refused.stderr.contains("incomplete"));
    let page = project.ok(&["export", &run, "--format", "html"]).stdout;
    assert!(page.starts_with("<!doctype html>"), "{page}");
}

#[test]
fn a_workflow_is_brought_in_and_replaced_only_when_asked() {
    let project = Project::with_flow(FLOW);
    let said = project.ok(&["import", "flow.yaml"]);
    assert!(said.stdout.contains(".orchestrator/workflows/flow.yaml"), "{said:?}");
    assert_eq!(project.read(".orchestrator/workflows/flow.yaml"), FLOW);
    let again = project.run(&["import", "flow.yaml"]).expect(2);
    assert!(again.stderr.contains("ORC-0633"), "{again:?}");
    assert!(project.ok(&["import", "flow.yaml", "--yes"]).stdout.contains("replaced"));
    project.run(&["execute", "--workflow", "flow"]).expect(1);
}
