//! What cannot be used says why, and what is odd works; nothing of the user's changes.

use crate::support::{Host, Project, environment, git, worktree};
use orchestrator_core::{error::ErrorClass, port::Workspaces};
use orchestrator_workspace::{
    GitWorkspaces,
    git::{Git, GitError, Operation, Repository},
    sandbox::Off,
};
use std::{fs, os::unix::fs::chown, path::Path};

async fn refused(home: &Path, directory: &Path) -> GitError {
    let program = Git::find(environment(home)).await.unwrap();
    let error = Repository::discover(&program, directory).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidRequest, "{error}");
    error
}

#[tokio::test]
async fn what_is_no_repository_says_so() {
    let project = Project::new();
    let before = project.belongings();
    let plain = project.root().join("plain");
    fs::create_dir(&plain).unwrap();
    let error = refused(&project.home(), &plain).await;
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    assert!(error.to_string().contains("git init"));
    let error = refused(&project.home(), &project.root().join("gone")).await;
    assert!(matches!(error, GitError::NoDirectory { .. }), "{error}");
    let error = refused(&project.home(), &project.directory.join(".git")).await;
    assert!(matches!(error, GitError::Inside { .. }), "{error}");
    assert_eq!(project.belongings(), before);
}

#[tokio::test]
async fn a_bare_repository_is_refused() {
    let project = Project::new();
    let bare = project.root().join("bare.git");
    git(&project.home(), project.root(), &["clone", "-q", "--bare", "project", "bare.git"]);
    let error = refused(&project.home(), &bare).await;
    assert!(matches!(error, GitError::Bare { .. }), "{error}");
}

#[tokio::test]
async fn what_another_user_owns_is_not_trusted() {
    let project = Project::new();
    let program = if rustix::process::geteuid().is_root() {
        for path in [project.directory.clone(), project.directory.join(".git")] {
            chown(path, Some(4_242), None).unwrap();
        }
        project.program().await
    } else {
        // Git's own switch to see what it does then.
        let environment = project.environment().with("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
        Git::find(environment).await.unwrap()
    };
    let error = Repository::discover(&program, &project.directory).await.unwrap_err();
    assert!(matches!(error, GitError::ForeignOwner { .. }), "{error}");
    assert!(error.to_string().contains("safe.directory"));
    let config = format!("[safe]\ndirectory = {}\n", project.directory.display());
    fs::write(project.home().join(".gitconfig"), config).unwrap();
    Repository::discover(&program, &project.directory).await.unwrap();
}

#[tokio::test]
async fn a_git_that_is_not_there_or_too_old_says_so() {
    let project = Project::new();
    let path = project.root().join("bin");
    fs::create_dir(&path).unwrap();
    let environment = project.environment().with("PATH", &path);
    let error = Git::find(environment.clone()).await.unwrap_err();
    assert!(matches!(error, GitError::NotInstalled { .. }), "{error}");
    fs::write(path.join("git"), "#!/bin/sh\necho git version 2.20.1\n").unwrap();
    crate::support::executable(&path.join("git"));
    let error = Git::find(environment).await.unwrap_err();
    assert!(matches!(error, GitError::TooOld { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_finished_or_locked_is_seen() {
    let project = Project::new();
    let repository = project.open().await;
    repository.check_idle().unwrap();
    let lock = project.directory.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    assert!(matches!(repository.check_idle(), Err(GitError::Locked { path }) if path == lock));
    fs::remove_file(lock).unwrap();
    let base = project.id("HEAD");
    project.write("README.md", "ours\n");
    project.commit("ours");
    project.git(&["checkout", "-q", "-b", "theirs", base.as_ref()]);
    project.write("README.md", "theirs\n");
    project.commit("theirs");
    let merge = ["merge", "-q", "main"];
    assert!(
        !crate::support::command(&project.home(), &project.directory, &merge)
            .output()
            .unwrap()
            .status
            .success()
    );
    assert_eq!(repository.operation(), Some(Operation::Merge));
    assert!(matches!(repository.check_idle(), Err(GitError::Unfinished { .. })));
}

#[tokio::test]
async fn a_locked_ref_is_an_error_that_names_the_lock() {
    let project = Project::new();
    let (repository, id) = (project.open().await, project.id("HEAD"));
    let dir = project.directory.join(".git/refs/orchestrator");
    fs::create_dir_all(&dir).unwrap();
    let lock = dir.join("x.lock");
    fs::write(&lock, "").unwrap();
    let error =
        repository.update_ref("refs/orchestrator/x", Some(&id), None, "x").await.unwrap_err();
    assert!(matches!(&error, GitError::Locked { path } if path.ends_with("x.lock")), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[tokio::test]
async fn names_with_lines_and_options_are_names() {
    for name in ["-x", "two\nlines", "a 'b' \"c\"", "ümläut"] {
        let project = Project::named(name).filled();
        let repository = project.open().await;
        assert_eq!(repository.top(), fs::canonicalize(&project.directory).unwrap());
        assert_eq!(repository.head_commit().await.unwrap(), project.id("HEAD"));
    }
}

/// Opens a place, works there and closes it: all of it goes well, and the user has what was there.
async fn works(project: &Project) {
    let before = project.belongings();
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = workspaces.open(&order, &Host::default()).await.unwrap();
    assert_eq!(opened.base, Some(project.id("HEAD")));
    crate::support::write(&opened.directory, "made", "1");
    workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    let made = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!(made.files.len(), 1);
    workspaces.close(&order, &opened, false).await.unwrap();
    assert_eq!(project.belongings(), before);
}

async fn is_refused(project: &Project, workspaces: GitWorkspaces, because: &str) -> ErrorClass {
    let before = project.belongings();
    let order = project.order("build", worktree());
    let failure = workspaces.open(&order, &Host::default()).await.unwrap_err();
    assert!(failure.message.contains(because), "{failure}");
    assert_eq!(project.belongings(), before);
    failure.class
}

fn merge(project: &Project) {
    let base = project.id("HEAD");
    project.write("README.md", "ours\n");
    project.commit("ours");
    project.git(&["checkout", "-q", "-b", "theirs", base.as_ref()]);
    project.write("README.md", "theirs\n");
    project.commit("theirs");
    let merge = ["merge", "-q", "main"];
    let merge = crate::support::command(&project.home(), &project.directory, &merge).output();
    assert!(!merge.unwrap().status.success());
}

#[tokio::test]
async fn places_need_no_branch_no_index_and_no_finished_merge() {
    let detached = Project::new();
    detached.git(&["checkout", "-q", "--detach"]);
    works(&detached).await;
    let locked = Project::new();
    fs::write(locked.directory.join(".git/index.lock"), "").unwrap();
    works(&locked).await;
    let merging = Project::new();
    merge(&merging);
    works(&merging).await;
    let stashed = Project::new();
    stashed.write("README.md", "put away\n");
    stashed.git(&["stash", "-q"]);
    works(&stashed).await;
    for name in ["-x", "two\nlines"] {
        works(&Project::named(name).filled()).await;
    }
}

#[tokio::test]
async fn what_has_no_commit_to_begin_from_is_refused() {
    let unborn = Project::unborn();
    let workspaces = unborn.workspaces().await;
    let class = is_refused(&unborn, workspaces, "no commit yet").await;
    assert_eq!(class, ErrorClass::InvalidRequest);
    // With conflicts in the files there is nothing whole to record of them.
    let merging = Project::new();
    merge(&merging);
    let workspaces = merging.workspaces().await.include_uncommitted(true);
    let class = is_refused(&merging, workspaces, "a merge is not finished").await;
    assert_eq!(class, ErrorClass::InvalidRequest);
    // A branch of the user's is where the others would be.
    let taken = Project::new();
    taken.git(&["branch", "orchestrator"]);
    let workspaces = taken.workspaces().await;
    let class = is_refused(&taken, workspaces, "is in the way").await;
    assert_eq!(class, ErrorClass::InvalidRequest);
}

#[tokio::test]
async fn a_state_directory_that_may_not_be_written_says_so() {
    let project = Project::new();
    // Nobody makes directories there, not even the superuser.
    let state = Path::new("/sys/orchestrator-state");
    let workspaces = GitWorkspaces::new(project.program().await, state, std::sync::Arc::new(Off));
    let class = is_refused(&project, workspaces, "may not be written").await;
    assert_eq!(class, ErrorClass::InvalidRequest);
}

#[tokio::test]
async fn a_disk_that_takes_no_more_says_so() {
    const ALONE: &str = "ORCHESTRATOR_TEST_FULL";
    if let Some(root) = std::env::var_os(ALONE) {
        let root = Path::new(&root);
        let project = root.join("project");
        let workspaces = crate::support::workspaces(&project, &root.join("home")).await;
        let order = crate::support::order(&project, "build", worktree());
        let failure = workspaces.open(&order, &Host::default()).await.unwrap_err();
        assert!(failure.message.contains("the disk is full"), "{failure}");
        assert_eq!(failure.class, ErrorClass::Transient);
        return;
    }
    let project = Project::new();
    project.write("large", vec![b'x'; 1 << 20]);
    project.commit("large");
    let before = project.belongings();
    // No file may become larger than that, which git tells as it tells a full disk.
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\"";
    let status = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["bad_input::a_disk_that_takes_no_more_says_so", "--exact", "--nocapture"])
        .env(ALONE, fs::canonicalize(project.root()).unwrap())
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(project.belongings(), before);
    // With room again it goes on.
    works(&project).await;
}
