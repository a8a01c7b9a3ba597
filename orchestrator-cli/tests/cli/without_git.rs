//! A machine without git: what needs none works, and what needs it says so.

use crate::{
    harness::{Project, Ran},
    repository::commit_first,
    schemas,
};
use std::{fs, os::unix::fs::symlink, path::Path};

/// Runs the binary where `PATH` leads to a shell and not to git.
fn run(project: &Project, arguments: &[&str]) -> Ran {
    let bin = project.home().join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).expect("a directory");
        symlink("/bin/sh", bin.join("sh")).expect("a shell");
    }
    let output = project.command(arguments).env("PATH", &bin).output();
    Ran::of(output.expect("the binary runs"), arguments)
}

fn flow(kind: &str, script: &str) -> String {
    format!(
        "name: flow\ntasks:\n  build:\n    command: [sh, -c, {script:?}]\n    workspace: {kind}\n"
    )
}

#[test]
fn every_place_but_a_worktree_needs_no_git() {
    let project = Project::new();
    project.write("one.txt", "one\n");
    // All of it is what a shell does by itself.
    let reads = "read line < one.txt; echo \"found $line\"; echo more >> one.txt";
    for (kind, script, said) in [
        ("none", "[ -e one.txt ] || echo empty; echo mine > mine.txt", "empty"),
        ("copy", reads, "found one"),
        ("project", "read line < one.txt; echo \"found $line\"", "found one"),
    ] {
        project.write(".orchestrator/workflows/flow.yaml", &flow(kind, script));
        let ran = run(&project, &["execute", "--workflow", "flow", "--json"]).expect(0);
        assert_eq!(ran.last()["status"], "succeeded", "{kind}");
        let details = run(&project, &["task-details", "build", "--json"]).expect(0).last();
        assert_eq!(details["output"], said, "{kind}");
        assert_eq!(details["work"][0]["workspace"]["kind"], kind);
        run(&project, &["why", "build"]).expect(0);
    }
    assert_eq!(
        (project.read("one.txt"), project.read("mine.txt")),
        ("one\n".into(), String::new())
    );
    // Failed, the place of a copy is kept, and can be seen and removed.
    project.write(".orchestrator/workflows/flow.yaml", &flow("copy", "exit 3"));
    run(&project, &["execute", "--workflow", "flow", "--json"]).expect(1);
    let listed = run(&project, &["worktrees", "list", "--json"]).expect(0).last();
    let place = listed["items"][0]["directory"].as_str().expect("a path").to_owned();
    assert!(Path::new(&place).join("one.txt").exists());
    run(&project, &["worktrees", "clean", "--yes"]).expect(0);
    assert!(!Path::new(&place).exists());
    run(&project, &["clean", "--older-than", "0s", "--yes"]).expect(0);
}

#[test]
fn what_needs_git_says_what_to_do() {
    let project = Project::new();
    commit_first(&project, &[], &flow("worktree", "echo made > made.txt; exit 3"));
    project.run(&["execute", "--workflow", "flow", "--json"]).expect(1);
    let started = project.json(&["list-runs"])["items"].as_array().map(Vec::len);
    for arguments in [
        &["execute", "--workflow", "flow"][..],
        &["execute", "--workflow", "flow", "--dry-run"],
        &["land", "latest"],
        &["diff", "build"],
        &["restore", "build", "--branch", "x"],
        &["checkpoints", "build"],
        &["git", "status"],
    ] {
        let ran = run(&project, &[arguments, &["--json"]].concat()).expect(2);
        let problem = ran.problem();
        assert_eq!(problem["code"], "ORC-0704", "{arguments:?}");
        assert!(
            problem["title"].as_str().is_some_and(|text| text.contains("install it")),
            "{ran:?}"
        );
    }
    assert_eq!(project.json(&["list-runs"])["items"].as_array().map(Vec::len), started);

    let view = run(&project, &["doctor", "--json"]).last();
    schemas::check(&view);
    let git = view["items"].as_array().expect("items").iter().find(|item| item["name"] == "git");
    let git = git.expect("what is said of git");
    assert_eq!(git["code"], "ORC-0704");
    assert!(
        git["found"].as_str().is_some_and(|text| text.contains("workspace: worktree")),
        "{git}"
    );
    assert!(git["mend"].as_str().is_some_and(|text| text.contains("install git")), "{git}");

    // A worktree stays until it can be recorded.
    let listed = run(&project, &["worktrees", "list", "--json"]).expect(0).last();
    let place = listed["items"][0]["directory"].as_str().expect("a path").to_owned();
    let cleaned = run(&project, &["worktrees", "clean", "--yes", "--json"]).expect(1).last();
    let reason = cleaned["failed"][0]["reason"].as_str().expect("text");
    assert!(reason.contains("ORC-0704"), "{reason}");
    assert!(Path::new(&place).join("made.txt").exists());
    project.ok(&["worktrees", "clean", "--yes"]);
    assert!(!Path::new(&place).exists());
}
