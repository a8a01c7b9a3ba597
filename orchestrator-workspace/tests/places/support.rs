//! Real repositories, and what the user has in them.

use async_trait::async_trait;
use orchestrator_core::{
    id::{CommitId, RunId, TaskName},
    port::{AttemptHost, LogLine, Progress, WorkspaceOrder},
    time::Timestamp,
    workspace::{WorkspaceKind, WorkspacePolicy},
};
use orchestrator_workspace::{
    GitWorkspaces,
    git::{Git, Repository},
    process::Environment,
    sandbox::{Confinement, Off},
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// A repository of a user, with a home of its own.
pub(crate) struct Project {
    root: TempDir,
    pub(crate) directory: PathBuf,
}

impl Project {
    /// A repository without a commit.
    pub(crate) fn unborn() -> Self {
        Self::named("project")
    }

    /// The same, in a directory of this name.
    pub(crate) fn named(name: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        let project = Self { root, directory };
        project.git(&["init", "-q", "-b", "main"]);
        project
    }

    /// A repository with a few files and one commit.
    pub(crate) fn new() -> Self {
        Self::unborn().filled()
    }

    pub(crate) fn filled(self) -> Self {
        self.write("README.md", "hello\n");
        self.write("src/main.rs", "fn main() {}\n");
        self.write("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n");
        self.write(".gitignore", "target\n*.log\n");
        self.commit("first");
        self
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        write(&self.directory, path, content);
    }

    /// Runs git as the user does, and gives what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.home(), &self.directory, arguments)
    }

    pub(crate) fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.id("HEAD")
    }

    pub(crate) fn id(&self, name: &str) -> CommitId {
        CommitId::new(self.git(&["rev-parse", name]).trim()).unwrap()
    }

    pub(crate) fn environment(&self) -> Environment {
        environment(&self.home())
    }

    pub(crate) async fn program(&self) -> Git {
        Git::find(self.environment()).await.unwrap()
    }

    pub(crate) async fn open(&self) -> Repository {
        Repository::discover(&self.program().await, &self.directory).await.unwrap()
    }

    /// All that is the user's: it must be the same afterwards.
    pub(crate) fn belongings(&self) -> Belongings {
        let git_dir = self.git(&["rev-parse", "--absolute-git-dir"]);
        let git_dir = PathBuf::from(git_dir.trim_end());
        let refs = self.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        let is_users = |line: &&str| {
            !line.starts_with("refs/heads/orchestrator/") && !line.starts_with("refs/orchestrator/")
        };
        Belongings {
            refs: refs.lines().filter(is_users).map(str::to_owned).collect(),
            head: fs::read_to_string(git_dir.join("HEAD")).unwrap(),
            index: fs::read(git_dir.join("index")).ok(),
            config: fs::read(git_dir.join("config")).unwrap(),
            stash: self.git(&["stash", "list"]),
            files: files(&self.directory),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Belongings {
    refs: Vec<String>,
    head: String,
    index: Option<Vec<u8>>,
    config: Vec<u8>,
    stash: String,
    files: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

pub(crate) fn environment(home: &Path) -> Environment {
    let offered = std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "TMPDIR");
    Environment::from_vars(offered, &[]).with("HOME", home)
}

pub(crate) fn write(directory: &Path, path: &str, content: impl AsRef<[u8]>) {
    let file = directory.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// Runs git as a person or an agent would who is at home at `home`.
pub(crate) fn git(home: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = command(home, directory, arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn command(home: &Path, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    let path = std::env::var_os("PATH").unwrap();
    command.args(arguments).current_dir(directory).env_clear().env("PATH", path).env("HOME", home);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "User").env(format!("GIT_{role}_EMAIL"), "u@x");
    }
    command
}

/// Every file of a directory with its mode and content, without `.git` and the state directory.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(directory).unwrap().to_owned();
            if below.ends_with(".git") || below.ends_with(".orchestrator") {
                continue;
            }
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                left.push(path);
            } else if meta.is_symlink() {
                use std::os::unix::ffi::OsStrExt;
                let to = fs::read_link(&path).unwrap();
                found.insert(below, (0o120000, to.as_os_str().as_bytes().to_vec()));
            } else if meta.is_file() {
                found.insert(below, (meta.mode() & 0o100, fs::read(&path).unwrap()));
            }
        }
    }
    found
}

pub(crate) fn executable(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// An engine that wants nothing and keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) lines: Mutex<Vec<String>>,
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        self.lines.lock().unwrap().push(line.text);
    }

    fn progress(&self, _progress: Progress) {}

    async fn cancelled(&self) {
        std::future::pending().await
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

impl Project {
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.join(".orchestrator/state")
    }

    pub(crate) async fn workspaces(&self) -> GitWorkspaces {
        workspaces(&self.directory, &self.home()).await
    }

    pub(crate) fn order(&self, task: &str, policy: WorkspacePolicy) -> WorkspaceOrder {
        order(&self.directory, task, policy)
    }
}

pub(crate) async fn workspaces(project: &Path, home: &Path) -> GitWorkspaces {
    let git = Git::find(environment(home)).await.unwrap();
    let state = project.join(".orchestrator/state");
    GitWorkspaces::new(git, &state, Arc::new(Off))
        .commands(Confinement::default(), environment(home))
        .pool(0)
}

pub(crate) fn order(project: &Path, task: &str, policy: WorkspacePolicy) -> WorkspaceOrder {
    let task = TaskName::new(task).unwrap();
    WorkspaceOrder::new(RunId::new("r_1").unwrap(), task, project.to_owned(), Arc::new(policy))
}

pub(crate) fn worktree() -> WorkspacePolicy {
    WorkspacePolicy { kind: WorkspaceKind::Worktree, ..WorkspacePolicy::default() }
}
