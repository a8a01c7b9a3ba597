//! Places that somebody has moved, locked or removed by hand, in part or whole: they are found again,
//! mended or cleaned away, and what is somebody else's stays.

use crate::{
    harness::{Project, Ran, eventually},
    repository::{BUILD, belongings, commit_first, git, git_in, unchanged},
    schemas,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What is asked of the task besides, and where the run is afterwards.
const ONCE: &str = "    retry: { max-attempts: 1 }
  where: { command: [pwd], needs: [build] }
";
const BEGINS: &str = "echo begun > begun.txt\nwhile :; do sleep 0.05; done\n";
/// Says what it finds, and whether its git works.
const ENDS: &str = "ls\ngit status --porcelain && git log -1 --format=%s && echo \"git works\"\necho made > made.txt\n";

/// What is run in `directory`.
fn run_in(project: &Project, directory: &Path, arguments: &[&str]) -> Ran {
    let output = project.command(arguments).current_dir(directory).output();
    Ran::of(output.expect("the binary runs"), arguments)
}

/// A project whose process was killed while its agent worked, and the place of that.
fn cut_off() -> (Project, PathBuf) {
    let project = Project::new();
    project.write("one.txt", "one\n");
    commit_first(&project, &[("builder", BEGINS)], &format!("{BUILD}{ONCE}"));
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    let opened = running.until("a place", |event| event["type"] == "workspace-opened");
    let place = opened["opened"]["directory"].as_str().expect("a path");
    let place = PathBuf::from(place);
    eventually("the first file", || place.join("begun.txt").exists().then_some(()));
    running.kill();
    running.end();
    fs::write(project.home().join("builder.sh"), ENDS).expect("a program");
    (project, place)
}

/// Goes on with the run in `directory`, and gives what the agent said. All goes well.
fn resumed(project: &Project, directory: &Path) -> String {
    let result = run_in(project, directory, &["resume", "--json"]).expect(0).last();
    let items = result["items"].as_array().expect("tasks");
    let item = items.iter().find(|item| item["name"] == "build").expect("a task");
    assert_eq!((&item["verified"], &item["status"]), (&true.into(), &"succeeded".into()));
    let branch = result["landed"][0]["branch"].as_str().expect("a branch");
    assert_eq!(git_in(project, directory, &["show", &format!("{branch}:made.txt")]), "made");
    let output = |task: &str| {
        let arguments = ["task-details", task, "--json"];
        let details = run_in(project, directory, &arguments).expect(0).last();
        details["output"].as_str().expect("text").to_owned()
    };
    // Tasks without a place of their own are where the project is now, too.
    assert_eq!(output("where"), fs::canonicalize(directory).expect("a path").display().to_string());
    output("build")
}

fn linked(project: &Project, directory: &Path) -> usize {
    let listed = git_in(project, directory, &["worktree", "list", "--porcelain"]);
    listed.lines().filter(|line| line.starts_with("worktree ")).count() - 1
}

/// What git keeps of a worktree.
fn entry(project: &Project, place: &Path) -> PathBuf {
    project.path().join(".git/worktrees").join(place.file_name().expect("a name"))
}

fn moved(from: &Path, to: &Path) {
    // The one may be on another disk than the other.
    let ended = Command::new("mv").arg(from).arg(to).status().expect("mv");
    assert!(ended.success());
}

#[test]
fn what_git_keeps_of_a_place_was_removed() {
    let (project, place) = cut_off();
    let before = belongings(project.path(), &[]);
    for gone in [entry(&project, &place), project.path().join(".git/worktrees")] {
        assert!(gone.exists());
    }
    fs::remove_dir_all(entry(&project, &place)).expect("it can be removed");
    let said = resumed(&project, project.path());
    assert!(said.contains("begun.txt") && said.contains("git works"), "{said}");
    assert_eq!(linked(&project, project.path()), 0);
    unchanged(&before, &belongings(project.path(), &[]), "after the run");
}

#[test]
fn the_link_of_a_place_was_removed_or_leads_elsewhere() {
    for link in ["", "gitdir: /nowhere/at/all\n"] {
        let (project, place) = cut_off();
        let before = belongings(project.path(), &[]);
        fs::remove_file(place.join(".git")).expect("it can be removed");
        if !link.is_empty() {
            fs::write(place.join(".git"), link).expect("a file");
        }
        let said = resumed(&project, project.path());
        assert!(said.contains("begun.txt") && said.contains("git works"), "{said}");
        assert_eq!(linked(&project, project.path()), 0);
        unchanged(&before, &belongings(project.path(), &[]), "after the run");
    }
}

#[test]
fn a_place_was_removed_or_moved_away() {
    for to in [None, Some("away")] {
        let (project, place) = cut_off();
        let before = belongings(project.path(), &[]);
        let away = to.map(|to| project.home().join(to));
        match &away {
            Some(away) => moved(&place, away),
            None => fs::remove_dir_all(&place).expect("it can be removed"),
        }
        let said = resumed(&project, project.path());
        assert!(said.contains("one.txt") && said.contains("git works"), "{said}");
        assert!(!said.contains("begun.txt"), "it was never recorded: {said}");
        assert_eq!(linked(&project, project.path()), 0);
        project.ok(&["worktrees", "clean", "--yes"]);
        unchanged(&before, &belongings(project.path(), &[]), "after the run");
        if let Some(away) = away {
            let kept = fs::read_to_string(away.join("begun.txt")).expect("what was moved away");
            assert_eq!(kept, "begun\n");
        }
    }
}

#[test]
fn a_place_that_git_has_moved_is_whose_it_was_moved_by() {
    let (project, place) = cut_off();
    let before = belongings(project.path(), &[]);
    let away = project.home().join("mine");
    let text = |path: &Path| path.display().to_string();
    git(&project, &["worktree", "move", &text(&place), &text(&away)]);
    let said = resumed(&project, project.path());
    assert!(said.contains("one.txt") && said.contains("git works"), "{said}");
    project.ok(&["worktrees", "clean", "--yes"]);
    assert_eq!(linked(&project, project.path()), 1, "the one that was moved");
    assert_eq!(fs::read_to_string(away.join("begun.txt")).expect("a file"), "begun\n");
    assert!(git_in(&project, &away, &["status", "--porcelain"]).contains("begun.txt"));
    unchanged(&before, &belongings(project.path(), &[]), "after the run");
}

#[test]
fn the_project_was_moved_with_its_places() {
    let (project, _) = cut_off();
    let before = belongings(project.path(), &[]);
    let away = project.home().join("moved");
    moved(project.path(), &away);
    let listed = run_in(&project, &away, &["worktrees", "list", "--json"]).expect(0).last();
    assert_eq!(listed["items"][0]["state"], "orphan");
    let said = resumed(&project, &away);
    assert!(said.contains("begun.txt") && said.contains("git works"), "{said}");
    run_in(&project, &away, &["worktrees", "clean", "--yes"]).expect(0);
    assert_eq!(linked(&project, &away), 0);
    unchanged(&before, &belongings(&away, &[]), "after the run");
}

#[test]
fn a_copy_of_a_project_leaves_the_places_of_the_other_alone() {
    let (project, place) = cut_off();
    let copy = project.home().join("copy");
    let copied = Command::new("cp").arg("-a").arg(project.path()).arg(&copy).status();
    assert!(copied.expect("cp").success());
    let all = || {
        let mut all = belongings(project.path(), &[]);
        all.extend(belongings(&project.path().join(".git"), &[]));
        all.extend(belongings(&place, &[]));
        all
    };
    let before = all();
    let said = resumed(&project, &copy);
    assert!(said.contains("begun.txt") && said.contains("git works"), "{said}");
    run_in(&project, &copy, &["worktrees", "clean", "--yes"]).expect(0);
    assert_eq!(linked(&project, &copy), 0);
    unchanged(&before, &all(), "after the run of the copy");
    // The other goes on as if nothing had been.
    let said = resumed(&project, project.path());
    assert!(said.contains("begun.txt") && said.contains("git works"), "{said}");
    assert_eq!(linked(&project, project.path()), 0);
}

#[test]
fn a_place_that_somebody_has_locked_stays() {
    let (project, place) = cut_off();
    let path = place.display().to_string();
    git(&project, &["worktree", "lock", "--reason", "still looking", &path]);
    let before = belongings(project.path(), &[]);
    // Neither the end of the attempt nor cleaning takes it away.
    let said = resumed(&project, project.path());
    assert!(said.contains("begun.txt") && said.contains("git works"), "{said}");
    let listed = project.json(&["worktrees", "list"]);
    assert_eq!(listed["items"][0]["state"], "kept");
    let ran = project.run(&["worktrees", "clean", "--yes", "--json"]).expect(1);
    let cleaned = ran.last();
    schemas::check(&cleaned);
    assert_eq!(cleaned["removed"], Value::Array(Vec::new()));
    let reason = cleaned["failed"][0]["reason"].as_str().expect("text");
    assert!(reason.contains("still looking") && reason.contains("git worktree unlock"), "{reason}");
    assert_eq!(fs::read_to_string(place.join("begun.txt")).expect("a file"), "begun\n");
    git(&project, &["worktree", "unlock", &path]);
    project.ok(&["worktrees", "clean", "--yes"]);
    assert!(!place.exists());
    assert_eq!(linked(&project, project.path()), 0);
    unchanged(&before, &belongings(project.path(), &[]), "after the run");
}
