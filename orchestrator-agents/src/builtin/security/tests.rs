//! Whole projects and real repositories. Secrets are made of pieces at run time.

use super::*;
use crate::builtin::index::Limits;
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
};

/// Another token for each seed.
fn token(seed: u64) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let tail: String = (0..36)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(LETTERS[usize::try_from(state % 62).unwrap()])
        })
        .collect();
    format!("{}_{tail}", "ghp")
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn git(root: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(root)
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@localhost",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(arguments)
        .env_remove("GIT_DIR")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "git {arguments:?}");
}

fn commit(root: &Path) {
    git(root, &["add", "-A", "-f"]);
    git(root, &["commit", "-q", "--no-verify", "-m", "x"]);
}

fn report(root: &Path, history: bool) -> Report {
    let index = Index::build(root, Limits::default(), &AtomicBool::new(false)).unwrap();
    let mut options = Options::new(root);
    options.history = history;
    analyse(&index, &options)
}

/// The findings of rules that contain `part`, as rule, path and line.
fn found<'a>(report: &'a Report, part: &str) -> Vec<(&'a str, &'a str, Option<u32>)> {
    report
        .findings
        .iter()
        .filter(|finding| finding.rule.contains(part))
        .map(|f| (f.rule.trim_start_matches("security/"), f.path.as_deref().unwrap_or(""), f.line))
        .collect()
}

#[test]
fn a_project_without_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    let secret = token(1);
    write(dir.path(), "src/a.py", &format!("x = 1\nt = '{secret}'\n"));
    write(
        dir.path(),
        "tests/test_a.py",
        &["api_key", "secret_key"]
            .map(|name| format!("{name} = '{}'\n", ["q7Rz0pLmK2", "vW9sXeB4nT"].concat()))
            .concat(),
    );
    write(dir.path(), ".env", "A=1\n");
    write(dir.path(), "Dockerfile", "FROM a:1\n");
    write(dir.path(), ".github/workflows/ci.yml", "    - uses: a/b@v1\n");
    write(dir.path(), "src/tls.py", "get(u, verify=False)\n");
    write(dir.path(), "tests/tls.py", "get(u, verify=False)\n");
    let report = report(dir.path(), true);
    assert_eq!(found(&report, "github-token"), [("github-token", "src/a.py", Some(2))]);
    assert_eq!(
        found(&report, "hard-coded"),
        [("hard-coded-credential", "tests/test_a.py", Some(1))]
    );
    assert_eq!(found(&report, "environment"), [("environment-file", ".env", None)]);
    assert_eq!(found(&report, "container"), [("container-as-root", "Dockerfile", Some(1))]);
    assert_eq!(
        found(&report, "action"),
        [("unpinned-action", ".github/workflows/ci.yml", Some(1))]
    );
    assert_eq!(found(&report, "tls"), [("tls-verification-off", "src/tls.py", Some(1))]);
    assert!(
        report.notes.iter().any(|note| note.contains("history was not searched")),
        "{:?}",
        report.notes
    );
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        !json.contains(&secret) && !json.contains(&secret[4..20]) && !json.contains("q7Rz0p"),
        "{json}"
    );
    assert!(
        report.summary.starts_with("One possible secret was found in 7 files"),
        "{}",
        report.summary
    );
}

#[test]
fn the_history_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    git(root, &["init", "-q"]);
    let [gone, kept, branch, stash] = [token(1), token(2), token(3), token(4)];
    write(root, "a.py", &format!("one\nt = '{gone}'\n"));
    write(root, "b.py", &format!("t = '{kept}'\n"));
    commit(root);
    git(root, &["checkout", "-q", "-b", "other"]);
    write(root, "dir/ü x.py", &format!("t = '{branch}'\n"));
    commit(root);
    git(root, &["checkout", "-q", "main"]);
    write(root, "a.py", "one\n");
    commit(root);
    write(root, "a.py", &format!("one\ns = '{stash}'\n"));
    git(root, &["stash", "-q"]);

    let without = report(root, false);
    assert_eq!(found(&without, "token"), [("github-token", "b.py", Some(1))]);
    let with = report(root, true);
    let mut places: Vec<_> =
        found(&with, "token").into_iter().map(|(rule, path, _)| (rule, path)).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            ("github-token", "b.py"),
            ("github-token-in-history", "a.py"),
            ("github-token-in-history", "a.py"),
            ("github-token-in-history", "dir/ü x.py"),
        ]
    );
    assert_eq!(with.facts["secrets"]["in-history"], 3);
    let json = serde_json::to_string(&with).unwrap();
    for secret in [gone, kept, branch, stash] {
        assert!(!json.contains(&secret[4..20]));
    }
}

#[test]
fn the_history_of_a_part_is_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    git(root, &["init", "-q"]);
    write(root, "part/a.py", &format!("t = '{}'\n", token(1)));
    write(root, "elsewhere/b.py", &format!("t = '{}'\n", token(2)));
    commit(root);
    write(root, "part/a.py", "\n");
    write(root, "elsewhere/b.py", "\n");
    commit(root);
    let report = report(&root.join("part"), true);
    assert_eq!(found(&report, "token"), [("github-token-in-history", "a.py", None)]);
}

#[test]
fn a_shallow_clone_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("origin");
    fs::create_dir(&origin).unwrap();
    git(&origin, &["init", "-q"]);
    for text in ["1", "2"] {
        write(&origin, "a", text);
        commit(&origin);
    }
    let from = format!("file://{}", origin.display());
    git(dir.path(), &["clone", "-q", "--depth=1", &from, "clone"]);
    let report = report(&dir.path().join("clone"), true);
    assert!(report.notes.iter().any(|note| note.contains("shallow")), "{:?}", report.notes);
}

#[test]
fn what_git_tracks_is_read_although_it_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    git(root, &["init", "-q"]);
    write(root, ".gitignore", ".env\nlocal.py\n");
    write(root, ".env", &format!("TOKEN={}\n", token(1)));
    commit(root);
    write(root, "local.py", &format!("t = '{}'\n", token(2)));
    write(root, "new/.netrc", "machine a\n");
    let report = report(root, false);
    assert_eq!(found(&report, "github-token"), [("github-token", ".env", Some(1))]);
    let state = |rule: &str| {
        let finding = report.findings.iter().find(|f| f.rule.ends_with(rule)).unwrap();
        (finding.severity, finding.message.contains("version control"))
    };
    assert_eq!(state("environment-file"), (Severity::Medium, true));
    assert_eq!(state("credential-file"), (Severity::Low, false));
}

#[cfg(unix)]
#[test]
fn a_hostile_repository_runs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("project");
    fs::create_dir(&root).unwrap();
    git(&root, &["init", "-q"]);
    write(&root, "a.txt", "one\n");
    commit(&root);
    write(&root, "a.txt", &format!("t = '{}'\n", token(1)));
    write(&root, ".gitattributes", "* diff=evil filter=evil\n");
    commit(&root);
    write(&root, "a.txt", "two\n");
    commit(&root);

    let marker = dir.path().join("marker");
    let evil = dir.path().join("evil.sh");
    fs::write(&evil, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", marker.display()))
        .unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    let program = evil.display().to_string();
    // By hand: git itself would run some of these while setting the next.
    let config = format!(
        "[core]\n\tfsmonitor = {program}\n\tpager = {program}\n\thooksPath = {0}\n\tsshCommand = {program}\n\
         \taskPass = {program}\n\talternateRefsCommand = {program}\n\
         [diff]\n\texternal = {program}\n\tsubmodule = diff\n[diff \"evil\"]\n\tcommand = {program}\n\ttextconv = {program}\n\
         [filter \"evil\"]\n\tclean = {program}\n\tsmudge = {program}\n\tprocess = {program}\n\
         [log]\n\tshowSignature = true\n[gpg]\n\tprogram = {program}\n[pager]\n\tlog = {program}\n\
         [alias]\n\tlog = !{program}\n\tls-files = !{program}\n\trev-parse = !{program}\n\
         [credential]\n\thelper = {program}\n[color]\n\tui = always\n[extensions]\n\tpartialClone = origin\n\
         [remote \"origin\"]\n\turl = ext::{program}\n\tpromisor = true\n\tuploadpack = {program}\n[protocol \"ext\"]\n\tallow = always\n",
        dir.path().display(),
    );
    let path = root.join(".git/config");
    let old = fs::read_to_string(&path)
        .unwrap()
        .replace("repositoryformatversion = 0", "repositoryformatversion = 1");
    fs::write(&path, format!("{old}\n{config}")).unwrap();
    // The trap works: an unguarded git falls into it.
    let unguarded =
        Command::new("git").arg("-C").arg(&root).args(["diff", "HEAD~1"]).output().unwrap();
    assert!(marker.exists(), "{unguarded:?}");
    fs::remove_file(&marker).unwrap();

    let report = report(&root, true);
    assert_eq!(
        found(&report, "token"),
        [("github-token-in-history", "a.txt", None)],
        "{:?}",
        report.notes
    );
    assert!(!marker.exists(), "ran: {}", fs::read_to_string(&marker).unwrap_or_default());
}

#[cfg(unix)]
#[test]
fn links_and_modes_are_judged() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("project");
    write(&root, "sub/a", "x");
    symlink("a", root.join("sub/inside")).unwrap();
    symlink("../sub/a", root.join("sub/also-inside")).unwrap();
    symlink("../../x", root.join("sub/outside")).unwrap();
    symlink("/etc/hostname", root.join("absolute")).unwrap();
    for (name, mode) in [("open", 0o666), ("setuid", 0o4755)] {
        write(&root, name, "x");
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let report = report(&root, false);
    let mut links = found(&report, "link-out");
    links.sort_unstable();
    assert_eq!(
        links,
        [("link-out-of-project", "absolute", None), ("link-out-of-project", "sub/outside", None)]
    );
    assert_eq!(found(&report, "world"), [("world-writable-file", "open", None)]);
    assert_eq!(found(&report, "setuid"), [("setuid-file", "setuid", None)]);
}
