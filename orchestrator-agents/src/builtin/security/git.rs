//! The `git` program, asked so that a repository cannot make it run anything.
//!
//! A repository's own settings may name programs: pagers, external diffs, text converters,
//! signature checkers, file-system monitors, remote helpers that fetch missing objects. Each is
//! switched off, by a flag, a setting on the command line or the environment.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

/// Settings that win over those of the repository.
const SETTINGS: [&str; 14] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.alternateRefsCommand=true",
    "core.sshCommand=false",
    "core.askPass=true",
    "core.quotePath=false",
    "core.untrackedCache=false",
    "diff.external=",
    "log.showSignature=false",
    "gpg.program=false",
    "credential.helper=",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
];

/// What of the caller's environment git may see: where it finds itself and the user's own
/// settings, which hold what directories the user trusts.
const KEPT: [&str; 8] =
    ["PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT", "USERPROFILE", "TEMP", "TMP"];

/// Fixed parts of the environment.
const SET: [(&str, &str); 9] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_PAGER", "cat"),
    ("LC_ALL", "C"),
];

/// A git repository that can be asked.
#[derive(Debug)]
pub(super) struct Git {
    program: PathBuf,
    root: PathBuf,
    /// Whether its history is cut off.
    pub(super) is_shallow: bool,
    /// Where the project lies in the repository; empty at its top.
    pub(super) prefix: String,
}

/// Why git cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// Not installed, as far as the search path tells.
    #[error("git is not on the PATH; install it")]
    Missing,
    /// The project is in no repository that git accepts.
    #[error("git finds no repository that it may read: {0}")]
    NoRepository(String),
    /// It could not be started or read.
    #[error("git could not be run")]
    Io(#[from] io::Error),
}

impl Git {
    /// The repository that holds `root`.
    ///
    /// # Errors
    /// [`GitError`] when there is no git, or no repository that it accepts.
    pub(super) fn open(root: &Path) -> Result<Self, GitError> {
        let program = program(std::env::var_os("PATH").as_deref()).ok_or(GitError::Missing)?;
        let mut git =
            Self { program, root: root.to_path_buf(), is_shallow: false, prefix: String::new() };
        let output = git
            .command(["rev-parse", "--is-shallow-repository", "--show-prefix"])
            .stderr(Stdio::piped())
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or("it gave no reason");
            return Err(GitError::NoRepository(first.trim_start_matches("fatal: ").to_owned()));
        }
        let answer = String::from_utf8_lossy(&output.stdout);
        let mut lines = answer.lines();
        git.is_shallow = lines.next() == Some("true");
        git.prefix = lines.next().unwrap_or_default().to_owned();
        Ok(git)
    }

    /// The files under the root that git tracks although its ignore rules name them.
    ///
    /// # Errors
    /// [`GitError::Io`] when git cannot be run or fails.
    pub(super) fn tracked_but_ignored(&self) -> Result<Vec<String>, GitError> {
        self.list(&["ls-files", "-z", "--cached", "--ignored", "--exclude-standard"], &[])
    }

    /// Those of `paths` that git tracks.
    ///
    /// # Errors
    /// [`GitError::Io`] when git cannot be run or fails.
    pub(super) fn tracked(&self, paths: &[&str]) -> Result<Vec<String>, GitError> {
        let mut tracked = Vec::new();
        // Far below what any system takes as one command line.
        for part in paths.chunks(200) {
            tracked.extend(self.list(&["ls-files", "-z", "--cached"], part)?);
        }
        Ok(tracked)
    }

    fn list(&self, arguments: &[&str], paths: &[&str]) -> Result<Vec<String>, GitError> {
        let output = self.command(arguments.iter().copied()).arg("--").args(paths).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("git {} failed", arguments.join(" "))).into());
        }
        Ok(output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    /// Every commit of every branch, tag and stash with the lines that it added, newest first.
    ///
    /// # Errors
    /// [`GitError::Io`] when git cannot be started.
    pub(super) fn log(&self) -> Result<Stream, GitError> {
        let mut command = self.command([
            "log",
            "--all",
            "--full-history",
            "--cc",
            "--unified=0",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--no-show-signature",
            "--no-renames",
            "--no-notes",
            "--no-mailmap",
            "--no-indent-heuristic",
            "--submodule=short",
            "--ignore-submodules=all",
            "--diff-algorithm=myers",
            "--inter-hunk-context=0",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "-O/dev/null",
            "--relative",
            "--format=commit %H",
        ]);
        command.arg("--");
        if !self.prefix.is_empty() {
            command.arg(".");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        match child.stdout.take() {
            Some(output) => Ok(Stream { child, output }),
            None => Err(io::Error::other("git has no output").into()),
        }
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(SET).arg("--no-pager").arg("-C").arg(&self.root);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        command
    }
}

/// A running `git log`; stopped when dropped.
#[derive(Debug)]
pub(super) struct Stream {
    child: Child,
    /// What it prints.
    pub(super) output: ChildStdout,
}

impl Stream {
    /// Waits for the end, and says whether git was content.
    pub(super) fn succeeded(mut self, cancelled: &AtomicBool) -> bool {
        if cancelled.load(Ordering::Relaxed) {
            return false;
        }
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The git program of the search path. Relative entries are left out: they would run what the
/// project holds.
fn program(path: Option<&OsStr>) -> Option<PathBuf> {
    let names: &[&str] = if cfg!(windows) { &["git.exe"] } else { &["git"] };
    std::env::split_paths(path.unwrap_or(&OsString::new()))
        .filter(|dir| dir.is_absolute())
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn git_is_only_taken_from_absolute_directories() {
        let dir = tempfile::tempdir().unwrap();
        let name = if cfg!(windows) { "git.exe" } else { "git" };
        fs::write(dir.path().join(name), "").unwrap();
        let join = |dirs: &[&Path]| std::env::join_paths(dirs).unwrap();
        assert_eq!(program(Some(&join(&[Path::new("."), Path::new("bin")]))), None);
        assert_eq!(program(None), None);
        assert_eq!(
            program(Some(&join(&[Path::new("."), dir.path()]))),
            Some(dir.path().join(name))
        );
    }

    #[test]
    fn a_directory_without_a_repository_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = Git::open(dir.path()).unwrap_err();
        assert!(matches!(error, GitError::NoRepository(_)), "{error}");
    }
}
