//! Directories that lie prepared: left by attempts, taken by others, and never telling of those.

use crate::support::{Host, Project, git, worktree, write};
use orchestrator_core::{
    id::RunId,
    port::{WorkspaceOrder, Workspaces},
    workspace::Opened,
};
use orchestrator_workspace::GitWorkspaces;
use rustix::fs::{XattrFlags, setxattr};
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// A process that makes nothing ready itself.
async fn process(project: &Project, count: usize) -> GitWorkspaces {
    project.workspaces().await.pool(count).pool_fills(false)
}

async fn open(workspaces: &GitWorkspaces, order: &WorkspaceOrder) -> Opened {
    let mut opened = workspaces.open(order, &Host::default()).await.unwrap();
    // As for programs that were confined, of which none lives on.
    opened.sandbox = "namespaces".into();
    opened
}

/// All that is in a directory, with modes and contents: also empty directories. What `.git` says is
/// another for each.
fn everything(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let below = path.strip_prefix(directory).unwrap().to_owned();
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().to_string_lossy().into_owned().into_bytes()
        } else if meta.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if below == Path::new(".git") {
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(below, (meta.mode(), content));
    }
    found
}

fn inode(file: &Path) -> u64 {
    fs::symlink_metadata(file).unwrap().ino()
}

/// Waits until the file system tells another time than that at which `file` was changed last.
fn tick(file: &Path) {
    let changed = |meta: fs::Metadata| (meta.ctime(), meta.ctime_nsec());
    let then = changed(fs::metadata(file).unwrap());
    let probe = tempfile::NamedTempFile::new_in(file.ancestors().nth(3).unwrap()).unwrap();
    while changed(fs::metadata(probe.path()).unwrap()) <= then {
        fs::set_permissions(probe.path(), Permissions::from_mode(0o600)).unwrap();
    }
}

/// A project, and how its files are where nobody was before.
async fn filled() -> (Project, BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    let project = Project::new();
    project.write("src/untouched.rs", "// as it was\n");
    project.write("docs/a.txt", "of the project\n");
    project.write("docs/b.txt", "of the project\n");
    crate::support::executable(&project.directory.join("src/lib.rs"));
    symlink("README.md", project.directory.join("link")).unwrap();
    project.commit("second");
    let workspaces = process(&project, 0).await;
    let order = project.order("fresh", worktree());
    let opened = open(&workspaces, &order).await;
    let fresh = everything(&opened.directory);
    workspaces.close(&order, &opened, false).await.unwrap();
    (project, fresh)
}

/// Makes directories ready whose files were not changed just now.
async fn prepare(project: &Project, count: usize) -> GitWorkspaces {
    let workspaces = process(project, count).await;
    workspaces.prepare(&project.directory).await.unwrap();
    tick(&project.state().join("worktrees/.pool/0/src/untouched.rs"));
    workspaces
}

/// Everything by which an attempt could leave a message to the next one.
fn misbehave(project: &Project, place: &Path) {
    let outside = project.root().join("outside");
    write(&outside, "a.txt", "of the user\n");
    write(&outside, "b.txt", "of the user\n");
    let said = |arguments: &[&str]| git(&project.home(), place, arguments);
    write(place, "src/lib.rs", "changed");
    write(place, "target/secret", "ignored");
    write(place, "x.log", "ignored");
    write(place, "notes/deep/file", "new");
    fs::create_dir_all(place.join("empty/emptier")).unwrap();
    fs::set_permissions(place.join("README.md"), Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(place.join("src"), Permissions::from_mode(0o777)).unwrap();
    fs::hard_link(place.join(".gitignore"), project.root().join("held")).unwrap();
    fs::remove_dir_all(place.join("docs")).unwrap();
    symlink(&outside, place.join("docs")).unwrap();
    fs::remove_file(place.join("link")).unwrap();
    symlink("/etc/passwd", place.join("link")).unwrap();
    // Git's own: an index that hides a change, a branch, an unfinished merge, hooks, settings, a
    // repository inside.
    said(&["update-index", "--assume-unchanged", "src/main.rs"]);
    write(place, "src/main.rs", "hidden");
    let git_dir = PathBuf::from(said(&["rev-parse", "--absolute-git-dir"]).trim_end());
    write(&git_dir, "MERGE_HEAD", "0000");
    write(&git_dir, "hooks/post-checkout", "#!/bin/sh\nexit 1\n");
    write(&git_dir, "config.worktree", "[user]\n\tname = evil\n");
    write(&git_dir, "info/exclude", "*\n");
    said(&["init", "-q", "inner"]);
    write(place, "inner/file", "inner");
    // Where the file system has none, nothing can be left in them.
    let _ = setxattr(place.join("Cargo.toml"), "user.x", b"message", XattrFlags::empty());
    let _ = setxattr(place.join("src"), "user.x", b"message", XattrFlags::empty());
}

#[tokio::test]
async fn nothing_of_an_attempt_is_seen_by_the_next_whatever_it_left() {
    let (project, fresh) = filled().await;
    let before = project.belongings();
    let first = prepare(&project, 1).await;
    let order = project.order("first", worktree());
    let opened = open(&first, &order).await;
    let untouched = inode(&opened.directory.join("src/untouched.rs"));
    let hidden = inode(&opened.directory.join(".gitignore"));
    misbehave(&project, &opened.directory);
    // What is recorded is known of its files, so that they look unchanged.
    first.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    first.close(&order, &opened, false).await.unwrap();
    assert!(!opened.directory.exists());
    let left = first.prepared().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].commit, Some(project.id("HEAD")));
    drop(first);

    let next = process(&project, 1).await;
    let order = project.order("second", worktree());
    let opened = open(&next, &order).await;
    assert_eq!(everything(&opened.directory), fresh);
    assert_eq!(inode(&opened.directory.join("src/untouched.rs")), untouched, "it was made anew");
    assert_ne!(inode(&opened.directory.join(".gitignore")), hidden, "somebody else holds it");
    assert_eq!(next.prepared().await.unwrap(), []);
    let said = |arguments: &[&str]| git(&project.home(), &opened.directory, arguments);
    assert_eq!(said(&["status", "--porcelain", "--ignored"]), "");
    assert_eq!(said(&["ls-files", "-v"]).lines().filter(|line| !line.starts_with('H')).count(), 0);
    let git_dir = PathBuf::from(said(&["rev-parse", "--absolute-git-dir"]).trim_end());
    for rest in ["MERGE_HEAD", "hooks", "config.worktree", "info"] {
        assert!(!git_dir.join(rest).exists(), "{rest}");
    }
    assert_eq!(next.checkpoint(&order, &opened, None).await.unwrap(), None);
    for file in ["a.txt", "b.txt"] {
        let file = project.root().join("outside").join(file);
        assert_eq!(fs::read_to_string(file).unwrap(), "of the user\n");
    }
    assert_eq!(fs::read_to_string(project.root().join("held")).unwrap(), "target\n*.log\n");
    assert_eq!(project.belongings(), before);
}

#[tokio::test]
async fn files_of_submodules_are_not_left_to_the_next() {
    let library = Project::named("library").filled();
    let project = Project::new();
    let path = library.directory.to_str().unwrap();
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path, "lib"];
    project.git(&add);
    let with = project.commit("a submodule");
    let workspaces = process(&project, 1).await;
    let order = project.order("first", worktree());
    let opened = open(&workspaces, &order).await;
    assert!(opened.directory.join("lib/README.md").exists());
    write(&opened.directory, "lib/README.md", "changed");
    write(&opened.directory, "lib/new", "new");
    workspaces.close(&order, &opened, false).await.unwrap();
    assert_eq!(workspaces.prepared().await.unwrap().len(), 1);
    let lib = project.state().join("worktrees/.pool/0/lib");
    assert_eq!(fs::read_dir(lib).unwrap().count(), 0);
    let order = project.order("second", worktree());
    let opened = open(&workspaces, &order).await;
    assert_eq!(opened.base, Some(with));
    let readme = fs::read_to_string(opened.directory.join("lib/README.md")).unwrap();
    assert_eq!(readme, "hello\n");
    assert!(!opened.directory.join("lib/new").exists());
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_not_confined_or_is_in_parts_leaves_nothing() {
    let (project, _) = filled().await;
    let workspaces = process(&project, 2).await;
    let order = project.order("free", worktree());
    let mut opened = open(&workspaces, &order).await;
    opened.sandbox = "off".into();
    workspaces.close(&order, &opened, false).await.unwrap();
    assert_eq!(workspaces.prepared().await.unwrap(), []);
    let mut policy = worktree();
    policy.sparse = vec!["src".into()];
    let order = project.order("sparse", policy);
    let opened = open(&workspaces, &order).await;
    workspaces.close(&order, &opened, false).await.unwrap();
    assert_eq!(workspaces.prepared().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_taken_is_brought_to_the_commit_that_is_wanted() {
    let (project, _) = filled().await;
    prepare(&project, 1).await;
    project.write("README.md", "other\n");
    project.git(&["rm", "-q", "src/main.rs"]);
    project.commit("third");
    let untouched = project.state().join("worktrees/.pool/0/src/untouched.rs");
    let before = inode(&untouched);
    let next = process(&project, 1).await;
    let of = |run: &str| {
        let mut order = project.order("build", worktree());
        order.run = RunId::new(run).unwrap();
        order
    };
    let order = of("r_2");
    let opened = open(&next, &order).await;
    assert_eq!(crate::support::files(&opened.directory), crate::support::files(&project.directory));
    assert_eq!(inode(&opened.directory.join("src/untouched.rs")), before);
    assert_eq!(next.checkpoint(&order, &opened, None).await.unwrap(), None);
    next.close(&order, &opened, false).await.unwrap();
    // Where attributes differ, files that are the same in both commits may not be.
    project.write(".gitattributes", "*.rs text eol=crlf\n");
    project.commit("fourth");
    let opened = open(&next, &of("r_3")).await;
    let text = fs::read_to_string(opened.directory.join("src/untouched.rs")).unwrap();
    assert_eq!(text, "// as it was\r\n");
    assert_eq!(next.prepared().await.unwrap().len(), 1, "it is for somebody else");
}

#[tokio::test]
async fn what_somebody_has_written_in_is_not_taken() {
    let (project, fresh) = filled().await;
    let of = |number: usize| project.state().join(format!("worktrees/.pool/{number}"));
    for plant in ["new", "src/deep/new", ".git", "empty/"] {
        let workspaces = prepare(&project, 1).await;
        match plant.strip_suffix('/') {
            Some(directory) => fs::create_dir(of(0).join(directory)).unwrap(),
            None => write(&of(0), plant, "planted"),
        }
        let order = project.order(&format!("t{}", plant.len()), worktree());
        let opened = open(&workspaces, &order).await;
        assert_eq!(everything(&opened.directory), fresh, "{plant}");
        assert_eq!(workspaces.prepared().await.unwrap(), [], "{plant}");
    }
    // What is another than it should be is written anew.
    let workspaces = prepare(&project, 1).await;
    write(&of(0), "src/lib.rs", "planted");
    fs::remove_file(of(0).join("docs/a.txt")).unwrap();
    let opened = open(&workspaces, &project.order("changed", worktree())).await;
    assert_eq!(everything(&opened.directory), fresh);
}

#[tokio::test]
async fn they_are_bounded_and_cleaned_and_rests_are_nobodys() {
    let (project, _) = filled().await;
    let pool = project.state().join("worktrees/.pool");
    let workspaces = prepare(&project, 3).await;
    let three = workspaces.prepared().await.unwrap();
    assert_eq!(three.len(), 3);
    // Fewer are wanted.
    let fewer = process(&project, 2).await;
    fewer.prepare(&project.directory).await.unwrap();
    assert_eq!(fewer.prepared().await.unwrap().len(), 2);
    // Or less of the disk.
    let size = three[0].size;
    fewer.clean_prepared(Duration::ZERO, SystemTime::now(), false).await.unwrap();
    let small = process(&project, 5).await.pool_size(size * 2);
    small.prepare(&project.directory).await.unwrap();
    assert_eq!(small.prepared().await.unwrap().len(), 2);
    let order = project.order("full", worktree());
    let opened = open(&small, &order).await;
    small.prepare(&project.directory).await.unwrap();
    small.close(&order, &opened, false).await.unwrap();
    assert_eq!(small.prepared().await.unwrap().len(), 2);
    // What a crash has left is no longer ready, and goes whatever its age.
    fs::remove_file(pool.join("0.ready")).unwrap();
    let order = project.order("after", worktree());
    let opened = open(&small, &order).await;
    assert!(pool.join("0/README.md").exists() && !pool.join("1.ready").exists());
    small.close(&order, &opened, true).await.unwrap();
    small.prepare(&project.directory).await.unwrap();
    fs::remove_file(pool.join("0.ready")).unwrap();
    let (day, now) = (Duration::from_secs(86_400), SystemTime::now());
    let would = small.clean_prepared(day, now, true).await.unwrap();
    assert_eq!((would.len(), would[0].commit.as_ref()), (1, None));
    assert_eq!(small.clean_prepared(day, now, false).await.unwrap(), would);
    assert_eq!(small.prepared().await.unwrap().len(), 1);
    let all = small.clean_prepared(Duration::ZERO, SystemTime::now(), false).await.unwrap();
    assert_eq!(all.len(), 1);
    let names = fs::read_dir(&pool).unwrap().map(|entry| entry.unwrap().file_name());
    let rest: Vec<_> = names.filter(|name| !name.to_string_lossy().ends_with(".lock")).collect();
    assert_eq!(rest, Vec::<std::ffi::OsString>::new());
    assert_eq!(project.git(&["worktree", "prune", "--dry-run"]), "");
}
