//! Git for people and agents, on real repositories.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use orchestrator_core::workspace::{Change, ChangedFile};
use orchestrator_workspace::{
    git::{Git, GitError, Repository},
    process::Environment,
    tools::{GitTools, Hooks, NewMessage, ToolError},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

struct Room {
    root: TempDir,
}

impl Room {
    /// A repository `a` with one commit, a bare one `hub` that it is from, and another clone `b`.
    fn new() -> Self {
        let room = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(room.root.path().join("home")).unwrap();
        room.git(".", &["init", "-q", "--bare", "-b", "main", "hub"]);
        room.git(".", &["clone", "-q", "hub", "a"]);
        room.git("a", &["switch", "-q", "-c", "main"]);
        room.write("a/src/lib.rs", "fn one() {}\n");
        room.git("a", &["add", "-A"]);
        room.git("a", &["commit", "-q", "-m", "first"]);
        room.git("a", &["push", "-q", "-u", "origin", "main"]);
        room.git(".", &["clone", "-q", "hub", "b"]);
        room
    }

    fn place(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn git(&self, place: &str, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=U", "-c", "user.email=u@localhost"])
            .args(arguments)
            .current_dir(self.place(place))
            .env("HOME", self.place("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        write(&self.place(path), text);
    }

    fn id(&self, place: &str, name: &str) -> String {
        self.git(place, &["rev-parse", name]).trim().to_owned()
    }

    async fn tools(&self, place: &str, hooks: Hooks) -> GitTools {
        let environment = Environment::from_vars(std::env::vars_os(), &[]);
        let git = Git::find(environment.with("HOME", self.place("home"))).await.unwrap();
        GitTools::new(Repository::discover(&git, &self.place(place)).await.unwrap(), hooks)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn changed(change: Change, path: &str) -> ChangedFile {
    ChangedFile { path: path.into(), change, from: None }
}

#[tokio::test]
async fn a_status_tells_what_differs_and_where_from() {
    let room = Room::new();
    let tools = room.tools("a", Hooks::Off).await;
    let clean = tools.status().await.unwrap();
    assert!(clean.is_clean());
    assert_eq!(clean.commit.unwrap().as_str(), room.id("a", "HEAD"));
    assert_eq!(
        (clean.branch.as_deref(), clean.upstream.as_deref()),
        (Some("main"), Some("origin/main"))
    );
    room.write("a/two words.txt", "x\n");
    room.write("a/new/file", "x\n");
    room.write("a/src/lib.rs", "fn two() {}\n");
    room.git("a", &["add", "two words.txt"]);
    room.git("a", &["commit", "-q", "-m", "second"]);
    room.git("a", &["mv", "two words.txt", "three words.txt"]);
    let status = tools.status().await.unwrap();
    assert_eq!((status.ahead, status.behind), (1, 0));
    let renamed = ChangedFile {
        path: "three words.txt".into(),
        change: Change::Renamed,
        from: Some("two words.txt".into()),
    };
    assert_eq!(status.staged, [renamed]);
    assert_eq!(status.changed, [changed(Change::Modified, "src/lib.rs")]);
    assert_eq!(status.untracked, ["new/"]);
    assert!(!status.is_cut);
    let diff = tools.diff(false, &[], 10_000).await.unwrap();
    assert!(diff.text.contains("+fn two() {}") && !diff.is_cut, "{}", diff.text);
    let diff = tools.diff(true, &[], 10_000).await.unwrap();
    assert!(diff.text.contains("rename to three words.txt"), "{}", diff.text);
    let diff = tools.diff(false, &[], 40).await.unwrap();
    assert!(diff.is_cut && diff.text.len() <= 40);
}

#[tokio::test]
async fn conflicts_are_told_and_not_committed() {
    let room = Room::new();
    for (branch, text) in [("x", "fn x() {}\n"), ("y", "fn y() {}\n")] {
        room.git("a", &["switch", "-q", "-c", branch, "main"]);
        room.write("a/src/lib.rs", text);
        room.git("a", &["commit", "-q", "-a", "-m", branch]);
    }
    let place = room.place("a");
    let merge =
        Command::new("git").args(["merge", "-q", "x"]).current_dir(&place).output().unwrap();
    assert!(!merge.status.success());
    let tools = room.tools("a", Hooks::Off).await;
    let status = tools.status().await.unwrap();
    assert_eq!(
        (status.unfinished.as_deref(), &*status.conflicts),
        (Some("merge"), &["src/lib.rs".to_owned()][..])
    );
    let refused = tools.commit(NewMessage::Conventional, true).await.unwrap_err();
    assert!(matches!(refused, ToolError::Git(GitError::Unfinished { .. })), "{refused}");
    assert_eq!(room.id("a", "HEAD"), room.id("a", "y"));
}

#[tokio::test]
async fn a_commit_has_the_message_that_was_given_or_one_made_of_the_files() {
    let room = Room::new();
    let tools = room.tools("a", Hooks::Off).await;
    let nothing = tools.commit(NewMessage::Conventional, true).await.unwrap_err();
    assert!(matches!(nothing, ToolError::Nothing), "{nothing}");
    room.write("a/src/parser/lexer.rs", "x\n");
    room.write("a/left.txt", "x\n");
    room.git("a", &["add", "src"]);
    let made = tools.commit(NewMessage::Conventional, false).await.unwrap();
    assert_eq!(
        (made.message.trim(), made.branch.as_deref()),
        ("feat(parser): add lexer.rs", Some("main"))
    );
    assert_eq!(made.files, [changed(Change::Added, "src/parser/lexer.rs")]);
    assert_eq!(made.commit.as_str(), room.id("a", "HEAD"));
    assert_eq!(tools.status().await.unwrap().untracked, ["left.txt"]);
    let words =
        NewMessage::Written("```\ndocs: say more\n\nwhy\nReviewed-by: Me <m@e>\n```".into());
    let made = tools.commit(words, true).await.unwrap();
    assert_eq!(made.message.trim(), "docs: say more\n\nwhy");
    room.write("a/left.txt", "y\n");
    let empty = tools.commit(NewMessage::Given(" \n".into()), true).await.unwrap_err();
    assert!(matches!(empty, ToolError::NoWords), "{empty}");
    let given = NewMessage::Given("--amend\n\n# kept".into());
    assert_eq!(tools.commit(given, true).await.unwrap().message, "--amend\n\n# kept");
    let log = tools.log(None, 2).await.unwrap();
    let subjects: Vec<_> = log.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["--amend", "docs: say more"]);
}

#[tokio::test]
async fn hooks_run_only_where_they_are_allowed() {
    let room = Room::new();
    let hook = room.place("a/.git/hooks/pre-commit");
    write(&hook, "#!/bin/sh\ntouch ran\nexit 1\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    room.write("a/x.rs", "x\n");
    let made = room.tools("a", Hooks::Off).await.commit(NewMessage::Conventional, true).await;
    assert!(made.is_ok() && !room.place("a/ran").exists());
    room.write("a/y.rs", "y\n");
    let refused =
        room.tools("a", Hooks::Allowed).await.commit(NewMessage::Conventional, true).await;
    assert!(matches!(refused, Err(ToolError::Git(GitError::Failed { .. }))), "{refused:?}");
    assert!(room.place("a/ran").exists(), "it ran, and it refused");
}

#[tokio::test]
async fn branches_are_made_and_listed_and_never_moved() {
    let room = Room::new();
    let tools = room.tools("a", Hooks::Off).await;
    let made = tools.create_branch("topic/one", None).await.unwrap();
    assert_eq!((made.name.as_str(), made.commit.as_str()), ("topic/one", &*room.id("a", "main")));
    let there = tools.create_branch("topic/one", Some("main")).await.unwrap_err();
    assert!(matches!(there, ToolError::BranchExists(_)), "{there}");
    for bad in ["-d", "a b", "a..b", "x.lock", ""] {
        assert!(tools.create_branch(bad, None).await.is_err(), "{bad:?}");
    }
    let names = tools.branches().await.unwrap();
    let names: Vec<_> =
        names.iter().map(|branch| (branch.name.as_str(), branch.is_current)).collect();
    assert_eq!(names, [("main", true), ("topic/one", false)]);
}

#[tokio::test]
async fn pushes_and_pulls_go_forward_only() {
    let room = Room::new();
    let (a, b) = (room.tools("a", Hooks::Off).await, room.tools("b", Hooks::Off).await);
    room.write("a/x.rs", "x\n");
    let made = a.commit(NewMessage::Conventional, true).await.unwrap();
    let pushed = a.push(None, None).await.unwrap();
    assert_eq!(
        (pushed.remote.as_str(), &pushed.commit, pushed.was_there),
        ("origin", &made.commit, false)
    );
    assert_eq!(room.id("hub", "main"), made.commit.as_str());
    assert!(a.push(Some("origin"), Some("main")).await.unwrap().was_there);
    let pulled = b.pull(None).await.unwrap();
    assert_eq!((&pulled.after, &*room.id("b", "HEAD")), (&made.commit, made.commit.as_str()));
    assert!(room.place("b/x.rs").exists());
    assert_eq!(room.git("b", &["for-each-ref", "refs/orchestrator"]), "");
    assert_eq!(b.pull(None).await.unwrap().before, made.commit, "there is nothing new");
    // Both go on.
    for (place, tools) in [("a", &a), ("b", &b)] {
        room.write(&format!("{place}/{place}.rs"), "x\n");
        tools.commit(NewMessage::Conventional, true).await.unwrap();
    }
    a.push(None, None).await.unwrap();
    let hub = room.id("hub", "main");
    let refused = b.push(None, None).await.unwrap_err();
    assert!(matches!(refused, ToolError::Rejected { .. }), "{refused}");
    let refused = b.pull(None).await.unwrap_err();
    assert!(matches!(refused, ToolError::Diverged { .. }), "{refused}");
    assert_eq!(room.id("hub", "main"), hub);
    assert!(b.status().await.unwrap().is_clean());
}

#[tokio::test]
async fn only_remotes_that_are_set_up_are_reached() {
    let room = Room::new();
    let tools = room.tools("a", Hooks::Off).await;
    let hub = room.place("hub");
    for name in ["nowhere", "--force", hub.to_str().unwrap(), "ext::sh -c 'touch ran'"] {
        let refused = tools.push(Some(name), None).await.unwrap_err();
        assert!(matches!(refused, ToolError::NoRemote { .. }), "{name}: {refused}");
        assert!(refused.to_string().contains("origin"), "{refused}");
    }
    room.git("a", &["remote", "add", "evil", "ext::sh -c 'touch ran'"]);
    assert!(tools.pull(Some("evil")).await.is_err());
    assert!(!room.place("a/ran").exists());
    room.git("a", &["switch", "-q", "--detach"]);
    let refused = tools.push(Some("origin"), None).await.unwrap_err();
    assert!(matches!(refused, ToolError::Detached), "{refused}");
}
