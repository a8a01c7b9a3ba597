//! Ctrl-C and its kin while agents work in worktrees: nothing is left running, and the run goes on later.

use crate::{
    harness::{Project, eventually},
    repository::{belongings, commit_first, git, unchanged},
};
use rustix::process::Signal;
use std::fs;

const FLOW: &str = "name: flow
defaults: { workspace: worktree, checks: [\"grep -q made made.txt\"], retry: { max-attempts: 1 } }
tasks:
  a: { agent: alpha, prompt: \"Build a.\" }
  b: { agent: beta, prompt: \"Build b.\" }
";
const ENDS: &str = "ls\necho made > made.txt\necho $0 > \"$(basename \"$0\").txt\"\n";

/// How many processes of a number that nobody else waits for there are.
fn sleepers(number: &str) -> usize {
    let all = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let wanted = format!("sleep\0{number}\0");
    lines.filter(|line| line == wanted.as_bytes()).count()
}

/// A project in which two agents work, each with three processes of its own, that end only when they
/// must if they are `stubborn`.
fn begun(number: &str, stubborn: bool) -> (Project, crate::harness::Running) {
    let trap = if stubborn { "trap '' INT TERM HUP\n" } else { "" };
    let script = format!(
        "{trap}echo begun > begun.txt\nsleep {number} &\nsetsid sleep {number} &\nsleep {number}\n\
         while :; do sleep {number}; done\n"
    );
    let project = Project::new();
    commit_first(&project, &[("alpha", &script), ("beta", &script)], FLOW);
    let running = project.start(&["execute", "--workflow", "flow"]);
    eventually("the programs", || (sleepers(number) == 6).then_some(()));
    (project, running)
}

/// The run goes on where it was and ends well.
fn goes_on(project: &Project) {
    for name in ["alpha", "beta"] {
        fs::write(project.home().join(format!("{name}.sh")), ENDS).expect("a program");
    }
    let result = project.run(&["resume", "--json"]).expect(0).last();
    assert_eq!(result["status"], "succeeded");
    for task in result["items"].as_array().expect("tasks") {
        assert_eq!(task["verified"], true, "{task}");
    }
    let branch = result["landed"][0]["branch"].as_str().expect("a branch");
    let files = git(project, &["ls-tree", "--name-only", branch]);
    for file in ["begun.txt", "alpha.sh.txt", "beta.sh.txt"] {
        assert!(files.contains(file), "{file} in {files}");
    }
    assert_eq!(project.json(&["worktrees", "list"])["items"], serde_json::json!([]));
    assert_eq!(git(project, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn one_signal_ends_every_process_and_the_run_goes_on_later() {
    for (place, signal) in [Signal::INT, Signal::TERM, Signal::HUP].into_iter().enumerate() {
        let number = format!("8{place}{}", std::process::id());
        let (project, mut running) = begun(&number, false);
        let before = belongings(project.path(), &[]);
        running.signal(signal);
        let ran = running.end().expect(130);
        assert!(ran.stderr.contains("orchestrator resume r_"), "{}", ran.stderr);
        eventually("their end", || (sleepers(&number) == 0).then_some(()));
        let listed = project.json(&["worktrees", "list"]);
        let states = listed["items"].as_array().expect("places");
        assert_eq!(states.len(), 2, "{listed}");
        assert!(states.iter().all(|place| place["state"] != "in use"), "{listed}");
        goes_on(&project);
        unchanged(&before, &belongings(project.path(), &[]), "after the run");
    }
}

#[test]
fn a_second_signal_ends_what_does_not_want_to() {
    let number = format!("83{}", std::process::id());
    let (project, mut running) = begun(&number, true);
    let before = belongings(project.path(), &[]);
    running.signal(Signal::INT);
    running.until_said("once more to stop at once");
    assert!(sleepers(&number) > 0, "they do not end because they are asked to");
    running.signal(Signal::INT);
    let ran = running.end().expect(130);
    assert!(ran.stderr.contains("orchestrator resume r_"), "{}", ran.stderr);
    eventually("their end", || (sleepers(&number) == 0).then_some(()));
    goes_on(&project);
    unchanged(&before, &belongings(project.path(), &[]), "after the run");
}
