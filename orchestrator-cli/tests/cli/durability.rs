//! Kill it at any moment: what was done is not done again, and the rest gets done.

use crate::harness::{Project, binary, eventually};
use orchestrator_testkit::process::{Failure, Product, fault, fault::Kind, kill, select};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

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

/// The program, and the directory in which what harms it is compiled.
fn victim() -> (Product, PathBuf) {
    (Product::new(binary()), Path::new(env!("CARGO_TARGET_TMPDIR")).join("prove"))
}

/// Fails with every failure of a proof, each with the command that repeats it.
fn expect_none(failures: &[Failure]) {
    let said = |failure: &Failure| format!("{}\nagain: prove {}", failure.broken, failure.again);
    assert!(failures.is_empty(), "{}", failures.iter().map(said).collect::<Vec<_>>().join("\n"));
}

/// The short form of `cargo xtask prove kill`.
#[test]
fn kill_nine_at_drawn_times_loses_nothing_and_repeats_nothing_that_ended() {
    let plan = kill::Plan {
        product: victim().0,
        flows: select(&[]).expect("all workflows"),
        rounds: 16,
        seed: 1,
        talks: false,
    };
    let (figures, failures) = kill::prove(&plan).expect("the workflows run undisturbed");
    expect_none(&failures);
    assert_eq!(figures.rounds, 16);
    assert!(figures.kills > 8 && figures.acknowledged > 100, "{figures:?}");
}

/// The short form of `cargo xtask prove disk|fsync|power`: some places of two workflows.
fn harm(kind: Kind, flows: &[&str], places: u64) {
    let (product, work) = victim();
    let plan = fault::Plan {
        product,
        kind,
        flows: select(&flows.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
            .expect("flows"),
        places: Some(places),
        only: None,
        lasts: None,
        seed: 1,
        work,
        talks: false,
    };
    let (figures, failures) = fault::prove(&plan).expect("the workflows run undisturbed");
    expect_none(&failures);
    // What ends together shares a commit, so a run may have fewer calls than the one that counted.
    assert!(2 * figures.faults >= places, "{figures:?}");
    assert!(figures.refused + figures.cut > 0 && figures.resumed > 0, "{figures:?}");
}

#[test]
fn a_full_disk_is_named_and_what_was_acknowledged_stays() {
    harm(Kind::Room, &["chain"], 5);
}

#[test]
fn a_failed_synchronisation_is_never_taken_for_one_that_worked() {
    harm(Kind::Sync, &["all"], 5);
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    harm(Kind::Power, &["nested"], 5);
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
