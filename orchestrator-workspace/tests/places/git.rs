//! What the engine does with git itself.

use crate::support::{Project, executable, files, write};
use orchestrator_core::{
    id::CommitId,
    workspace::{Change, ChangedFile},
};
use orchestrator_workspace::git::{
    Checkout, GitError, Head, Identity, Merge, NewCommit, RefChange, Repository, Scan, Scanned,
};
use std::{fs, os::unix::fs::symlink, path::Path};

async fn scan(repository: &Repository, directory: &Path, base: &CommitId) -> Scanned {
    let index = directory.with_extension("index");
    let scan =
        Scan { directory, index: &index, base, excludes: &[], max_size: 1_000, max_files: 1_000 };
    repository.tree_of(&scan).await.unwrap()
}

async fn commit(repository: &Repository, tree: &CommitId, parents: &[CommitId]) -> CommitId {
    let commit =
        NewCommit { tree, parents, message: "made\n\nOrchestrator-Run: r_1\n", author: None };
    repository.commit_tree(commit).await.unwrap()
}

async fn checkout(repository: &Repository, commit: &CommitId, directory: &Path, sparse: &[&str]) {
    let index = directory.with_extension("index");
    let sparse: Vec<String> = sparse.iter().map(|dir| (*dir).to_owned()).collect();
    let wanted = Checkout { commit, directory, index: &index, sparse: &sparse };
    repository.checkout(&wanted).await.unwrap();
}

#[tokio::test]
async fn a_head_is_a_branch_or_detached_or_unborn() {
    let project = Project::unborn();
    let repository = project.open().await;
    let main = Some("main".to_owned());
    assert_eq!(repository.head().await.unwrap(), Head { commit: None, branch: main.clone() });
    assert!(matches!(repository.head_commit().await, Err(GitError::Unborn)));
    let project = project.filled();
    let id = project.id("HEAD");
    assert_eq!(repository.head().await.unwrap(), Head { commit: Some(id.clone()), branch: main });
    project.git(&["checkout", "-q", "--detach"]);
    assert_eq!(repository.head().await.unwrap(), Head { commit: Some(id.clone()), branch: None });
    assert_eq!(repository.resolve("HEAD").await.unwrap(), id);
    for bad in ["--help", "", "a\nb"] {
        assert!(matches!(repository.resolve(bad).await, Err(GitError::BadName { .. })), "{bad:?}");
    }
    assert!(matches!(repository.resolve("nothing").await, Err(GitError::Unknown { .. })));
}

#[tokio::test]
async fn a_tree_is_what_is_there_whatever_was_done_with_git() {
    let project = Project::new();
    let repository = project.open().await;
    let base = project.id("HEAD");
    let place = project.root().join("place");
    checkout(&repository, &base, &place, &[]).await;
    assert_eq!(files(&place), files(&project.directory));
    let same = scan(&repository, &place, &base).await;
    assert_eq!(same.tree, repository.tree(&base).await.unwrap());

    fs::remove_file(place.join("README.md")).unwrap();
    write(&place, "README.md/now a directory", "x");
    write(&place, "odd\nname", "1");
    write(&place, "-rf", "2");
    write(&place, "run", "#!/bin/sh\n");
    executable(&place.join("run"));
    symlink("/etc/passwd", place.join("link")).unwrap();
    write(&place, "target/ignored", "no");
    write(&place, "large", vec![b'x'; 5_000]);
    // A repository of its own, one without a commit, and a `.git` that leads elsewhere.
    write(&place, "nested/kept", "yes");
    write(&place, "empty/kept", "yes");
    for nested in ["nested", "empty"] {
        project.git(&["init", "-q", place.join(nested).to_str().unwrap()]);
    }
    let nested = place.join("nested");
    crate::support::git(&project.home(), &nested, &["add", "-A"]);
    crate::support::git(&project.home(), &nested, &["commit", "-qm", "x"]);
    write(&place, "src/.git", "gitdir: /nowhere\n");
    rustix::fs::mkfifoat(rustix::fs::CWD, place.join("pipe"), rustix::fs::Mode::RWXU).unwrap();

    let found = scan(&repository, &place, &base).await;
    assert_eq!(found.left_out, [Path::new("large")]);
    let id = commit(&repository, &found.tree, std::slice::from_ref(&base)).await;
    let entries = repository.files(&id).await.unwrap();
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.to_str().unwrap()).collect();
    let expected = [
        "-rf",
        ".gitignore",
        "README.md/now a directory",
        "empty/kept",
        "link",
        "nested/kept",
        "odd\nname",
        "run",
        "src/lib.rs",
        "src/main.rs",
    ];
    assert_eq!(paths, expected);
    assert_eq!(scan(&repository, &place, &base).await, found, "a second look finds the same");
    let odd = repository.read_file(&id, Path::new("odd\nname"), 10).await.unwrap();
    assert_eq!(odd.as_deref(), Some(&b"1"[..]));

    // What is known goes on to be recorded where a repository was made of it.
    write(&place, "nested/kept", "changed");
    fs::remove_file(place.join("empty/kept")).unwrap();
    let found = scan(&repository, &place, &base).await;
    let id = commit(&repository, &found.tree, &[base]).await;
    let kept = repository.read_file(&id, Path::new("nested/kept"), 10).await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"changed"[..]));
    assert_eq!(repository.read_file(&id, Path::new("empty/kept"), 10).await.unwrap(), None);
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_made_anew() {
    let project = Project::new();
    let (repository, base) = (project.open().await, project.id("HEAD"));
    let place = project.root().join("place");
    checkout(&repository, &base, &place, &[]).await;
    fs::write(place.with_extension("index"), "nonsense").unwrap();
    write(&place, "new", "1");
    let found = scan(&repository, &place, &base).await;
    assert_eq!(repository.changed_files(&base, &found.tree).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sparse_place_keeps_what_it_does_not_show() {
    let project = Project::new();
    project.write("a/x", "1");
    project.write("a/deep/y", "2");
    project.write("b/z", "3");
    let base = project.commit("more");
    let repository = project.open().await;
    let place = project.root().join("place");
    checkout(&repository, &base, &place, &["a/deep"]).await;
    let shown: Vec<_> = files(&place).into_keys().collect();
    assert_eq!(shown, [".gitignore", "README.md", "a/deep/y", "a/x"].map(Path::new));
    assert_eq!(scan(&repository, &place, &base).await.tree, repository.tree(&base).await.unwrap());
    write(&place, "b/z", "changed although it was not shown");
    let found = scan(&repository, &place, &base).await;
    let changed = repository.changed_files(&base, &found.tree).await.unwrap();
    let expected = ChangedFile { path: "b/z".into(), change: Change::Modified, from: None };
    assert_eq!(changed, [expected]);
}

#[tokio::test]
async fn differences_are_told_with_renames_and_cut() {
    let project = Project::new();
    let base = project.id("HEAD");
    project.git(&["mv", "src/lib.rs", "src/-new name"]);
    project.write("README.md", "other\n");
    project.git(&["rm", "-q", "src/main.rs"]);
    executable(&project.directory.join(".gitignore"));
    let id = project.commit("second");
    let repository = project.open().await;
    let changed = repository.changed_files(&base, &id).await.unwrap();
    let file = |path: &str, change, from: Option<&str>| ChangedFile {
        path: path.into(),
        change,
        from: from.map(str::to_owned),
    };
    assert_eq!(
        changed,
        [
            file(".gitignore", Change::TypeChanged, None),
            file("README.md", Change::Modified, None),
            file("src/-new name", Change::Renamed, Some("src/lib.rs")),
            file("src/main.rs", Change::Deleted, None),
        ]
    );
    let diff = repository.diff(&base, &id, &[], 1 << 20).await.unwrap();
    assert!(diff.text.contains("rename from src/lib.rs") && !diff.is_cut, "{}", diff.text);
    let cut = repository.diff(&base, &id, &[], 100).await.unwrap();
    assert!(cut.is_cut && cut.text.ends_with('\n') && diff.text.starts_with(&cut.text));
    let one = repository.diff(&base, &id, &["README.md".into()], 1 << 20).await.unwrap();
    assert!(one.text.contains("+other") && !one.text.contains("rename"));
}

#[tokio::test]
async fn commits_say_who_made_them_and_what_they_belong_to() {
    let project = Project::new();
    let (repository, base) = (project.open().await, project.id("HEAD"));
    let tree = repository.tree(&base).await.unwrap();
    let id = commit(&repository, &tree, std::slice::from_ref(&base)).await;
    let info = repository.commit(&id).await.unwrap();
    assert_eq!((&info.author, info.subject()), (&Identity::default(), "made"));
    assert_eq!(info.trailer("orchestrator-run"), Some("r_1"));
    assert_eq!(info.parents.first(), Some(&base));
    project.git(&["config", "user.name", "Local"]);
    project.git(&["config", "user.email", "l@x"]);
    let id = commit(&repository, &tree, &[id]).await;
    let history = repository.commits(Some(&base), &id, 10).await.unwrap();
    assert_eq!(
        history.iter().map(|c| &*c.author.name).collect::<Vec<_>>(),
        ["Local", "orchestrator"]
    );
    assert!(repository.is_ancestor(&base, &id).await.unwrap());
    assert!(!repository.is_ancestor(&id, &base).await.unwrap());
    assert_eq!(repository.merge_base(&base, &id).await.unwrap(), Some(base));
}

#[tokio::test]
async fn a_ref_moves_only_from_where_it_was() {
    let project = Project::new();
    let (repository, first) = (project.open().await, project.id("HEAD"));
    let second = project.commit("second");
    let (one, other) = ("refs/heads/orchestrator/r/result", "refs/orchestrator/r/t/1");
    let change = |name: &str, new, old| RefChange { name: name.into(), new, old };
    let made = [change(one, Some(first.clone()), None), change(other, Some(first.clone()), None)];
    repository.update_refs(&made, "made").await.unwrap();
    assert!(matches!(repository.update_refs(&made, "again").await, Err(GitError::Moved { .. })));
    // All or none.
    let half = [
        change(one, Some(second.clone()), Some(first.clone())),
        change(other, Some(second.clone()), Some(second.clone())),
    ];
    let error = repository.update_refs(&half, "half").await;
    assert!(matches!(&error, Err(GitError::Moved { name }) if name == other), "{error:?}");
    assert_eq!(repository.find_ref(one).await.unwrap(), Some(first.clone()));
    repository.update_ref(one, Some(&second), Some(&first), "a\nreason").await.unwrap();
    assert_eq!(
        repository.refs("refs/heads/orchestrator/").await.unwrap(),
        [(one.into(), second.clone())]
    );
    repository.update_ref(one, None, Some(&second), "gone").await.unwrap();
    assert_eq!(repository.find_ref(one).await.unwrap(), None);
    let bad = repository.update_ref("--stdin", Some(&first), None, "x").await;
    assert!(matches!(bad, Err(GitError::BadName { .. })));
}

#[tokio::test]
async fn merges_follow_renames_and_leave_marks() {
    let project = Project::new();
    let base = project.id("HEAD");
    project.write("src/lib.rs", "pub fn one() -> u32 {\n    2\n}\n");
    let ours = project.commit("ours");
    project.git(&["checkout", "-q", "-b", "theirs", base.as_ref()]);
    project.git(&["mv", "README.md", "READ\nME"]);
    let clean = project.commit("theirs");
    project.write("src/lib.rs", "pub fn one() -> u32 {\n    3\n}\n");
    let theirs = project.commit("theirs too");
    let repository = project.open().await;
    let merge = repository.merge_trees(&base, &ours, &clean).await.unwrap();
    assert!(matches!(merge, Merge::Clean { .. }), "{merge:?}");
    let merge = repository.merge_trees(&base, &ours, &theirs).await.unwrap();
    let Merge::Conflict { tree, files, message } = &merge else { panic!("{merge:?}") };
    assert_eq!(files, &["src/lib.rs"]);
    assert!(message.contains("CONFLICT (content)"), "{message}");
    let lib = repository.read_file(tree, Path::new("src/lib.rs"), 1_000).await.unwrap().unwrap();
    assert!(String::from_utf8(lib).unwrap().contains("<<<<<<<"));
    assert!(repository.read_file(tree, Path::new("READ\nME"), 100).await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_planted_is_run() {
    let project = Project::new();
    let (repository, base) = (project.open().await, project.id("HEAD"));
    let trap = project.root().join("trap.sh");
    let sprung = project.root().join("sprung");
    fs::write(&trap, format!("#!/bin/sh\ntouch '{}'\ncat\n", sprung.display())).unwrap();
    executable(&trap);
    let hooks = project.directory.join(".git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-checkout", "post-commit", "reference-transaction", "post-index-change"] {
        fs::copy(&trap, hooks.join(hook)).unwrap();
    }
    let trap = trap.to_str().unwrap();
    // After the repository was opened: what is planted counts from the next call on.
    for key in [
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "diff.external",
        "merge.evil.driver",
        "core.pager",
        "core.editor",
        "core.alternateRefsCommand",
        "gpg.program",
    ] {
        project.git(&["config", key, trap]);
    }
    project.git(&["config", "filter.evil.required", "true"]);
    project.git(&["config", "commit.gpgSign", "true"]);
    let place = project.root().join("place");
    checkout(&repository, &base, &place, &[]).await;
    write(&place, ".gitattributes", "* filter=evil diff=evil merge=evil\n");
    write(&place, "README.md", "one\n");
    let found = scan(&repository, &place, &base).await;
    let one = commit(&repository, &found.tree, std::slice::from_ref(&base)).await;
    write(&place, "README.md", "two\n");
    let found = scan(&repository, &place, &base).await;
    let two = commit(&repository, &found.tree, std::slice::from_ref(&base)).await;
    repository.diff(&one, &two, &[], 1_000).await.unwrap();
    repository.merge_trees(&base, &one, &two).await.unwrap();
    checkout(&repository, &two, &project.root().join("other"), &[]).await;
    let ref_name = "refs/heads/orchestrator/r/t/1";
    repository.update_ref(ref_name, Some(&one), None, "x").await.unwrap();
    let linked = project.root().join("linked");
    repository.add_worktree(&linked, "orchestrator/r/t/1", &one).await.unwrap();
    repository.remove_worktree(&linked).await.unwrap();
    assert!(!sprung.exists());
    let content = fs::read_to_string(project.root().join("other/README.md")).unwrap();
    assert_eq!(content, "two\n");
}

#[tokio::test]
async fn filters_of_the_user_are_run() {
    let project = Project::unborn();
    let global = "[filter \"shout\"]\nclean = tr a-z A-Z\nsmudge = tr A-Z a-z\n";
    fs::write(project.home().join(".gitconfig"), global).unwrap();
    project.write(".gitattributes", "*.txt filter=shout\n");
    project.write("a.txt", "text\n");
    let base = project.commit("first");
    // The repository would have it otherwise, which does not count.
    project.git(&["config", "filter.shout.smudge", "cat"]);
    let repository = project.open().await;
    let place = project.root().join("place");
    checkout(&repository, &base, &place, &[]).await;
    assert_eq!(fs::read_to_string(place.join("a.txt")).unwrap(), "text\n");
    let tree = scan(&repository, &place, &base).await.tree;
    let content = repository.read_file(&tree, Path::new("a.txt"), 10).await.unwrap();
    assert_eq!(content.as_deref(), Some(&b"TEXT\n"[..]));
}
