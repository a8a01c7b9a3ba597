//! Kill it at any moment: what was done is not done again, and the rest gets done.

use crate::harness::{Project, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fourteen tasks that leave a mark each time that they are run.
fn marks() -> String {
    let mut flow = String::from("name: marks\nmax-parallel: 3\ntasks:\n");
    let mut add = |name: String, needs: &str| {
        flow += &format!(
            "  {name}:\n    needs: [{needs}]\n    command: [sh, -c, \"echo {name} >> marks\"]\n"
        );
    };
    add("first".into(), "");
    for i in 0..6 {
        add(format!("left-{i}"), "first");
        add(format!("right-{i}"), &format!("left-{i}"));
    }
    add("last".into(), &(0..6).map(|i| format!("right-{i}")).collect::<Vec<_>>().join(", "));
    flow
}

/// How often each task was run.
fn counts(project: &Project) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for mark in project.read("marks").lines() {
        *counts.entry(mark.to_owned()).or_default() += 1;
    }
    counts
}

/// The task that `event` says has succeeded, and with which attempt.
fn succeeded(event: &Value) -> Option<(String, u64)> {
    let (task, attempt) = (event["task"].as_str()?, event["attempt"].as_u64()?);
    (event["type"] == "attempt-succeeded").then(|| (task.to_owned(), attempt))
}

/// Reads at most `lines` lines of events, then kills; the tasks that had durably ended by then.
fn kill_after(project: &Project, arguments: &[&str], lines: u64) -> BTreeMap<String, u64> {
    let mut running = project.start(arguments);
    let mut done = BTreeMap::new();
    for _ in 0..lines {
        let Some(line) = running.line() else { break };
        let event: Value = serde_json::from_str(&line).expect("a JSON line");
        done.extend(succeeded(&event));
    }
    running.kill();
    done
}

#[test]
fn kill_nine_at_random_moments_loses_nothing_and_repeats_nothing_that_ended() {
    let seed = std::process::id();
    println!("seed {seed}");
    let mut random = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: u64| {
        // Xorshift: enough to hit different moments.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for round in 0..10 {
        let project = Project::with_flow(&marks());
        let execute = ["execute", "--workflow", "flow.yaml", "--json"];
        let mut done = kill_after(&project, &execute, 1 + draw(28));
        let run = project.json(&["list-runs"])["items"][0].clone();
        let id = run["id"].as_str().expect("an id").to_owned();
        if run["status"] == "succeeded" {
            continue;
        }
        assert_eq!(run["status"], "interrupted", "round {round}");
        // Half of the time the resumed run is killed as well.
        if draw(2) == 0 {
            done.extend(kill_after(&project, &["resume", &id, "--json"], 1 + draw(12)));
        }
        if project.json(&["run-details", &id])["status"] == "interrupted" {
            let ran = project.ok(&["resume", &id, "--json"]);
            assert_eq!(ran.last()["status"], "succeeded", "round {round}");
        }
        let tasks = project.json(&["list-tasks", "--run", &id]);
        let tasks = tasks["items"].as_array().expect("items");
        let counts = counts(&project);
        assert_eq!((tasks.len(), counts.len()), (14, 14), "round {round}: {counts:?}");
        for task in tasks {
            let name = task["name"].as_str().expect("a name");
            assert_eq!(task["status"], "succeeded", "round {round}: {task}");
            // What was cut off may have left its mark; what had ended is not begun again.
            let attempts = task["attempts"].as_u64().expect("a number");
            assert!(counts[name] as u64 <= attempts, "round {round}: {task} left {counts:?}");
            if let Some(attempt) = done.get(name) {
                assert_eq!(attempts, *attempt, "round {round}: `{name}` had ended and ran again");
            }
        }
    }
}

#[test]
fn two_executes_at_once_in_one_project() {
    let project = Project::with_flow(&marks());
    let mut both: Vec<_> =
        (0..2).map(|_| project.start(&["execute", "--workflow", "flow.yaml", "--json"])).collect();
    let runs: BTreeSet<String> = both
        .iter_mut()
        .map(|running| running.end().expect(0).last()["run"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(counts(&project).values().all(|count| *count == 2));
    assert_eq!(
        project.json(&["list-runs", "--status", "succeeded"])["items"].as_array().map(Vec::len),
        Some(2)
    );
}

/// A task that waits for a file, before and after ones that leave marks.
const GATE: &str = r#"
name: gate
tasks:
  before: { command: [sh, -c, "echo before >> marks"] }
  wait: { needs: [before], command: [sh, -c, "until [ -e go ]; do sleep 0.02; done; echo wait >> marks"] }
  after: { needs: [wait], command: [sh, -c, "echo after >> marks"] }
"#;

#[test]
fn a_signal_interrupts_politely_and_resume_goes_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let project = Project::with_flow(GATE);
        let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
        running.until("the wait", |event| {
            event["type"] == "attempt-started" && event["task"] == "wait"
        });
        running.signal(signal);
        let ran = running.end().expect(130);
        assert_eq!(ran.last()["status"], "interrupted", "{signal:?}");
        let run = ran.last()["run"].as_str().expect("an id").to_owned();
        assert_eq!(project.json(&["run-details", &run])["status"], "interrupted");
        project.write("go", "");
        assert_eq!(project.ok(&["resume", "--json"]).last()["status"], "succeeded");
        let expected: BTreeMap<_, _> =
            ["before", "wait", "after"].map(|name| (name.to_owned(), 1)).into();
        assert_eq!(counts(&project), expected, "{signal:?}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let project = Project::with_flow(
        "name: stubborn\ntasks:\n  deaf: { command: [sh, -c, \"trap '' TERM INT HUP; echo $$ > pid; while :; do sleep 0.05; done\"] }\n",
    );
    let mut running = project.start(&["execute", "--workflow", "flow.yaml"]);
    let pid = eventually("the task", || project.read("pid").trim().parse().ok());
    running.signal(Signal::INT);
    running.until_said("once more to stop at once");
    running.signal(Signal::INT);
    let ran = running.end().expect(130);
    assert!(ran.stderr.contains("orchestrator resume r_"), "{}", ran.stderr);
    // Nothing that it started outlives it.
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    eventually("the end of the task", || {
        rustix::process::test_kill_process(pid).is_err().then_some(())
    });
}

#[test]
fn a_run_that_a_living_process_drives_is_not_taken_from_it() {
    let project = Project::with_flow(GATE);
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    let event = running.until("the wait", |event| event["task"] == "wait");
    let run = event["run"].as_str().expect("an id");
    let refused = project.run(&["resume", run]).expect(2);
    assert!(refused.stderr.contains("ORC-0606"), "{}", refused.stderr);
    assert_eq!(project.json(&["status"])["open"][0]["status"], "running");
    project.write("go", "");
    running.end().expect(0);
}

#[test]
fn nothing_to_resume_is_said() {
    let project = Project::with_flow("name: one\ntasks:\n  only: { command: [\"true\"] }\n");
    assert!(project.run(&["resume"]).expect(2).stderr.contains("ORC-0603"));
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert!(project.run(&["resume"]).expect(2).stderr.contains("ORC-0605"));
}
