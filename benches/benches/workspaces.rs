//! Worktrees and checkpoints on a repository of 10,000 files, beside copying the same files.
//!
//! Nothing is removed while it is measured: ext4 passes over the inodes that were freed within the last
//! seconds one by one, and after a few trees of that size each new file costs ten times as much.

use async_trait::async_trait;
use orchestrator_benches::{Goal, Row, compare, rounds, scratch, since};
use orchestrator_core::{
    id::{RunId, TaskName},
    port::{AttemptHost, LogLine, Progress, WorkspaceOrder, Workspaces},
    time::Timestamp,
    workspace::{Opened, WorkspaceKind, WorkspacePolicy},
};
use orchestrator_workspace::{GitWorkspaces, git::Git, process::Environment, sandbox::Off};
use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Runtime, task::JoinSet};

const DIRECTORIES: usize = 100;
const FILES: usize = 100;
const AT_ONCE: usize = 20;

struct Nobody;

#[async_trait]
impl AttemptHost for Nobody {
    fn log(&self, _line: LogLine) {}

    fn progress(&self, _progress: Progress) {}

    async fn cancelled(&self) {
        std::future::pending().await
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

fn environment(home: &Path) -> Environment {
    Environment::from_vars(std::env::vars_os(), &[]).with("HOME", home)
}

fn git(project: &Path, home: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(project).env("HOME", home);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "b").env(format!("GIT_{role}_EMAIL"), "b@x");
    }
    assert!(command.status().expect("git runs").success(), "git {arguments:?}");
}

fn fill(project: &Path, home: &Path) {
    for directory in 0..DIRECTORIES {
        let directory = project.join(format!("d{directory}"));
        fs::create_dir_all(&directory).expect("a directory");
        for file in 0..FILES {
            let text = format!("line of {file}\n").repeat(100);
            fs::write(directory.join(format!("f{file}.txt")), text).expect("a file");
        }
    }
    git(project, home, &["init", "-q"]);
    git(project, home, &["add", "-A"]);
    git(project, home, &["commit", "-qm", "first"]);
}

struct Bench {
    runtime: Runtime,
    project: PathBuf,
    home: PathBuf,
    next: Cell<usize>,
}

impl Bench {
    /// Each with a state directory of its own, since what lies prepared is shared by all of one.
    fn workspaces(&self, name: &str, pool: usize) -> GitWorkspaces {
        let git = self.runtime.block_on(Git::find(environment(&self.home))).expect("git");
        let state = self.project.join(".orchestrator").join(name);
        GitWorkspaces::new(git, &state, Arc::new(Off)).pool(pool).pool_size(u64::MAX)
    }

    fn order(&self) -> WorkspaceOrder {
        self.next.set(self.next.get() + 1);
        let task = TaskName::new(format!("t{}", self.next.get())).expect("letters");
        let policy =
            WorkspacePolicy { kind: WorkspaceKind::Worktree, ..WorkspacePolicy::default() };
        let run = RunId::new("r_1").expect("letters");
        WorkspaceOrder::new(run, task, self.project.clone(), Arc::new(policy))
    }

    /// How long it takes until `count` places are ready, without preparing and closing them.
    fn open(&self, workspaces: &Arc<GitWorkspaces>, prepared: usize, count: usize) -> Duration {
        if prepared > 0 {
            self.runtime.block_on(workspaces.prepare(&self.project)).expect("prepared");
        }
        let orders: Vec<_> = (0..count).map(|_| self.order()).collect();
        let mut opened: Vec<(WorkspaceOrder, Opened)> = Vec::new();
        let took = since(|| {
            let mut opening = JoinSet::new();
            for order in orders {
                let workspaces = Arc::clone(workspaces);
                opening.spawn_on(
                    async move {
                        let opened = workspaces.open(&order, &Nobody).await.expect("it opens");
                        (order, opened)
                    },
                    self.runtime.handle(),
                );
            }
            opened = self.runtime.block_on(opening.join_all());
        });
        for (order, opened) in opened {
            self.runtime.block_on(workspaces.close(&order, &opened, true)).expect("it closes");
        }
        if prepared > 0 {
            // What is prepared beside attempts is no part of what is measured next.
            self.runtime.block_on(workspaces.prepare(&self.project)).expect("prepared");
        }
        took
    }

    /// How long it takes to open a place where another has left its files, and to close it so that it
    /// leaves them as well. In between ten files are changed and one is new.
    fn follow(&self, workspaces: &GitWorkspaces) -> (Duration, Duration) {
        let order = self.order();
        let mut opened = None;
        let opening = since(|| {
            opened = Some(self.runtime.block_on(workspaces.open(&order, &Nobody)).expect("opens"));
        });
        let mut opened = opened.expect("it was opened");
        for file in 0..10 {
            let path = opened.directory.join(format!("d{file}/f{file}.txt"));
            fs::write(path, "changed\n").expect("a file");
        }
        fs::write(opened.directory.join("new"), "new\n").expect("a file");
        // As if its programs had been confined: else nothing is left.
        opened.sandbox = "bench".into();
        let closing = since(|| {
            self.runtime.block_on(workspaces.close(&order, &opened, false)).expect("it closes");
        });
        let left = self.runtime.block_on(workspaces.prepared()).expect("a list");
        assert_eq!(left.len(), 1, "it leaves its files");
        (opening, closing)
    }
}

fn main() {
    let scratch = scratch();
    let (project, home) = (scratch.path().join("project"), scratch.path().join("home"));
    fs::create_dir_all(&project).expect("a directory");
    fs::create_dir_all(&home).expect("a directory");
    fill(&project, &home);
    let runtime = Runtime::new().expect("a runtime");
    let bench = Bench { runtime, project, home, next: Cell::new(0) };
    let cold = Arc::new(bench.workspaces("cold", 0));
    let one = Arc::new(bench.workspaces("one", 1));
    let warm = Arc::new(bench.workspaces("warm", AT_ONCE));
    let follow = bench.workspaces("follow", 1).pool_fills(false);
    let closing = Cell::new(Duration::ZERO);
    let order = bench.order();
    let opened = bench.runtime.block_on(cold.open(&order, &Nobody)).expect("it opens");
    let plain = opened.directory.clone();
    let copies = Cell::new(0);
    let copy = || {
        copies.set(copies.get() + 1);
        let target = scratch.path().join(format!("copy-{}", copies.get()));
        since(|| {
            let status = Command::new("cp").arg("-r").arg(&plain).arg(&target).status();
            assert!(status.expect("cp runs").success());
        })
    };
    let turn = Cell::new(0);
    let checkpoint = || {
        turn.set(turn.get() + 1);
        for file in 0..10 {
            let path = opened.directory.join(format!("d{file}/f{file}.txt"));
            fs::write(path, format!("turn {} of {file}\n", turn.get())).expect("a file");
        }
        since(|| {
            let recorded = bench.runtime.block_on(cold.checkpoint(&order, &opened, None));
            assert_eq!(recorded.expect("recorded").map(|point| point.files), Some(10));
        })
    };
    let rows = vec![
        Row::new("cp -r of the same files", copy),
        Row::new("a worktree, prepared", || bench.open(&one, 1, 1))
            .against("cp -r of the same files")
            .goal(Goal::Millis(200.0)),
        Row::new("a worktree, nothing prepared", || bench.open(&cold, 0, 1))
            .against("cp -r of the same files"),
        Row::new("a worktree of what another has left", || {
            let (opening, took) = bench.follow(&follow);
            closing.set(took);
            opening
        })
        .against("cp -r of the same files")
        .goal(Goal::Millis(200.0)),
        Row::new("closing it, its files are kept", || closing.get())
            .against("cp -r of the same files"),
        Row::new("20 worktrees at once, prepared", || bench.open(&warm, AT_ONCE, AT_ONCE))
            .against("cp -r of the same files")
            .goal(Goal::Millis(3_000.0)),
        Row::new("20 worktrees at once, nothing prepared", || bench.open(&cold, 0, AT_ONCE))
            .against("cp -r of the same files"),
        Row::new("a checkpoint of 10 changed files", checkpoint).goal(Goal::Millis(50.0)),
    ];
    compare("places of attempts, 10,000 files", rounds(5), rows);
}
