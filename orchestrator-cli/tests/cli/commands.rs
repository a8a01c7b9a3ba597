//! Every command, as typed.

use crate::{harness::Project, schemas};
use serde_json::{Value, json};

/// Two tasks, one of which quotes what the other left.
const PAIR: &str = r#"
name: pair
version: 1.2.0
description: Two programs, one after the other.
inputs:
  who: { type: string, default: world }
tasks:
  greet: { command: [echo, "hello {{ inputs.who }}"] }
  shout: { needs: [greet], command: [sh, -c, "echo '{{ tasks.greet.output }}' | tr a-z A-Z; echo beside >&2"] }
"#;

/// A project in which `pair` ran once, and the run's id.
fn ran() -> (Project, String) {
    let project = Project::with_flow(PAIR);
    let ran = project.ok(&["execute", "--workflow", "flow.yaml", "--input", "who=you", "--json"]);
    let run = ran.last()["run"].as_str().expect("an id").to_owned();
    (project, run)
}

#[test]
fn execute_prints_events_as_they_happen_and_the_result_last() {
    let project = Project::with_flow(PAIR);
    let ran = project.ok(&["execute", "--workflow", "flow.yaml", "--json"]);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    lines.iter().for_each(schemas::check);
    let result = lines.last().expect("a line");
    assert_eq!(result["schema"], "orchestrator.result/v1");
    assert_eq!(result["status"], "succeeded");
    assert_eq!(result["cost_usd"], "0");
    let run = result["run"].as_str().expect("an id");
    assert!(run.starts_with("r_"), "{run}");
    for event in &lines[..lines.len() - 1] {
        assert_eq!(event["schema"], "orchestrator.event/v1", "{event}");
        assert_eq!(event["run"], run, "{event}");
    }
    assert_eq!(ran.stderr, "", "talk beside the documents");
}

#[test]
fn execute_says_what_happens_where_nothing_can_be_redrawn() {
    let project = Project::with_flow(PAIR);
    let ran = project.ok(&["execute", "--workflow", "flow.yaml"]);
    for said in [
        "greet: started by command",
        "greet: succeeded in",
        "shout: succeeded in",
        "succeeded in",
        "orchestrator run-details r_",
    ] {
        assert!(ran.stderr.contains(said), "`{said}` in\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains('\x1b'), "{:?}", ran.stderr);
    assert_eq!(ran.stdout, "HELLO WORLD\n", "what the last task left is the data");
    assert_eq!(project.ok(&["execute", "--workflow", "flow.yaml", "-q"]).stderr, "");
}

#[test]
fn a_dry_run_plans_and_starts_nothing() {
    let project = Project::with_flow(PAIR);
    let plan =
        project.json(&["execute", "--workflow", "flow.yaml", "--dry-run", "--budget", "0.50"]);
    schemas::check(&plan);
    assert_eq!(plan["layers"], 2);
    assert_eq!(plan["budget_usd"], "0.5");
    assert_eq!(plan["calls_models"], false);
    assert_eq!(plan["items"][1]["needs"], json!(["greet"]));
    let shown = project.ok(&["execute", "--workflow", "flow.yaml", "--dry-run"]).stdout;
    assert!(shown.contains("$0: no model is called") && shown.contains("shout"), "{shown}");
    assert_eq!(project.json(&["list-runs"])["items"], json!([]));
}

#[test]
fn a_failed_run_exits_with_1_and_says_why() {
    let project = Project::with_flow(
        "name: bad\ntasks:\n  boom: { command: [sh, -c, \"echo no luck >&2; exit 3\"] }\n  after: { needs: [boom], command: [\"true\"] }\n",
    );
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(1);
    assert!(ran.stderr.contains("boom failed (tool_failed)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("after: skipped: `boom` did not succeed"), "{}", ran.stderr);
    let result = project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(1).last();
    assert_eq!(result["status"], "failed");
    assert_eq!(result["failure"]["class"], "tool_failed");
}

#[test]
fn audit_needs_no_model_and_prints_its_report() {
    let project = Project::new();
    project.write("src/main.py", "# TODO: say goodbye as well\nprint('hello')\n");
    let ran = project.ok(&["execute", "--task-type", "audit"]);
    assert!(ran.stdout.starts_with("# "), "{}", ran.stdout);
    assert!(ran.stdout.contains("say goodbye as well"), "{}", ran.stdout);
    assert!(ran.stderr.contains("succeeded in"), "{}", ran.stderr);
    let tasks = project.statuses("latest");
    assert_eq!(tasks.len(), 6, "{tasks:?}");
    assert!(tasks.iter().all(|(_, status)| status == "succeeded"), "{tasks:?}");
    let details = project.json(&["task-details", "security"]);
    let names: Vec<&str> = details["items"][0]["artifacts"]
        .as_array()
        .expect("artifacts")
        .iter()
        .filter_map(|made| made["name"].as_str())
        .collect();
    assert!(names.contains(&"report.sarif"), "{names:?}");
    let sarif = project.ok(&["task-details", "security", "--artifact", "report.sarif"]).stdout;
    let sarif: Value = serde_json::from_str(&sarif).expect("SARIF is JSON");
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn every_list_is_a_document_and_a_table() {
    let (project, run) = ran();
    for (list, column, holds) in [
        ("list-runs", "WORKFLOW", run.as_str()),
        ("list-tasks", "TRIES", "greet"),
        ("list-agents", "PROVIDER", "builtin-security"),
        ("list-templates", "WHAT IT DOES", "audit"),
    ] {
        let document = project.json(&[list]);
        schemas::check(&document);
        assert!(document["items"].as_array().is_some_and(|items| !items.is_empty()), "{list}");
        assert!(document["next"].is_null(), "{list}");
        let table = project.ok(&[list]).stdout;
        assert!(table.contains(column) && table.contains(holds), "{list}:\n{table}");
    }
}

#[test]
fn lists_are_filtered_and_paged() {
    let (project, run) = ran();
    project.write("other.yaml", "name: other\ntasks:\n  lone: { command: [\"false\"] }\n");
    project.run(&["execute", "--workflow", "other.yaml"]).expect(1);
    let check = |arguments: &[&str], expected: usize| {
        let found = project.json(arguments);
        assert_eq!(
            found["items"].as_array().map(Vec::len),
            Some(expected),
            "{arguments:?}\n{found}"
        );
    };
    check(&["list-runs"], 2);
    check(&["list-runs", "--status", "succeeded"], 1);
    check(&["list-runs", "--status", "succeeded,failed"], 2);
    check(&["list-runs", "--status", "interrupted"], 0);
    check(&["list-runs", "--search", "pair"], 1);
    check(&["list-runs", "--agent", "command"], 2);
    check(&["list-runs", "--since", "1h"], 2);
    check(&["list-runs", "--since", "2999-01-01"], 0);
    check(&["list-tasks"], 3);
    check(&["list-tasks", "--run", &run], 2);
    check(&["list-tasks", "--status", "failed"], 1);
    check(&["list-tasks", "--agent", "command", "--search", "gree"], 1);
    check(&["list-agents", "--search", "security"], 1);
    check(&["list-templates", "--search", "audit"], 2);

    let first = project.json(&["list-runs", "--limit", "1"]);
    assert_eq!(first["items"][0]["workflow"], "other", "newest first");
    let cursor = first["next"].as_str().expect("a cursor");
    let second = project.json(&["list-runs", "--limit", "1", "--cursor", cursor]);
    assert_eq!(second["items"][0]["id"], run);
}

#[test]
fn a_run_has_the_fields_of_the_contract() {
    let (project, run) = ran();
    let row = &project.json(&["list-runs"])["items"][0];
    for field in ["id", "workflow", "status", "parent", "cost_usd"] {
        assert!(row.get(field).is_some(), "{field} in {row}");
    }
    let row = &project.json(&["list-tasks"])["items"][0];
    for field in ["id", "name", "run", "status", "verified", "agent", "attempts", "cost_usd"] {
        assert!(row.get(field).is_some(), "{field} in {row}");
    }
    assert_eq!(row["id"], format!("{run}.greet"));
}

#[test]
fn details_and_status_show_one_thing() {
    let (project, run) = ran();
    for given in [run.as_str(), "latest", &run[..run.len() - 2]] {
        let details = project.json(&["run-details", given]);
        schemas::check(&details);
        assert_eq!(details["id"], run);
        assert_eq!(details["inputs"]["who"], "you");
        assert_eq!(project.json(&["status", given])["id"], run);
    }
    let sheet = project.ok(&["run-details", "latest"]).stdout;
    assert!(sheet.contains("pair 1.2.0") && sheet.contains("shout"), "{sheet}");
    for given in ["shout", &format!("{run}.shout")] {
        let task = project.json(&["task-details", given]);
        schemas::check(&task);
        assert_eq!(task["output"], "HELLO YOU", "{task}");
    }
    let sheet = project.ok(&["task-details", "shout", "--run", &run]).stdout;
    assert!(sheet.contains("HELLO YOU") && sheet.contains("Attempts"), "{sheet}");
    let agent = project.json(&["agent-details", "command"]);
    schemas::check(&agent);
    assert_eq!(agent["items"].as_array().map(Vec::len), Some(2));
    assert!(project.ok(&["agent-details", "builtin-pm"]).stdout.contains("pm"));
    let status = project.json(&["status"]);
    schemas::check(&status);
    assert_eq!(status["recent"][0]["id"], run);
    assert!(project.ok(&["status"]).stdout.contains("nothing runs"));
}

#[test]
fn logs_of_a_run_a_task_and_an_agent() {
    let (project, run) = ran();
    for (of, holds, lacks) in [
        (run.as_str(), "hello you", "never"),
        ("shout", "HELLO YOU", "hello you"),
        ("command", "beside", "never"),
    ] {
        let text = project.ok(&["logs", of]).stdout;
        assert!(text.contains(holds) && !text.contains(lacks), "{of}:\n{text}");
        let page = project.json(&["logs", of]);
        schemas::check(&page);
        let said = page["items"].as_array().expect("items");
        assert!(said.iter().any(|entry| entry["text"] == holds), "{page}");
    }
    // Following what has ended ends as well.
    assert!(project.ok(&["logs", "latest", "-f"]).stdout.contains("HELLO YOU"));
}

#[test]
fn logs_follow_a_run_of_another_process() {
    let project = Project::with_flow(
        "name: slow\ntasks:\n  wait: { command: [sh, -c, \"echo begun; until [ -e go ]; do sleep 0.02; done; echo done\"] }\n",
    );
    let mut execute = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    execute.until("a start", |event| event["type"] == "attempt-started");
    let mut follow = project.start(&["logs", "latest", "--follow"]);
    assert!(follow.line().is_some());
    project.write("go", "");
    assert!(follow.end().expect(0).stdout.contains("done"));
    execute.end().expect(0);
}

#[test]
fn export_is_one_file() {
    let (project, run) = ran();
    let whole: Value = serde_json::from_str(&project.ok(&["export", &run]).stdout).expect("JSON");
    schemas::check(&whole);
    assert!(whole.to_string().contains("HELLO YOU"));
    let said = project.ok(&["export", "latest", "--format", "csv", "--output", "run.csv"]);
    assert_eq!(said.stdout, "");
    let csv = project.read("run.csv");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.lines().next().is_some_and(|head| head.contains("status")), "{csv}");
}

#[test]
fn clean_removes_what_has_ended() {
    let (project, run) = ran();
    let would = project.json(&["clean", "--older-than", "0s", "--dry-run"]);
    schemas::check(&would);
    assert_eq!(would["runs"], json!([run]));
    assert_eq!(project.json(&["list-runs"])["items"].as_array().map(Vec::len), Some(1));
    assert!(project.ok(&["clean"]).stdout.contains("removed 0 runs"), "younger than 30 days");
    assert!(project.ok(&["clean", "--older-than", "0s", "--yes"]).stdout.contains("removed 1 run"));
    assert_eq!(project.json(&["list-runs"])["items"], json!([]));
}

#[test]
fn cost_reports_take_every_form() {
    let (project, _) = ran();
    for by in ["agent", "model", "provider", "task", "project", "day", "run"] {
        let report = project.json(&["cost-report", "--by", by, "--since", "1d"]);
        schemas::check(&report);
        assert_eq!(report["by"], by);
    }
    for (format, holds) in [
        ("table", "REQUESTS"),
        ("csv", "agent,runs,"),
        ("markdown", "| agent |"),
        ("json", "\"orchestrator.cost-report/v1\""),
    ] {
        let text = project.ok(&["cost-report", "--format", format]).stdout;
        assert!(text.contains(holds), "{format}:\n{text}");
    }
}

#[test]
fn init_doctor_and_config() {
    let project = Project::new();
    let done = project.json(&["init"]);
    schemas::check(&done);
    let config = project.read(".orchestrator/config.toml");
    assert!(config.contains('#'), "commented: {config}");
    assert!(project.read(".orchestrator/.gitignore").contains("state"), "the state is ignored");
    let refused = project.run(&["init"]).expect(2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(project.read(".orchestrator/config.toml"), config);
    project.ok(&["init", "--force"]);

    let doctor = project.json(&["doctor"]);
    schemas::check(&doctor);
    assert_eq!(doctor["ok"], true, "{doctor}");
    assert!(project.ok(&["doctor"]).stdout.contains("git"));

    project.ok(&["config", "set", "defaults.max-parallel", "7"]);
    assert_eq!(project.ok(&["config", "get", "defaults.max-parallel"]).stdout, "7\n");
    let shown = project.ok(&["config", "show", "--origin"]).stdout;
    assert!(shown.contains("config.toml"), "{shown}");
    project.ok(&["config", "set", "--user", "budget.usd-per-run", "2.50"]);
    let config = project.json(&["config", "show"]);
    schemas::check(&config);
    let layer = |key: &str| {
        let items = config["items"].as_array().expect("items");
        items.iter().find(|item| item["key"] == key).map(|item| item["layer"].clone())
    };
    assert_eq!(layer("defaults.max-parallel"), Some(json!("project")));
    assert_eq!(layer("budget.usd-per-run"), Some(json!("user")));
    // The environment stands above the files.
    let project = project.with("ORCHESTRATOR_DEFAULTS__MAX_PARALLEL", "3");
    assert_eq!(project.ok(&["config", "get", "defaults.max-parallel"]).stdout, "3\n");
}

#[test]
fn completions_for_every_shell() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.ok(&["completions", shell]).stdout;
        assert!(script.contains("cost-report"), "{shell}");
    }
}

#[test]
fn the_reference_is_what_clap_says() {
    let project = Project::new();
    let page = project.ok(&["markdown-help"]).stdout;
    for section in ["## `orchestrator execute`", "### `orchestrator config set`", "`--input K=V`"] {
        assert!(page.contains(section), "{section}");
    }
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
    let kept = std::fs::read_to_string(kept).expect("docs/cli.md");
    assert_eq!(kept, page, "run `cargo xtask cli-reference`");
}

#[test]
fn the_project_is_found_from_within_and_named_from_without() {
    let (project, run) = ran();
    std::fs::create_dir_all(project.path().join("deep/down")).expect("directories");
    let mut inside = project.command(&["status", "--json"]);
    let output = inside.current_dir(project.path().join("deep/down")).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&run));
    let elsewhere = Project::new();
    let path = project.path().to_str().expect("UTF-8");
    assert_eq!(elsewhere.json(&["--path", path, "run-details", "latest"])["id"], run);
}

#[test]
fn cancel_stops_a_run_of_another_process() {
    let project = Project::with_flow(
        "name: slow\ntasks:\n  wait: { command: [sleep, \"600\"] }\n  after: { needs: [wait], command: [\"true\"] }\n",
    );
    let mut execute = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    let started = execute.until("a start", |event| event["type"] == "attempt-started");
    let run = started["run"].as_str().expect("an id").to_owned();
    let done = project.json(&["cancel", &run, "--reason", "wrong branch"]);
    schemas::check(&done);
    let ran = execute.end().expect(3);
    assert_eq!(ran.last()["status"], "cancelled");
    assert_eq!(project.json(&["run-details", &run])["status"], "cancelled");
    assert!(project.ok(&["logs", &run]).stdout.contains("wrong branch"));
    let again = project.run(&["cancel", &run]).expect(2);
    assert!(again.stderr.contains("ORC-0605"), "{}", again.stderr);
}
