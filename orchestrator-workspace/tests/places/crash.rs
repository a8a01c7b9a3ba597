//! Processes that die at any moment, and several that work at once.

use crate::support::{Host, Project, files, order, workspaces, worktree, write};
use orchestrator_core::{
    id::{AttemptNumber, TurnNumber},
    port::{Start, Workspaces},
};
use orchestrator_workspace::worktree::Place;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const ALONE: &str = "ORCHESTRATOR_TEST_ALONE";

/// Runs this test's other part in a process of its own.
fn alone(name: &str, root: &Path, argument: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("crash::{name}"), "--exact", "--test-threads=1"])
        .env(ALONE, root)
        .env("ORCHESTRATOR_TEST_ARGUMENT", argument)
        .arg("--nocapture")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn part() -> Option<(PathBuf, String)> {
    let root = std::env::var_os(ALONE)?.into();
    Some((root, std::env::var("ORCHESTRATOR_TEST_ARGUMENT").unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_any_moment_leaves_what_the_next_finds() {
    killed_at_any_moment("a_process_killed_at_any_moment_leaves_what_the_next_finds", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_leave_half_of_what_lies_prepared() {
    killed_at_any_moment("nor_does_it_leave_half_of_what_lies_prepared", 1).await;
}

/// With so many directories that lie prepared.
async fn killed_at_any_moment(name: &str, pool: usize) {
    if let Some((root, micros)) = part() {
        let micros = micros.parse().unwrap();
        let project = root.join("project");
        let workspaces = workspaces(&project, &root.join("home")).await.pool(pool);
        let order = order(&project, "build", worktree());
        std::thread::spawn(move || {
            let since = Instant::now();
            while since.elapsed() < Duration::from_micros(micros) {
                std::hint::spin_loop();
            }
            let _ = kill_process(getpid(), Signal::KILL);
        });
        loop {
            let mut opened = workspaces.open(&order, &Host::default()).await.unwrap();
            // So that its files are kept.
            opened.sandbox = "namespaces".into();
            for turn in 1..4 {
                write(&opened.directory, "work", turn.to_string());
                workspaces.checkpoint(&order, &opened, Some(TurnNumber(turn))).await.unwrap();
            }
            workspaces.snapshot(&order, &opened, "x").await.unwrap();
            workspaces.close(&order, &opened, false).await.unwrap();
        }
    }
    let project = Project::new();
    let before = project.belongings();
    let root = fs::canonicalize(project.root()).unwrap();
    let stranger = project.state().join("worktrees/mine");
    write(&stranger, "file", "mine");
    // One way from open to close takes some tenths of a second.
    for step in 0..16 {
        let micros = step * 13_000;
        let status = alone(name, &root, &micros.to_string()).wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{micros} us: it ended early");
        let recorded =
            project.git(&["for-each-ref", "--format=%(objectname)", "refs/orchestrator"]);
        let workspaces = project.workspaces().await.pool(pool).pool_fills(false);
        let recovered = workspaces.recover().await.unwrap();
        assert_eq!(recovered.failed, [], "{micros} us");
        let mut again = project.order("build", worktree());
        // Where an attempt has worked already its place is as it was, else it is made anew.
        if let Ok((_, opened)) = workspaces.find(&again.run, &again.task, again.attempt) {
            again.attempt = AttemptNumber(2);
            again.start = Start::Resume(opened);
        }
        let opened = workspaces.open(&again, &Host::default()).await.unwrap();
        let mut there = files(&opened.directory);
        there.remove(Path::new("work"));
        assert_eq!(there, files(&project.directory), "{micros} us");
        write(&opened.directory, "work", format!("after {micros}"));
        let point = workspaces.checkpoint(&again, &opened, None).await.unwrap().unwrap();
        let work = project.git(&["cat-file", "-p", &format!("{}:work", point.commit)]);
        assert_eq!(work, format!("after {micros}"));
        // What was recorded stays recorded.
        for commit in recorded.lines() {
            project.git(&["cat-file", "-e", commit]);
        }
        workspaces.snapshot(&again, &opened, "x").await.unwrap().unwrap();
        workspaces.close(&again, &opened, false).await.unwrap();
        assert_eq!(workspaces.list().await.unwrap(), []);
        let worktrees = project.git(&["worktree", "list", "--porcelain"]);
        assert_eq!(worktrees.matches("worktree ").count(), 1, "{worktrees}");
        assert_eq!(project.belongings(), before);
        assert_eq!(fs::read_to_string(stranger.join("file")).unwrap(), "mine");
    }
    project.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn several_processes_open_places_at_once() {
    const NAME: &str = "several_processes_open_places_at_once";
    if let Some((root, number)) = part() {
        let project = root.join("project");
        let workspaces = workspaces(&project, &root.join("home")).await.pool(6);
        let mut policy = worktree();
        policy.ports = 3;
        let (mut holding, mut ports) = (Vec::new(), String::new());
        for task in ["a", "b", "c"] {
            let order = order(&project, &format!("{task}{number}"), policy.clone());
            let opened = workspaces.open(&order, &Host::default()).await.unwrap();
            write(&opened.directory, "work", &number);
            workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
            ports.push_str(&format!("{} ", opened.environment["ORCHESTRATOR_PORTS"]));
            holding.push(opened);
        }
        fs::write(root.join(format!("ports{number}")), ports).unwrap();
        // All are there at once: none lets go before each has what it needs.
        while (0..4).any(|other| !root.join(format!("ports{other}")).exists()) {
            assert!(!root.join("failed").exists(), "another has failed");
            tokio::task::yield_now().await;
        }
        return;
    }
    let project = Project::new();
    let before = project.belongings();
    let root = fs::canonicalize(project.root()).unwrap();
    // Half of them find something prepared.
    project.workspaces().await.pool(6).prepare(&project.directory).await.unwrap();
    let mut children: Vec<_> =
        (0..4).map(|number| alone(NAME, &root, &number.to_string())).collect();
    let mut left: Vec<&mut Child> = children.iter_mut().collect();
    while !left.is_empty() {
        let ended = left.extract_if(.., |child| child.try_wait().unwrap().is_some());
        for child in ended {
            let status = child.wait().unwrap();
            if !status.success() {
                fs::write(root.join("failed"), "").unwrap();
            }
            assert!(status.success(), "a process failed");
        }
        tokio::task::yield_now().await;
    }
    let mut ports: Vec<String> = Vec::new();
    for number in 0..4 {
        let text = fs::read_to_string(root.join(format!("ports{number}"))).unwrap();
        ports.extend(text.split_whitespace().map(str::to_owned));
    }
    assert_eq!(ports.len(), 36);
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 36, "two attempts share a port");
    let workspaces = project.workspaces().await;
    let places = workspaces.list().await.unwrap();
    assert_eq!(places.len(), 12);
    let of = |place: &Place| fs::metadata(place.directory.join("README.md")).unwrap().ino();
    let inodes: BTreeSet<u64> = places.iter().map(of).collect();
    assert_eq!(inodes.len(), 12, "two have the same files");
    assert_eq!(project.git(&["for-each-ref", "refs/orchestrator"]).lines().count(), 12);
    assert_eq!(project.belongings(), before);
}
