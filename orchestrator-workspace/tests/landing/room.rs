//! A real repository, agents' work in it, and checks that are really run.

use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    id::{AttemptNumber, CommitId, ProjectId, RunId, TaskName, TenantId},
    memory::{MemoryBlobs, MemoryLandings},
    port::{AttemptHost, Checked, Clock, LandRequest, Landings, LogLine, Progress, WorkspaceOrder},
    time::Timestamp,
    workspace::{
        CheckCommand, ChecksPolicy, LandMode, LandPolicy, Landing, LandingRow, LandingTarget,
        WorkspacePolicy,
    },
};
pub(crate) use orchestrator_testkit::landing_work::Unstopped as Host;
use orchestrator_testkit::landing_work::{self, Ran, checked};
use orchestrator_workspace::{
    git::{Checkout, Git, Repository},
    landing::{Lander, LanderParts, LandingSettings, Prove},
    process::Environment,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// What is done while a check runs.
type Meanwhile = Box<dyn Fn(usize) + Send + Sync>;

pub(crate) struct Room {
    root: TempDir,
    pub(crate) repository: Repository,
    pub(crate) landings: Arc<MemoryLandings>,
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) prove: Arc<Shell>,
    pub(crate) settings: LandingSettings,
}

/// Runs checks as they are, in a fresh checkout.
pub(crate) struct Shell {
    repository: Repository,
    scratch: PathBuf,
    /// What was checked: the commit, and the names of the checks.
    pub(crate) seen: Mutex<Vec<(CommitId, Vec<String>)>>,
    /// Each run of checks takes one permit.
    pub(crate) gate: Semaphore,
    pub(crate) meanwhile: Mutex<Option<Meanwhile>>,
}

pub(crate) struct Ticking(AtomicU64);

#[async_trait]
impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }

    async fn until(&self, _: Timestamp) {}
}

/// Says at once, or when it is told, that it is to stop.
#[derive(Default)]
pub(crate) struct Stopped(pub(crate) tokio::sync::Notify);

#[async_trait]
impl AttemptHost for Stopped {
    fn log(&self, _: LogLine) {}
    fn progress(&self, _: Progress) {}
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
    async fn cancelled(&self) {
        self.0.notified().await;
    }
}

impl Room {
    /// A repository with a library, a caller of it and a test, on the branch `main`.
    pub(crate) async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["home", "project", "scratch"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let project = root.path().join("project");
        let room = |arguments: &[&str]| git(root.path(), &project, arguments);
        room(&["init", "-q", "-b", "main"]);
        write(&project, "lib.sh", "greet() { echo \"hello $1\"; }\n");
        write(&project, "calls/first.sh", ". ./lib.sh\ngreet one\n");
        write(&project, "list.txt", "a\nb\nc\nd\ne\nf\ng\nh\n");
        write(&project, "test.sh", "for call in calls/*.sh; do sh -e \"$call\" || exit 1; done\n");
        room(&["add", "-A"]);
        room(&["commit", "-q", "-m", "first"]);
        let environment =
            Environment::from_vars(std::env::vars_os(), &[]).with("HOME", root.path().join("home"));
        let program = Git::find(environment).await.unwrap();
        let repository = Repository::discover(&program, &project).await.unwrap();
        let prove = Shell {
            repository: repository.clone(),
            scratch: root.path().join("scratch"),
            seen: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            meanwhile: Mutex::default(),
        };
        Self {
            root,
            repository,
            landings: Arc::default(),
            blobs: Arc::default(),
            prove: Arc::new(prove),
            settings: LandingSettings::default(),
        }
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.root.path(), &self.project(), arguments)
    }

    pub(crate) fn id(&self, name: &str) -> CommitId {
        CommitId::new(self.git(&["rev-parse", name]).trim()).unwrap()
    }

    /// The subjects of the commits of `name` that `main` does not have, oldest first.
    pub(crate) fn subjects(&self, name: &str) -> Vec<String> {
        let range = format!("main..{name}");
        let log = self.git(&["log", "--reverse", "--format=%s", "--first-parent", &range]);
        log.lines().map(str::to_owned).collect()
    }

    /// A commit on `base` in which these files are so, or, without text, are gone.
    pub(crate) fn work(
        &self,
        base: &str,
        message: &str,
        files: &[(&str, Option<&str>)],
    ) -> CommitId {
        let directory = tempfile::tempdir_in(self.root.path()).unwrap();
        let place = directory.path().join("tree");
        self.git(&["worktree", "add", "-q", "--detach", place.to_str().unwrap(), base]);
        let own = |arguments: &[&str]| git(self.root.path(), &place, arguments);
        for (path, text) in files {
            match text {
                Some(text) => write(&place, path, text),
                None => fs::remove_file(place.join(path)).unwrap(),
            }
        }
        own(&["add", "-A"]);
        own(&["-c", "user.name=Agent", "commit", "-q", "--allow-empty", "-m", message]);
        let id = CommitId::new(own(&["rev-parse", "HEAD"]).trim()).unwrap();
        self.git(&["worktree", "remove", "--force", place.to_str().unwrap()]);
        id
    }

    /// Work on `main` that adds a file.
    pub(crate) fn adds(&self, name: &str) -> CommitId {
        self.work("main", &format!("add {name}"), &[(name, Some("new\n"))])
    }

    pub(crate) fn lander(&self) -> Lander {
        Lander::new(LanderParts {
            repository: self.repository.clone(),
            landings: self.landings.clone(),
            blobs: self.blobs.clone(),
            clock: Arc::new(Ticking(AtomicU64::new(1))),
            prove: self.prove.clone(),
            locks: self.root.path().join("state/landing"),
            settings: self.settings.clone(),
        })
    }

    pub(crate) fn order(&self, task: &str) -> WorkspaceOrder {
        let (run, task) = (run("r_1"), TaskName::new(task).unwrap());
        let policy = Arc::new(WorkspacePolicy::default());
        WorkspaceOrder::new(run, task, self.project(), policy)
    }

    /// Waits until so many pieces of work are open for a branch.
    pub(crate) async fn until_open(&self, branch: &str, count: usize) -> Vec<LandingRow> {
        loop {
            let open = self.landings.waiting(&target(branch)).await.unwrap();
            if open.len() == count {
                return open;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What was checked: how many checks each time.
    pub(crate) fn checked(&self) -> Vec<CommitId> {
        self.prove.seen.lock().unwrap().iter().map(|(commit, _)| commit.clone()).collect()
    }

    /// Lands pieces of work that are all in the queue, in this order, before the first is checked.
    pub(crate) async fn land_together(
        &self,
        branch: &str,
        work: &[(&str, CommitId)],
    ) -> Vec<Result<Landing, Failure>> {
        let lander = Arc::new(self.lander());
        let before = self.landings.waiting(&target(branch)).await.unwrap().len();
        let lock = self.hold(branch);
        let mut waiting = Vec::new();
        for (number, (task, commit)) in work.iter().enumerate() {
            let (lander, order) = (Arc::clone(&lander), self.order(task));
            let request = request(commit, &self.base_of(commit), branch);
            waiting.push(tokio::spawn(async move { lander.land(&order, &request, &Host).await }));
            self.until_open(branch, before + number + 1).await;
        }
        drop(lock);
        let mut ended = Vec::new();
        for one in waiting {
            ended.push(one.await.unwrap());
        }
        ended
    }

    /// Holds the queue of a branch as another process would: by its lock.
    pub(crate) fn hold(&self, branch: &str) -> fs::File {
        let path = self.lander().lock_file(branch);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.try_lock().unwrap();
        file
    }

    pub(crate) fn base_of(&self, commit: &CommitId) -> CommitId {
        self.id(&format!("{commit}^"))
    }
}

#[async_trait]
impl Prove for Shell {
    async fn prove(
        &self,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
    ) -> Result<Checked, Failure> {
        let names = checks.run.iter().map(|check| check.name.clone()).collect();
        let number = {
            let mut seen = self.seen.lock().unwrap();
            seen.push((commit.clone(), names));
            seen.len()
        };
        self.gate.acquire().await.unwrap().forget();
        if let Some(meanwhile) = &*self.meanwhile.lock().unwrap() {
            meanwhile(number);
        }
        let place = tempfile::tempdir_in(&self.scratch).unwrap();
        let (directory, index) = (place.path().join("tree"), place.path().join("index"));
        fs::create_dir(&directory).unwrap();
        let wanted = Checkout { commit, directory: &directory, index: &index, sparse: &[] };
        self.repository.checkout(&wanted).await.unwrap();
        let mut ran = Vec::new();
        for check in &checks.run {
            let CheckCommand::Shell(line) = &check.command else { panic!("a line") };
            let mut shell = Command::new("sh");
            let output = shell.args(["-c", line]).current_dir(&directory).output().unwrap();
            ran.push(Ran {
                command: vec![line.clone()],
                code: output.status.code(),
                printed: [output.stdout, output.stderr].concat(),
            });
        }
        let tree = self.repository.tree(commit).await.unwrap();
        Ok(checked((commit, tree), base, &checks.run, &ran))
    }
}

pub(crate) fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

pub(crate) fn target(branch: &str) -> LandingTarget {
    LandingTarget {
        tenant: TenantId::default(),
        project: ProjectId::default(),
        branch: branch.into(),
    }
}

/// Work that is verified and has to pass `sh test.sh` on the branch.
pub(crate) fn request(commit: &CommitId, base: &CommitId, branch: &str) -> LandRequest {
    let policy = LandPolicy { target: Some(branch.into()), ..LandPolicy::default() };
    landing_work::request(commit.clone(), base.clone(), policy, "sh test.sh")
}

/// The same for a branch that is the user's own.
pub(crate) fn direct(commit: &CommitId, base: &CommitId, branch: &str) -> LandRequest {
    let mut request = request(commit, base, branch);
    request.policy.mode = LandMode::Direct;
    request
}

pub(crate) fn second(mut order: WorkspaceOrder) -> WorkspaceOrder {
    order.attempt = AttemptNumber(2);
    order
}

/// What a piece of work ended with, in a word.
pub(crate) fn word(ended: &Result<Landing, Failure>) -> &'static str {
    match ended {
        Ok(Landing::Landed(_)) => "landed",
        Ok(Landing::Requested(_)) => "requested",
        Ok(Landing::Conflict(_)) => "conflict",
        Ok(Landing::Red { .. }) => "red",
        Err(_) => "failed",
    }
}

pub(crate) fn write(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn git(root: &Path, directory: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=User", "-c", "user.email=user@localhost"];
    let output = Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(directory)
        .env("HOME", root.join("home"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
