//! A project of a user, an agent that works in it, and the engine that records and checks.

use async_trait::async_trait;
use orchestrator_core::{
    id::CommitId,
    port::{AttemptHost, Checked, LogLine, Progress},
    time::Timestamp,
    workspace::{CheckCommand, CheckParser, CheckSpec, ChecksPolicy, FindingKind, Verdict},
};
use orchestrator_workspace::{
    check::{CheckError, CheckOrder, CheckSettings, Checker, RecentBaselines, tool_homes},
    git::{Git, NewCommit, Repository, Scan},
    process::Environment,
    sandbox::{Off, Sandbox},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// Keeps what is logged; cancels once it is told to.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) stop_at: Option<&'static str>,
    pub(crate) stop: tokio::sync::Notify,
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        if self.stop_at.is_some_and(|stop| line.text.contains(stop)) {
            self.stop.notify_one();
        }
        self.lines.lock().unwrap().push(line.text);
    }

    fn progress(&self, _: Progress) {}

    async fn cancelled(&self) {
        self.stop.notified().await;
    }

    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

/// A repository with a fault in it, and the directory where an agent works on it.
pub(crate) struct Project {
    root: TempDir,
    pub(crate) base: CommitId,
    pub(crate) repository: Repository,
    pub(crate) policy: ChecksPolicy,
    baselines: Arc<RecentBaselines>,
}

/// A check of a shell line.
pub(crate) fn spec(line: &str, parser: CheckParser) -> CheckSpec {
    CheckSpec {
        name: line.to_owned(),
        command: CheckCommand::Shell(line.to_owned()),
        directory: None,
        timeout: None,
        parser,
        report: None,
        retries: 0,
        coverage: None,
    }
}

/// Every test is a file in `tests`; each may have many checks. The exit code is always 0.
const CHECK: &str = "n=0\ncheck() {\n  n=$((n + 1))\n  if [ \"$2\" = \"$3\" ]; then echo \"ok - $1\"; else echo \
                     \"not ok - $1\"; fi\n}\nfor t in tests/*.sh; do . \"./$t\"; done\necho \"1..$n\"\n";
pub(crate) const TEST: &str =
    ". ./lib/add.sh\ncheck one \"$(add 1 2)\" 3\ncheck zero \"$(add 0 0)\" 0\n";
pub(crate) const WRONG: &str = "add() { echo 0; }\n";
pub(crate) const RIGHT: &str = "add() { echo $(($1 + $2)); }\n";

pub(crate) const RUST_TEST: &str = "#[test]\nfn one() {\n    assert_eq!(sample::add(1, 2), 3);\n}\n\n\
                                    #[test]\nfn zero() {\n    assert_eq!(sample::add(0, 0), 0);\n}\n";
pub(crate) const RUST_WRONG: &str = "pub fn add(a: i32, _b: i32) -> i32 {\n    a\n}\n";
pub(crate) const RUST_RIGHT: &str = "pub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n";

impl Project {
    async fn new(files: &[(&str, &str)], run: Vec<CheckSpec>) -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["home", "user"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        let user = root.path().join("user");
        let git = |arguments: &[&str]| run_git(root.path(), &user, arguments);
        git(&["init", "-q", "-b", "main"]);
        for (path, content) in files {
            put(&user.join(path), content);
        }
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "base"]);
        let base = CommitId::new(git(&["rev-parse", "HEAD"]).trim()).unwrap();
        git(&["worktree", "add", "-q", "-b", "attempt", "../work"]);
        let environment = Environment::from_vars(std::env::vars_os(), &[])
            .with("HOME", root.path().join("home"))
            .with("GIT_CONFIG_NOSYSTEM", "1");
        let program = Git::find(environment).await.unwrap();
        let repository = Repository::discover(&program, &user).await.unwrap();
        let policy = ChecksPolicy { run, ..ChecksPolicy::default() };
        Self { root, base, repository, policy, baselines: Arc::default() }
    }

    /// Shell functions that tests source, checked through TAP.
    pub(crate) async fn shell() -> Self {
        let files = [
            ("lib/add.sh", WRONG),
            ("tests/add.sh", TEST),
            ("check.sh", CHECK),
            (".gitignore", "*.local\n"),
            ("README.md", "# Adds\n"),
        ];
        Self::new(&files, vec![spec("sh check.sh", CheckParser::Tap)]).await
    }

    /// A crate with its tests in `tests`, checked as most do: by the exit code.
    pub(crate) async fn rust() -> Self {
        let manifest = "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
        let files = [
            ("Cargo.toml", manifest),
            ("src/lib.rs", RUST_WRONG),
            ("tests/add.rs", RUST_TEST),
            (".gitignore", "target\n"),
        ];
        Self::new(&files, vec![spec("cargo test --offline", CheckParser::ExitCode)]).await
    }

    /// Where the agent works.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        put(&self.work().join(path), content);
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.work().join(path)).unwrap()
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.work().join(path)).unwrap();
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        std::os::unix::fs::symlink(target, self.work().join(path)).unwrap();
    }

    pub(crate) fn program(&self, path: &str, content: &str) {
        self.write(path, content);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.work().join(path), mode).unwrap();
    }

    /// Git as the agent runs it, in its workspace.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run_git(self.root.path(), &self.work(), arguments)
    }

    /// What the agent has made, recorded as the engine does it.
    pub(crate) async fn record(&self) -> CommitId {
        let index = self.root.path().join("index");
        let scan = Scan {
            directory: &self.work(),
            index: &index,
            base: &self.base,
            excludes: &[],
            max_size: 10 * 1024 * 1024,
            max_files: 10_000,
        };
        let tree = self.repository.tree_of(&scan).await.unwrap().tree;
        let parents = [self.base.clone()];
        let commit = NewCommit { tree: &tree, parents: &parents, message: "work", author: None };
        self.repository.commit_tree(commit).await.unwrap()
    }

    pub(crate) fn checker(&self) -> Checker {
        let named = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].map(str::to_owned);
        let environment = Environment::from_vars(std::env::vars_os(), &named);
        let home = std::env::home_dir().unwrap();
        let environment = tool_homes(&home, environment);
        let settings = CheckSettings::new(self.root.path().join("scratch"), environment);
        Checker::new(Arc::new(Off), settings, self.baselines.clone())
    }

    pub(crate) async fn check(&self) -> Checked {
        self.check_heard_by(&Host::default()).await.unwrap()
    }

    /// Checks `commit` in that sandbox, with those settings and nothing known of before.
    pub(crate) async fn check_with(
        &self,
        sandbox: Arc<dyn Sandbox>,
        settings: CheckSettings,
        commit: &CommitId,
    ) -> Result<Checked, CheckError> {
        let checker = Checker::new(sandbox, settings, Arc::new(RecentBaselines::default()));
        let order = CheckOrder { commit, base: &self.base, policy: &self.policy, setup: &[] };
        checker.check(&self.repository, order, &Host::default()).await
    }

    pub(crate) async fn check_heard_by(&self, host: &Host) -> Result<Checked, CheckError> {
        let commit = self.record().await;
        let order =
            CheckOrder { commit: &commit, base: &self.base, policy: &self.policy, setup: &[] };
        let checked = self.checker().check(&self.repository, order, host).await;
        // Nothing is left of the checkouts.
        let scratch = self.root.path().join("scratch");
        let left = fs::read_dir(scratch).map_or(0, Iterator::count);
        assert_eq!(left, 0, "checkouts are left");
        checked
    }

    #[track_caller]
    pub(crate) fn kinds(checked: &Checked) -> Vec<FindingKind> {
        checked.evidence.findings.iter().map(|finding| finding.kind).collect()
    }

    /// The agent's claim does not hold, and when `kind` is told that is found.
    pub(crate) async fn must_not_verify(&self, kind: Option<FindingKind>) -> Checked {
        let checked = self.check().await;
        let evidence = &checked.evidence;
        assert_ne!(evidence.verdict, Verdict::Verified, "{evidence:#?}");
        match kind {
            Some(kind) => assert!(
                evidence.findings.iter().any(|found| found.kind == kind && found.blocks),
                "{evidence:#?}"
            ),
            None => assert_eq!(evidence.verdict, Verdict::Failed, "{evidence:#?}"),
        }
        checked
    }

    pub(crate) async fn must_verify(&self) -> Checked {
        let checked = self.check().await;
        assert_eq!(checked.evidence.verdict, Verdict::Verified, "{:#?}", checked.evidence);
        checked
    }
}

fn put(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn run_git(root: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
        .args(arguments)
        .current_dir(directory)
        .env("HOME", root.join("home"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
