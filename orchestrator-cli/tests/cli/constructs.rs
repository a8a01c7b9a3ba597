//! Every construct of the language as its file in `examples/constructs` shows it, through the binary.

use crate::{
    harness::{Project, Ran},
    schemas,
};
use serde_json::Value;
use std::{fs, path::PathBuf};

/// The files, with the status that the first drive of each ends with, as it says itself.
fn files() -> Vec<(PathBuf, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/constructs");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the examples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    let ends = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file");
        let ends = text.lines().find_map(|line| line.strip_prefix("# Ends: "));
        let ends = ends.unwrap_or_else(|| panic!("{} does not say how it ends", path.display()));
        (path, ends.trim().to_owned())
    };
    files.into_iter().map(ends).collect()
}

/// The project with all files, so that those find each other.
fn project(files: &[(PathBuf, String)]) -> Project {
    let project = Project::new().with("USER", "ann");
    for (path, _) in files {
        let text = fs::read_to_string(path).expect("a file");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        project.write(&name, &text);
    }
    project
}

/// Approves what `ran` waits for and goes on, until it waits for nobody.
fn see_through(project: &Project, mut ran: Ran) -> Value {
    for _ in 0..10 {
        let result = ran.last();
        schemas::check(&result);
        let asks = result["asks"].as_array().expect("what is asked");
        if asks.is_empty() {
            return result;
        }
        assert_eq!((ran.code, &result["status"]), (Some(6), &"waiting".into()), "{result}");
        for asked in asks {
            let id = asked["id"].as_str().expect("an id");
            schemas::check(&project.json(&["approve", id]));
        }
        let run = result["run"].as_str().expect("an id");
        ran = project.run(&["resume", run, "--json"]);
    }
    panic!("it asks without end");
}

#[test]
fn every_file_of_a_construct_runs_to_the_end_that_it_names() {
    let files = files();
    assert!(files.len() >= 15, "{files:?}");
    for (path, ends) in &files {
        let project = project(&files);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut arguments = vec!["execute", "--workflow", &name, "--json"];
        if name == "greet.yaml" {
            arguments.extend(["--input", "whom=Ada"]);
        }
        let ran = project.run(&arguments);
        for line in ran.stdout.lines() {
            schemas::check(&serde_json::from_str(line).expect("a JSON line"));
        }
        assert_eq!(ran.last()["status"], **ends, "{name}: {ran:?}");
        let result = see_through(&project, ran);
        let expected = if ends == "waiting" { "succeeded" } else { ends };
        assert_eq!(result["status"], *expected, "{name}: {result}");
        let run = result["run"].as_str().expect("an id");
        let details = project.json(&["run-details", run]);
        schemas::check(&details);
        for task in details["items"].as_array().expect("items") {
            let id = task["id"].as_str().expect("an id");
            schemas::check(&project.json(&["task-details", id]));
        }
        // A log of each kind of event can be read.
        assert!(!project.ok(&["logs", run]).stdout.is_empty(), "{name}");
        // Whatever it started was seen to its end.
        for run in project.json(&["list-runs"])["items"].as_array().expect("items") {
            let over = ["succeeded", "failed"].map(Value::from).contains(&run["status"]);
            assert!(over, "{name}: {run}");
        }
        // A plan of it starts nothing.
        let mut plan = arguments.clone();
        plan.retain(|word| *word != "--json");
        plan.push("--dry-run");
        schemas::check(&project.json(&plan));
    }
}

#[test]
fn a_dry_run_shows_the_workflows_that_would_be_started() {
    let files = files();
    let project = project(&files);
    let plan = project.json(&["execute", "--workflow", "child-workflow.yaml", "--dry-run"]);
    assert_eq!(plan["workflows"][0]["key"], "greet.yaml", "{plan}");
    let child = plan["items"].as_array().expect("items").iter().find(|t| t["name"] == "greeting");
    assert_eq!(child.expect("the task")["workflow"], "greet.yaml");
    let shown = project.ok(&["execute", "--workflow", "child-workflow.yaml", "--dry-run"]).stdout;
    assert!(shown.contains("Workflow greet.yaml"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_child_is_told_in_its_file() {
    let check = |files: &[(&str, &str)], code: &str, file: &str, line: u64| {
        let project = Project::new();
        for (name, text) in files {
            project.write(name, text);
        }
        let ran = project.run(&["execute", "--workflow", files[0].0, "--json"]).expect(2);
        let problem = ran.problem();
        let place = &problem["places"][0];
        assert_eq!(place["code"], code, "{problem}");
        assert!(place["file"].as_str().is_some_and(|found| found.ends_with(file)), "{problem}");
        assert_eq!(place["line"], line, "{problem}");
        assert_eq!(project.json(&["list-runs"])["items"], serde_json::json!([]), "nothing began");
    };
    let parent = "name: parent\ntasks:\n  a: { workflow: below/child.yaml }\n";
    check(&[("parent.yaml", parent)], "ORC-0215", "parent.yaml", 3);
    check(
        &[
            ("parent.yaml", parent),
            ("below/child.yaml", "name: child\ntasks:\n  b: { command: 3 }\n"),
        ],
        "ORC-0201",
        "child.yaml",
        3,
    );
    // A file is looked for beside the one that names it.
    let child = "name: child\ntasks:\n  b: { workflow: grandchild.yaml }\n";
    check(
        &[("parent.yaml", parent), ("below/child.yaml", child), ("grandchild.yaml", "name: g\n")],
        "ORC-0215",
        "child.yaml",
        3,
    );
    // An agent that is missing anywhere is found before anything starts.
    let asks = "name: child\ntasks:\n  b: { agent: ghost, prompt: x }\n";
    check(&[("parent.yaml", parent), ("below/child.yaml", asks)], "ORC-0512", "child.yaml", 3);
    let circle = "name: child\ntasks:\n  b: { workflow: ../parent.yaml }\n";
    check(&[("parent.yaml", parent), ("below/child.yaml", circle)], "ORC-0213", "parent.yaml", 3);
    let takes = "name: child\ninputs: { n: { type: integer, required: true } }\ntasks:\n  b: { command: [echo] }\n";
    check(&[("parent.yaml", parent), ("below/child.yaml", takes)], "ORC-0302", "parent.yaml", 3);
}
