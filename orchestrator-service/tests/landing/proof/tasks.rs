//! What the tasks do to the repository.

use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The run whose tasks these are.
pub(crate) const RUN: &str = "r_proof";
/// Where all lands.
pub(crate) const BRANCH: &str = "orchestrator/r_proof/result";
/// What has to pass on it.
pub(crate) const CHECK: &str = "sh test.sh";

const LINES: usize = 6;
const FUNCTIONS: usize = 3;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Adds a file that nobody else knows.
    Alone,
    /// Changes a line that others change too.
    Line(usize),
    /// Renames a function and all its callers.
    Rename(usize),
    /// Adds a caller of a function that another task renames.
    Call(usize),
    /// Is wrong, also alone.
    Broken,
}

impl Kind {
    pub(crate) fn of(number: usize) -> Self {
        match number % 10 {
            0 | 5 => Self::Alone,
            1 | 6 => Self::Line(number % LINES),
            3 => Self::Line((number + 1) % LINES),
            2 => Self::Rename((number / 10) % (FUNCTIONS - 1)),
            4 | 7 | 8 => Self::Call((number / 10) % (FUNCTIONS - 1)),
            _ if number == 9 => Self::Broken,
            _ => Self::Call(number % (FUNCTIONS - 1)),
        }
    }
}

/// The name of a task.
pub(crate) fn name(number: usize) -> String {
    format!("t{number}")
}

pub(crate) fn project(room: &Path) -> PathBuf {
    room.join("project")
}

/// Makes the repository.
pub(crate) fn repository(room: &Path) -> Result<()> {
    let project = project(room);
    for directory in ["home", "project/calls", "scratch", "ended"] {
        fs::create_dir_all(room.join(directory))?;
    }
    git(room, &["init", "-q", "-b", "main"], b"")?;
    let lib: String =
        (0..FUNCTIONS).map(|n| format!("f{n}() {{ echo {n} \"$1\"; }}\n\n")).collect();
    fs::write(project.join("lib.sh"), lib)?;
    for n in 0..FUNCTIONS {
        fs::write(project.join(format!("calls/first{n}.sh")), call(&format!("f{n}")))?;
    }
    // Lines with some room between them, so that other lines do not conflict.
    let lines: String = (0..LINES).map(|n| format!("line {n}:\n\n\n\n")).collect();
    fs::write(project.join("list.txt"), lines)?;
    let test = format!(
        "test \"$(grep -c '^line' list.txt)\" = {LINES} || exit 1\n\
         for call in calls/*.sh; do sh -e \"$call\" || exit 1; done\n"
    );
    fs::write(project.join("test.sh"), test)?;
    git(room, &["add", "-A"], b"")?;
    git(room, &["commit", "-q", "-m", "first"], b"")?;
    Ok(())
}

fn call(function: &str) -> String {
    format!(". ./lib.sh\n{function} \"from here\"\n")
}

/// Makes the work of a task on `base`, as an agent would that sees the files there. Returns the
/// commit.
pub(crate) fn work(room: &Path, number: usize, base: &str) -> Result<String> {
    let show = |path: &str| git(room, &["show", &format!("{base}:{path}")], b"");
    let (name, lib) = (name(number), show("lib.sh")?);
    let own = format!("calls/{name}.sh");
    let called = |n: usize| match lib.contains(&format!("g{n}()")) {
        true => format!("g{n}"),
        false => format!("f{n}"),
    };
    let files = match Kind::of(number) {
        Kind::Alone => vec![(own, call(&called(FUNCTIONS - 1)))],
        Kind::Call(n) => vec![(own, call(&called(n)))],
        Kind::Broken => vec![(own, call("no_such_function"))],
        Kind::Line(n) => {
            let mark = format!("line {n}:");
            let change = |line: &str| match line.starts_with(&mark) {
                true => format!("{line} {name}\n"),
                false => format!("{line}\n"),
            };
            vec![("list.txt".into(), show("list.txt")?.lines().map(change).collect())]
        }
        Kind::Rename(n) => {
            let mut files =
                vec![("lib.sh".to_owned(), lib.replace(&format!("f{n}()"), &format!("g{n}()")))];
            let calls = git(room, &["ls-tree", "--name-only", base, "calls/"], b"")?;
            for path in calls.lines() {
                let text = show(path)?;
                let renamed = text.replace(&format!("f{n} "), &format!("g{n} "));
                if renamed != text {
                    files.push((path.to_owned(), renamed));
                }
            }
            // So that the second that renames has something to say too.
            files.push((format!("calls/{name}.sh"), call(&format!("g{n}"))));
            files
        }
    };
    commit(room, base, &files, &format!("do {name}"))
}

/// A commit on `base` with these files.
fn commit(room: &Path, base: &str, files: &[(String, String)], message: &str) -> Result<String> {
    let index = tempfile::tempdir_in(room.join("scratch"))?;
    let index = index.path().join("index");
    let with = |arguments: &[&str], input: &[u8]| run(room, arguments, input, Some(&index));
    with(&["read-tree", base], b"")?;
    for (path, text) in files {
        let blob = with(&["hash-object", "-w", "--stdin"], text.as_bytes())?;
        let entry = format!("100644,{},{path}", blob.trim());
        with(&["update-index", "--add", "--cacheinfo", &entry], b"")?;
    }
    let tree = with(&["write-tree"], b"")?;
    let made = with(&["commit-tree", "-p", base, "-m", message, tree.trim()], b"")?;
    Ok(made.trim().to_owned())
}

/// Runs git as a user does, and gives what it prints.
pub(crate) fn git(room: &Path, arguments: &[&str], input: &[u8]) -> Result<String> {
    run(room, arguments, input, None)
}

fn run(room: &Path, arguments: &[&str], input: &[u8], index: Option<&Path>) -> Result<String> {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=U", "-c", "user.email=u@localhost"]).args(arguments);
    command.current_dir(project(room)).env("HOME", room.join("home"));
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    index.map(|index| command.env("GIT_INDEX_FILE", index));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start git")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a commit passes the check, in a checkout of its own.
pub(crate) fn is_green(room: &Path, commit: &str) -> Result<bool> {
    let place = tempfile::tempdir_in(room.join("scratch"))?;
    let tree = place.path().join("tree");
    fs::create_dir(&tree)?;
    let prefix = format!("--prefix={}/", tree.display());
    let index = place.path().join("index");
    run(room, &["read-tree", commit], b"", Some(&index))?;
    run(room, &["checkout-index", "-a", &prefix], b"", Some(&index))?;
    let mut shell = Command::new("sh");
    shell.args(["-c", CHECK]).current_dir(&tree).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(shell.status()?.success())
}
