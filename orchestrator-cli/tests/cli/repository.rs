//! Projects that are git repositories, with programs as agents.

use crate::harness::Project;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

/// A workflow of one task `build`, whose agent `builder` works in a worktree and has to leave `made.txt`
/// with `made` in it.
pub(crate) const BUILD: &str = "name: flow
tasks:
  build:
    agent: builder
    prompt: \"Build.\"
    workspace: worktree
    checks: [\"grep -q made made.txt\"]
";

/// Files by their paths, with their modes and contents.
pub(crate) type Belongings = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// All that is the user's in a project: every file of the checkout, and every file that git keeps of it:
/// the index, heads, branches, tags, stashes, reflogs, settings, hooks, locks, and what of a merge or a
/// rebase is under way. Not what the orchestrator keeps there, nor contents, nor the branches `but`, which
/// are to be changed.
pub(crate) fn belongings(project: &Path, but: &[&str]) -> Belongings {
    let mut ours: Vec<PathBuf> = [
        ".orchestrator/state",
        ".git/objects",
        ".git/lfs",
        ".git/orchestrator.lock",
        ".git/refs/orchestrator",
        ".git/logs/refs/orchestrator",
    ]
    .map(PathBuf::from)
    .into();
    for branch in but.iter().chain([&"orchestrator"]) {
        ours.push(Path::new(".git/refs/heads").join(branch));
        ours.push(Path::new(".git/logs/refs/heads").join(branch));
    }
    let is_ours = |below: &Path| {
        // What git keeps of a place, which is called after its run, task and attempt.
        let name = below.strip_prefix(".git/worktrees").ok().and_then(|path| path.iter().next());
        // Submodules have repositories of their own.
        let is_of_submodule = below.starts_with(".git/modules")
            && ["objects", "refs/orchestrator", "logs/refs/orchestrator"]
                .iter()
                .any(|ours| below.ends_with(ours));
        is_of_submodule
            || ours.iter().any(|ours| below == ours)
            || name.is_some_and(|name| name.as_bytes().contains(&b'+'))
    };
    let mut found = Belongings::new();
    let mut left = vec![project.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let below = path.strip_prefix(project).expect("it is below").to_owned();
            if is_ours(&below) {
                continue;
            }
            let meta = fs::symlink_metadata(&path).expect("it is there");
            let content = if meta.is_dir() {
                left.push(path);
                continue;
            } else if meta.is_symlink() {
                fs::read_link(&path).expect("a link").as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path).expect("it can be read")
            };
            found.insert(below, (meta.permissions().mode(), content));
        }
    }
    found
}

/// Says which belongings have changed, when some have.
#[track_caller]
pub(crate) fn unchanged(before: &Belongings, after: &Belongings, when: &str) {
    let of = |one: &Belongings, other: &Belongings| {
        let changed = one.iter().filter(|(path, file)| other.get(*path) != Some(file));
        changed.map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let (gone, new) = (of(before, after), of(after, before));
    assert!(gone.is_empty() && new.is_empty(), "{when}: changed {gone:?}, and are now {new:?}");
}

/// What git says in the project.
pub(crate) fn git(project: &Project, arguments: &[&str]) -> String {
    git_in(project, project.path(), arguments)
}

/// What git says in another directory, to the user of the project.
pub(crate) fn git_in(project: &Project, directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .env("HOME", project.home())
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Makes the project a repository with one commit of all that is there, the workflow `flow`, and an
/// agent for each of `programs`: shell scripts by their names.
pub(crate) fn commit_first(project: &Project, programs: &[(&str, &str)], flow: &str) {
    project.write(".orchestrator/.gitignore", "state/\n");
    let mut config = String::new();
    for (name, script) in programs {
        let file = project.home().join(format!("{name}.sh"));
        fs::write(&file, script).expect("a program");
        config += &format!(
            "[agents.{name}]\nprovider = \"command\"\ncommand = [\"sh\", \"{}\"]\n",
            file.display()
        );
    }
    project.write(".orchestrator/config.toml", &config);
    project.write(".orchestrator/workflows/flow.yaml", flow);
    git(project, &["init", "-q", "-b", "main"]);
    git(project, &["config", "user.name", "A Person"]);
    git(project, &["config", "user.email", "person@example.org"]);
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", "first"]);
}
