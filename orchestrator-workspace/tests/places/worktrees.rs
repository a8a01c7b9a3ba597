//! Places of attempts, as the engine asks for them.

use crate::support::{Host, Project, executable, files, git, order, workspaces, worktree, write};
use orchestrator_core::{
    error::ErrorClass,
    id::AttemptNumber,
    port::{Start, WorkspaceOrder, Workspaces},
    workspace::{Opened, WorkspaceKind, WorkspacePolicy},
};
use orchestrator_workspace::{GitWorkspaces, worktree::PlaceState};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, SystemTime},
};

async fn open(workspaces: &GitWorkspaces, order: &WorkspaceOrder) -> Opened {
    workspaces.open(order, &Host::default()).await.unwrap()
}

fn attempt(order: &WorkspaceOrder, number: u32, start: Start) -> WorkspaceOrder {
    let mut next = order.clone();
    (next.attempt, next.start) = (AttemptNumber(number), start);
    next
}

#[tokio::test]
async fn an_attempt_has_files_and_a_branch_and_the_user_has_what_was_there() {
    let project = Project::new();
    let (first, before) = (project.id("HEAD"), project.belongings());
    let status = project.git(&["status", "--porcelain"]);
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    assert_eq!(opened.base.as_ref(), Some(&first));
    assert_eq!(opened.branch.as_deref(), Some("orchestrator/r_1/build/1"));
    assert_eq!(opened.sandbox, "off");
    assert_eq!(files(&opened.directory), files(&project.directory));
    assert_eq!(project.id("orchestrator/r_1/result"), first);
    // The agent's own git works there, and finds nothing to do.
    let of_agent = |arguments: &[&str]| git(&project.home(), &opened.directory, arguments);
    assert_eq!(of_agent(&["status", "--porcelain"]), "");
    assert_eq!(of_agent(&["branch", "--show-current"]), "orchestrator/r_1/build/1\n");
    // Asked again, it is the same.
    assert_eq!(open(&workspaces, &order).await, opened);

    write(&opened.directory, "new.rs", "fn new() {}\n");
    fs::remove_file(opened.directory.join("README.md")).unwrap();
    of_agent(&["add", "-A"]);
    of_agent(&["commit", "-qm", "mine"]);
    of_agent(&["checkout", "-q", "-b", "agents-own"]);
    write(&opened.directory, "later.rs", "fn later() {}\n");
    let snapshot = workspaces.snapshot(&order, &opened, "build it").await.unwrap().unwrap();
    let changed: Vec<_> = snapshot.files.iter().map(|file| &*file.path).collect();
    assert_eq!(changed, ["README.md", "later.rs", "new.rs"]);
    assert!(snapshot.diff.contains("+fn later() {}") && !snapshot.is_cut);
    assert_eq!(project.id("orchestrator/r_1/build/1"), snapshot.commit);
    assert_eq!(project.id("orchestrator/r_1/build/1^"), first);
    let message = project.git(&["log", "-1", "--format=%B", snapshot.commit.as_ref()]);
    assert!(message.contains("Orchestrator-Task: build"), "{message}");
    // What the agent committed itself is not lost.
    let own = project.git(&["log", "-1", "--format=%s", "refs/orchestrator/r_1/build/1.history"]);
    assert_eq!(own, "mine\n");

    workspaces.close(&order, &opened, false).await.unwrap();
    workspaces.close(&order, &opened, false).await.unwrap();
    assert!(!opened.directory.exists());
    assert_eq!(project.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    project.git(&["branch", "-qD", "agents-own"]);
    assert_eq!(project.belongings(), before);
    assert_eq!(project.git(&["status", "--porcelain"]), status);
}

#[tokio::test]
async fn nothing_made_is_the_base_itself() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);
    let snapshot = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!((Some(&snapshot.commit), snapshot.files.len()), (opened.base.as_ref(), 0));
}

#[tokio::test]
async fn attempts_begin_where_the_engine_says() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    let lib = "src/lib.rs";
    write(&opened.directory, lib, "pub fn one() -> u32 {\n    2\n}\n");
    let made = workspaces.snapshot(&order, &opened, "two").await.unwrap().unwrap();
    workspaces.close(&order, &opened, true).await.unwrap();

    // To be mended: the same base, with what was made.
    let start = Start::Mend { base: made.base.clone(), commit: made.commit.clone() };
    let second = attempt(&order, 2, start);
    let mended = open(&workspaces, &second).await;
    assert_eq!(mended.base.as_ref(), Some(&made.base));
    assert_eq!(files(&mended.directory), files(&opened.directory));
    let again = workspaces.snapshot(&second, &mended, "two").await.unwrap().unwrap();
    assert_eq!(again.files, made.files);

    // Another has landed meanwhile: the same line, and one elsewhere.
    project.write(lib, "pub fn one() -> u32 {\n    3\n}\n");
    project.write("other", "1");
    let tip = project.commit("three");
    let third = attempt(&order, 3, Start::Onto { tip: tip.clone(), commit: made.commit.clone() });
    let onto = open(&workspaces, &third).await;
    assert_eq!(onto.base, Some(tip));
    let text = fs::read_to_string(onto.directory.join(lib)).unwrap();
    assert!(text.contains("<<<<<<<") && text.contains("    2") && text.contains("    3"), "{text}");
    assert!(onto.directory.join("other").exists());

    // Cut off: the same place, with what was there and is not recorded.
    write(&onto.directory, "half", "done");
    drop(workspaces);
    let workspaces = project.workspaces().await;
    let fourth = attempt(&order, 4, Start::Resume(onto.clone()));
    let resumed = open(&workspaces, &fourth).await;
    assert_eq!(resumed, onto);
    assert_eq!(fs::read_to_string(resumed.directory.join("half")).unwrap(), "done");
    let point = workspaces.checkpoint(&fourth, &resumed, None).await.unwrap().unwrap();
    assert_eq!(project.id("refs/orchestrator/r_1/build/4"), point.commit);
}

#[tokio::test]
async fn a_place_that_is_gone_comes_back_from_its_last_checkpoint() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    write(&opened.directory, "kept", "1");
    workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    write(&opened.directory, "lost", "1");
    drop(workspaces);
    fs::remove_dir_all(&opened.directory).unwrap();
    let workspaces = project.workspaces().await;
    let resumed = open(&workspaces, &attempt(&order, 2, Start::Resume(opened.clone()))).await;
    assert_eq!(resumed, opened);
    assert!(resumed.directory.join("kept").exists() && !resumed.directory.join("lost").exists());
}

#[tokio::test]
async fn what_lands_is_where_the_next_begins() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let first = project.order("one", worktree());
    let opened = open(&workspaces, &first).await;
    write(&opened.directory, "one", "1");
    let made = workspaces.snapshot(&first, &opened, "one").await.unwrap().unwrap();
    let repository = project.open().await;
    let result = "refs/heads/orchestrator/r_1/result";
    repository.update_ref(result, Some(&made.commit), Some(&made.base), "landed").await.unwrap();
    project.commit("the user goes on, which the run does not see");
    let opened = open(&workspaces, &project.order("two", worktree())).await;
    assert_eq!(opened.base, Some(made.commit));
    // A task may be called like the branch.
    let opened = open(&workspaces, &project.order("result", worktree())).await;
    assert_eq!(opened.branch.as_deref(), Some("orchestrator/r_1/result.task/1"));
}

#[tokio::test]
async fn files_that_git_does_not_keep_are_copied_and_never_recorded() {
    let project = Project::new();
    project.write(".env", "SECRET=1\n");
    project.write("config/a.local", "a");
    project.write("config/deep/b.local", "b");
    project.write("config/c.other", "c");
    let outside = project.root().join("outside");
    fs::write(&outside, "not yours").unwrap();
    symlink(&outside, project.directory.join("leads-out")).unwrap();
    symlink("..", project.directory.join("config/up")).unwrap();
    let workspaces = project.workspaces().await;
    let copy = [".env", "config/**/*.local", "leads-out", "missing"].map(str::to_owned).into();
    let order = project.order("build", WorkspacePolicy { copy, ..worktree() });
    let host = Host::default();
    let opened = workspaces.open(&order, &host).await.unwrap();
    let there = |path: &str| opened.directory.join(path).symlink_metadata().is_ok();
    assert!(there(".env") && there("config/a.local") && there("config/deep/b.local"));
    assert!(!there("config/c.other") && !there("leads-out"));
    let lines = host.lines.lock().unwrap().join("\n");
    assert!(lines.contains("`leads-out` is not copied") && lines.contains("`missing`"), "{lines}");
    let snapshot = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!(snapshot.files, [], "what was copied is recorded");
    for bad in ["../outside", "/etc/passwd", "", "a/../../b"] {
        let order = project.order("bad", WorkspacePolicy { copy: vec![bad.into()], ..worktree() });
        let failure = workspaces.open(&order, &Host::default()).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidRequest, "{bad}: {failure}");
    }
}

#[tokio::test]
async fn a_link_in_the_tree_leads_no_copy_out() {
    let project = Project::new();
    let outside = project.root().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, project.directory.join("config")).unwrap();
    project.commit("a link");
    fs::remove_file(project.directory.join("config")).unwrap();
    project.write("config/.env", "SECRET=1\n");
    let workspaces = project.workspaces().await;
    let copy = vec!["config/.env".into()];
    let order = project.order("build", WorkspacePolicy { copy, ..worktree() });
    open(&workspaces, &order).await;
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

#[tokio::test]
async fn set_up_and_clean_up_are_run_in_the_place_with_its_ports() {
    let project = Project::new();
    let log = project.root().join("log");
    let line = |what: &str| {
        format!("echo {what} $(basename $PWD) $ORCHESTRATOR_PORTS >> {}", log.display())
    };
    let policy = WorkspacePolicy {
        setup: vec![line("up")],
        cleanup: vec![line("down")],
        ports: 2,
        directory: Some("src".into()),
        ..worktree()
    };
    let workspaces = project.workspaces().await;
    let order = project.order("build", policy.clone());
    let opened = open(&workspaces, &order).await;
    assert!(opened.directory.ends_with("src") && opened.directory.join("lib.rs").exists());
    let ports = opened.environment["ORCHESTRATOR_PORTS"].clone();
    let other = open(&workspaces, &project.order("other", policy.clone())).await;
    assert!(ports.split(' ').all(|port| !other.environment["ORCHESTRATOR_PORTS"].contains(port)));
    workspaces.close(&order, &opened, false).await.unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains(&format!("up src {ports}\n")), "{text}");
    assert!(text.contains(&format!("down src {ports}\n")), "{text}");

    let broken = WorkspacePolicy { setup: vec!["echo broken; exit 3".into()], ..policy };
    let order = project.order("broken", broken);
    let failure = workspaces.open(&order, &Host::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::ToolFailed);
    assert!(failure.message.contains("broken") && failure.message.contains('3'), "{failure}");
    // What never became ready goes when somebody looks after it.
    let cleaned = workspaces.recover().await.unwrap();
    assert_eq!(cleaned.removed.len(), 1);
    assert_eq!(cleaned.removed[0].task.as_ref(), "broken");
}

#[tokio::test]
async fn hooks_of_the_project_run_only_where_they_may() {
    let project = Project::new();
    let sprung = project.root().join("sprung");
    let hook = project.directory.join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch '{}'\n", sprung.display())).unwrap();
    executable(&hook);
    let workspaces = project.workspaces().await;
    for (task, hooks) in [("without", false), ("with", true)] {
        let order = project.order(task, WorkspacePolicy { hooks, ..worktree() });
        let opened = open(&workspaces, &order).await;
        let commit = ["commit", "-q", "--allow-empty", "-m", "x"];
        let mut command = crate::support::command(&project.home(), &opened.directory, &commit);
        assert!(command.envs(&opened.environment).status().unwrap().success());
        assert_eq!(sprung.exists(), hooks);
    }
}

#[tokio::test]
async fn other_kinds_have_no_git_and_none_around_them() {
    let project = Project::new();
    project.write("target/built", "large");
    symlink("/etc/passwd", project.directory.join("link")).unwrap();
    let before = project.belongings();
    let workspaces = project.workspaces().await;
    let kind = |kind| WorkspacePolicy { kind, ..WorkspacePolicy::default() };
    let copy = project.order("copy", kind(WorkspaceKind::Copy));
    let opened = open(&workspaces, &copy).await;
    assert_eq!(files(&opened.directory), files(&project.directory));
    assert!(
        !opened.directory.join(".git").exists()
            && !opened.directory.join(".orchestrator/state").exists()
    );
    let mut status = crate::support::command(&project.home(), &opened.directory, &["status"]);
    assert!(!status.envs(&opened.environment).output().unwrap().status.success());
    assert_eq!(workspaces.checkpoint(&copy, &opened, None).await.unwrap(), None);
    assert_eq!(workspaces.snapshot(&copy, &opened, "x").await.unwrap(), None);
    workspaces.close(&copy, &opened, false).await.unwrap();
    assert!(!opened.directory.exists());

    let none = open(&workspaces, &project.order("none", kind(WorkspaceKind::None))).await;
    assert_eq!(fs::read_dir(&none.directory).unwrap().count(), 0);
    let order = project.order("look", kind(WorkspaceKind::Project));
    let looked = open(&workspaces, &order).await;
    assert_eq!(looked.directory, project.directory);
    workspaces.close(&order, &looked, false).await.unwrap();
    assert_eq!(project.belongings(), before);
}

#[tokio::test]
async fn a_place_that_takes_too_much_is_told_so() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let order = project.order("build", WorkspacePolicy { quota: Some(1 << 20), ..worktree() });
    let opened = open(&workspaces, &order).await;
    workspaces.checkpoint(&order, &opened, None).await.unwrap();
    write(&opened.directory, "target/much", vec![1; 2 << 20]);
    let failure = workspaces.checkpoint(&order, &opened, None).await.unwrap_err();
    assert!(failure.message.contains("quota"), "{failure}");
    assert!(workspaces.snapshot(&order, &opened, "x").await.is_err());
}

#[tokio::test]
async fn a_package_of_a_larger_repository_is_where_the_work_is_done() {
    let project = Project::new();
    project.write("packages/web/package.json", "{}");
    project.write("packages/web/src/index.js", "1");
    project.write("packages/api/go.mod", "module api");
    project.commit("packages");
    let package = project.directory.join("packages/web");
    let workspaces = workspaces(&package, &project.home()).await;
    let sparse = vec!["packages/web".into()];
    let policy = WorkspacePolicy { sparse, directory: Some("src".into()), ..worktree() };
    let order = order(&package, "build", policy);
    let opened = open(&workspaces, &order).await;
    assert!(opened.directory.ends_with("packages/web/src"));
    assert!(!opened.directory.join("../../api").exists());
    write(&opened.directory, "index.js", "2");
    let snapshot = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!(snapshot.files.len(), 1, "{:?}", snapshot.files);
    assert_eq!(snapshot.files[0].path, "packages/web/src/index.js");
}

#[tokio::test]
async fn a_shallow_clone_is_enough() {
    let project = Project::new();
    for number in 0..3 {
        project.write("n", number.to_string());
        project.commit("more");
    }
    let from = format!("file://{}", project.directory.display());
    git(&project.home(), project.root(), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    let shallow = project.root().join("shallow");
    let workspaces = workspaces(&shallow, &project.home()).await;
    let order = order(&shallow, "build", worktree());
    let opened = open(&workspaces, &order).await;
    write(&opened.directory, "n", "9");
    let snapshot = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!(snapshot.files.len(), 1);
    assert!(workspaces.repository(&shallow).await.unwrap().is_shallow());
}

#[tokio::test]
async fn submodules_come_from_the_project_and_their_changes_are_kept() {
    let library = Project::new();
    let project = Project::new();
    let path = library.directory.to_str().unwrap();
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path, "lib"];
    project.git(&add);
    project.commit("a submodule");
    let before = project.belongings();
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    assert!(opened.directory.join("lib/src/lib.rs").exists());
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);
    write(&opened.directory, "lib/src/new.rs", "1");
    let point = workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);
    let link = project.id(&format!("{}:lib", point.commit));
    let module = project.directory.join(".git/modules/lib");
    let new = format!("{link}:src/new.rs");
    let shown = git(&project.home(), &module, &["--git-dir=.", "cat-file", "-p", &new]);
    assert_eq!(shown, "1");
    assert_eq!(project.belongings(), before);
}

/// Adds a submodule as a person does, by a path or an address that is relative to where the project
/// comes from.
fn add_submodule(home: &Path, directory: &Path, from: &str, to: &str) {
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, to];
    git(home, directory, &add);
    git(home, directory, &["commit", "-qm", "a submodule"]);
}

#[tokio::test]
async fn submodules_of_submodules_are_there_and_recorded_on_every_level() {
    let project = Project::new();
    let (home, root) = (project.home(), project.root().to_owned());
    for name in ["innermost", "inner", "lib"] {
        let directory = root.join(name);
        fs::create_dir(&directory).unwrap();
        git(&home, &directory, &["init", "-q", "-b", "main"]);
        write(&directory, "file", name);
        git(&home, &directory, &["add", "-A"]);
        git(&home, &directory, &["commit", "-qm", "first"]);
    }
    // By a path in the file system, by one that is relative, and again by one.
    let innermost = root.join("innermost").display().to_string();
    add_submodule(&home, &root.join("inner"), &innermost, "deep/innermost");
    git(
        &home,
        &root.join("lib"),
        &["remote", "add", "origin", &root.join("lib").display().to_string()],
    );
    add_submodule(&home, &root.join("lib"), "../inner", "inner");
    git(
        &home,
        &project.directory,
        &["remote", "add", "origin", &project.directory.display().to_string()],
    );
    add_submodule(&home, &project.directory, "../lib", "vendor/lib");
    let update = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "update",
        "--init",
        "--recursive",
    ];
    project.git(&update);
    let before = project.belongings();
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    let mut expected = files(&project.directory);
    expected.retain(|path, _| !path.ends_with(".git"));
    let mut there = files(&opened.directory);
    there.retain(|path, _| !path.ends_with(".git"));
    assert_eq!(there, expected);
    let deepest = "vendor/lib/inner/deep/innermost";
    assert_eq!(
        fs::read_to_string(opened.directory.join(deepest).join("file")).unwrap(),
        "innermost"
    );
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);

    write(&opened.directory, &format!("{deepest}/new"), "made");
    write(&opened.directory, "vendor/lib/file", "changed");
    let made = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    let changed: Vec<_> = made.files.iter().map(|file| &*file.path).collect();
    assert_eq!(changed, ["vendor/lib"]);
    // Each level leads to the next, in the project's own repository of it.
    let modules = project.directory.join(".git/modules/vendor/lib");
    let show =
        |git_dir: &Path, what: &str| git(&home, git_dir, &["--git-dir=.", "rev-parse", what]);
    let of = |git_dir: &Path, commit: &str, path: &str| {
        show(git_dir, &format!("{}:{path}", commit.trim()))
    };
    let lib = project.git(&["rev-parse", &format!("{}:vendor/lib", made.commit)]);
    let inner = of(&modules, &lib, "inner");
    let last = of(&modules.join("modules/inner"), &inner, "deep/innermost");
    let last_dir = modules.join("modules/inner/modules/deep/innermost");
    let shown =
        git(&home, &last_dir, &["--git-dir=.", "cat-file", "-p", &format!("{}:new", last.trim())]);
    assert_eq!(shown, "made");
    assert_eq!(
        workspaces.checkpoint(&order, &opened, None).await.unwrap().map(|c| c.files),
        Some(1)
    );
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);

    // Another attempt that mends it has all of it again, although nothing was fetched or pushed.
    let start = Start::Mend { base: made.base.clone(), commit: made.commit.clone() };
    let second = attempt(&order, 2, start);
    let mended = open(&workspaces, &second).await;
    let read = |path: &str| fs::read_to_string(mended.directory.join(path)).unwrap_or_default();
    assert_eq!(read(&format!("{deepest}/new")), "made");
    assert_eq!(read("vendor/lib/file"), "changed");
    let again = workspaces.snapshot(&second, &mended, "x").await.unwrap().unwrap();
    assert_eq!(
        project.id(&format!("{}^{{tree}}", again.commit)),
        project.id(&format!("{}^{{tree}}", made.commit))
    );
    assert_eq!(project.belongings(), before);
}

#[tokio::test]
async fn submodules_are_found_where_they_are_not_usually() {
    // In a repository of its own that was there before it was added, and in a linked worktree.
    let project = Project::new();
    let home = project.home();
    let lib = project.directory.join("lib");
    fs::create_dir(&lib).unwrap();
    git(&home, &lib, &["init", "-q", "-b", "main"]);
    write(&lib, "file", "1");
    git(&home, &lib, &["add", "-A"]);
    git(&home, &lib, &["commit", "-qm", "first"]);
    add_submodule(&home, &project.directory, "./lib", "lib");
    assert!(lib.join(".git").is_dir());
    let linked = project.root().join("linked");
    project.git(&["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    let from = lib.display().to_string();
    git(&home, &linked, &["config", "-f", ".gitmodules", "submodule.lib.url", &from]);
    git(&home, &linked, &["submodule", "--quiet", "sync"]);
    git(
        &home,
        &linked,
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"],
    );
    git(&home, &linked, &["checkout", "-q", ".gitmodules"]);
    for directory in [&project.directory, &linked] {
        let workspaces = workspaces(directory, &home).await;
        let mut order = order(directory, "build", worktree());
        order.run = orchestrator_core::id::RunId::new(format!(
            "r_{}",
            directory.file_name().unwrap().to_str().unwrap()
        ))
        .unwrap();
        let opened = open(&workspaces, &order).await;
        assert_eq!(
            fs::read_to_string(opened.directory.join("lib/file")).unwrap(),
            "1",
            "{directory:?}"
        );
        write(&opened.directory, "lib/new", "2");
        let made = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
        assert_eq!(made.files.len(), 1);
    }
}

#[tokio::test]
async fn pointers_to_large_files_stay_pointers() {
    let project = Project::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    project.write("big.bin", pointer);
    project.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    project.commit("a pointer");
    // Set up for this repository alone, as by `git lfs install --local`.
    project.git(&["config", "filter.lfs.smudge", "false"]);
    project.git(&["config", "filter.lfs.required", "true"]);
    let workspaces = project.workspaces().await;
    let opened = open(&workspaces, &project.order("build", worktree())).await;
    assert_eq!(fs::read_to_string(opened.directory.join("big.bin")).unwrap(), pointer);
}

#[tokio::test]
async fn what_is_not_committed_is_a_base_when_that_is_asked_for() {
    let project = Project::new();
    project.write("README.md", "changed\n");
    project.write("new", "1");
    project.write("target/no", "1");
    project.write("staged", "1");
    project.git(&["add", "staged"]);
    fs::remove_file(project.directory.join("src/main.rs")).unwrap();
    let before = project.belongings();
    let workspaces = project.workspaces().await;
    let opened = open(&workspaces, &project.order("build", worktree())).await;
    assert!(!opened.directory.join("new").exists());
    assert_eq!(fs::read_to_string(opened.directory.join("README.md")).unwrap(), "hello\n");
    let workspaces = project.workspaces().await.include_uncommitted(true);
    let mut order = project.order("build", worktree());
    order.run = orchestrator_core::id::RunId::new("r_2").unwrap();
    let opened = open(&workspaces, &order).await;
    let mut expected = files(&project.directory);
    expected.remove(Path::new("target/no"));
    assert_eq!(files(&opened.directory), expected);
    assert_eq!(project.belongings(), before);
}

#[tokio::test]
async fn places_are_listed_and_cleaned_and_others_are_left_alone() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let orders = ["used", "kept", "orphan"].map(|task| project.order(task, worktree()));
    let mut opened = Vec::new();
    for order in &orders {
        let place = open(&workspaces, order).await;
        write(&place.directory, "work", "of mine");
        opened.push(place);
    }
    workspaces.close(&orders[1], &opened[1], true).await.unwrap();
    drop(workspaces);
    let workspaces = project.workspaces().await;
    open(&workspaces, &orders[0]).await;
    let stranger = project.state().join("worktrees/r_9+mine+1");
    fs::create_dir(&stranger).unwrap();
    let states: Vec<_> =
        workspaces.list().await.unwrap().into_iter().map(|place| place.state).collect();
    assert_eq!(states, [PlaceState::Kept, PlaceState::Orphan, PlaceState::InUse]);
    let names: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    assert_eq!(names, ["kept", "orphan", "in use"]);
    let later = SystemTime::now() + Duration::from_secs(3_600);
    let day = Duration::from_secs(86_400);
    assert_eq!(workspaces.clean(day, later, false).await.unwrap().removed, []);
    let planned = workspaces.clean(Duration::ZERO, later, true).await.unwrap();
    assert!(opened[1].directory.exists() && planned.bytes() > 0);
    let cleaned = workspaces.clean(Duration::ZERO, later, false).await.unwrap();
    assert_eq!((cleaned.removed.len(), &cleaned.failed), (2, &vec![]));
    assert_eq!(planned.removed.len(), 2);
    assert!(opened[0].directory.exists() && !opened[1].directory.exists() && stranger.exists());
    // No work has gone with them.
    for task in ["kept", "orphan"] {
        let work = format!("refs/orchestrator/r_1/{task}/1:work");
        assert_eq!(project.git(&["cat-file", "-p", &work]), "of mine");
    }
    // What is in the way and not ours stays in the way.
    let mut order = project.order("mine", worktree());
    order.run = orchestrator_core::id::RunId::new("r_9").unwrap();
    let failure = workspaces.open(&order, &Host::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert!(stranger.exists());
}

#[tokio::test]
async fn prepared_directories_give_the_same_files() {
    let project = Project::new();
    let workspaces = project.workspaces().await.pool(2);
    workspaces.prepare(&project.directory).await.unwrap();
    let pool = project.state().join("worktrees/.pool");
    assert!(pool.join("0.ready").exists() && pool.join("1.ready").exists());
    // They may be of another commit.
    project.write("README.md", "other\n");
    project.git(&["rm", "-q", "src/main.rs"]);
    project.commit("second");
    let order = project.order("build", worktree());
    let opened = open(&workspaces, &order).await;
    assert_eq!(files(&opened.directory), files(&project.directory));
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);
    let of_agent = git(&project.home(), &opened.directory, &["status", "--porcelain"]);
    assert_eq!(of_agent, "");
}

#[tokio::test]
async fn checks_and_landing_that_are_not_set_up_say_so() {
    let project = Project::new();
    let workspaces = project.workspaces().await;
    let (order, id) = (project.order("build", worktree()), project.id("HEAD"));
    let checks = orchestrator_core::workspace::ChecksPolicy::default();
    let host = Host::default();
    let failure = workspaces.check(&order, &id, &id, &checks, &host).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert!(failure.message.contains("not set up"), "{failure}");
}
