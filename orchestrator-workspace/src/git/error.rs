//! What git or a repository does not allow.

use orchestrator_core::error::{ErrorClass, Failure};
use rustix::fs::StatVfsMountFlags;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many bytes of what git says are told.
const TOLD: usize = 2_000;

/// Why something was not done with a repository. Nothing of the user's has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no `git`.
    #[error(
        "cannot start `git`: install it, at least version {needed}, and see that it is in PATH"
    )]
    NotInstalled {
        /// The least version.
        needed: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is too old.
    #[error("git {found} is too old: install version {needed} or a later one")]
    TooOld {
        /// What is there.
        found: String,
        /// The least version.
        needed: &'static str,
    },
    /// The directory belongs to no repository.
    #[error(
        "`{}` is not in a git repository: run `git init` and make a first commit there, or use a \
         workspace of kind `copy`, which needs no git", .path.display()
    )]
    NotARepository {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is not there.
    #[error("`{}` is not a directory that can be entered: check the path", .path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The repository has no files beside it.
    #[error(
        "`{}` is a bare repository, without files to work on: use a clone of it (`git clone`)",
        .path.display()
    )]
    Bare {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is inside of a `.git`.
    #[error("`{}` is inside of a repository's own files: use the directory of the project", .path.display())]
    Inside {
        /// The directory.
        path: PathBuf,
    },
    /// Another user owns it.
    #[error(
        "the repository at `{}` belongs to another user, and git does not trust it: if you do, run \
         `git config --global --add safe.directory` with its path", .path.display()
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
    },
    /// There is no commit yet.
    #[error("the branch has no commit yet: make a first one (`git commit`) and try again")]
    Unborn,
    /// A merge, rebase or the like has not been finished.
    #[error("a {operation} is not finished in `{}`: finish or abort it, and try again", .path.display())]
    Unfinished {
        /// Which operation.
        operation: super::Operation,
        /// The checkout.
        path: PathBuf,
    },
    /// Something holds a lock of the repository.
    #[error(
        "`{}` exists: another git works on this repository; wait for it, or remove the file when \
         you know that it has ended", .path.display()
    )]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// The disk is full, or a quota is used up.
    #[error("the disk is full: make room and try again ({detail})")]
    DiskFull {
        /// What git says.
        detail: String,
    },
    /// It may not be written.
    #[error(
        "the repository or its state directory may not be written: check its permissions and whether it is mounted read-only ({detail})"
    )]
    ReadOnly {
        /// What git says.
        detail: String,
    },
    /// A name leads to no commit or object.
    #[error("`{name}` names no commit here: check it with `git rev-parse`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A name that git cannot have.
    #[error("{name:?} cannot be {what}: {rule}")]
    BadName {
        /// The name.
        name: String,
        /// What it was to be.
        what: &'static str,
        /// What is allowed.
        rule: &'static str,
    },
    /// A ref is not what it was thought to be.
    #[error("`{name}` was changed by somebody else meanwhile; look at it and try again")]
    Moved {
        /// The ref.
        name: String,
    },
    /// Another ref is in the way, since one cannot be beside what is below it.
    #[error("a branch of the repository is in the way: rename it ({detail})")]
    Taken {
        /// What git says.
        detail: String,
    },
    /// Objects are not on this machine.
    #[error(
        "objects of the repository are not on this machine ({detail}): fetch them first, such as \
         with `git fetch --unshallow` or `git fetch --refetch`"
    )]
    Missing {
        /// What git says.
        detail: String,
    },
    /// Two paths are one on a file system that does not tell capitals from small letters.
    #[error(
        "`{first}` and `{second}` are one file where capitals and small letters are the same: \
         rename one of them, or put the state directory on another file system"
    )]
    CaseClash {
        /// The one path.
        first: String,
        /// The other.
        second: String,
    },
    /// It took too long.
    #[error("`git {command}` was stopped after {} s: is the disk slow, or the repository very large?", .limit.as_secs())]
    TimedOut {
        /// The subcommand.
        command: String,
        /// How long it may take.
        limit: Duration,
    },
    /// Something else that git says.
    #[error("`git {command}` failed: {detail}")]
    Failed {
        /// The subcommand.
        command: String,
        /// The end of what it says.
        detail: String,
    },
    /// What git gave is not what it gives.
    #[error("cannot read what `git {command}` gave: is another program called git?")]
    Unreadable {
        /// The subcommand.
        command: String,
    },
    /// A file or directory of our own.
    #[error("cannot {what} `{}`", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl GitError {
    /// Turns an error of the file system into what it means.
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        let detail = || format!("{}: {source}", path.display());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { detail: detail() }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { detail: detail() }
            }
            _ => Self::File { what, path, source },
        }
    }

    /// What git's own words mean. They are those of the locale `C`.
    pub(crate) fn of(command: &str, words: &str) -> Self {
        let detail = || excerpt(words);
        let has = |text: &str| words.contains(text);
        // Of files that it checks out git does not say why they cannot be written; those that may not
        // be are told of when they are created.
        let full = [
            "No space left on device",
            "Disk quota exceeded",
            "File too large",
            "unable to write file",
            "unable to write new index file",
            // Of a ref whose lock was made.
            "couldn't write '",
        ];
        if full.iter().any(|sign| has(sign)) {
            return Self::DiskFull { detail: detail() };
        }
        if let Some(lock) = lock(words) {
            return Self::Locked { path: lock.into() };
        }
        if let Some(place) = unmade(words) {
            return Self::unmade(place, detail());
        }
        if has("Read-only file system")
            || has("insufficient permission")
            || has("Permission denied")
        {
            return Self::ReadOnly { detail: detail() };
        }
        if has("exists; cannot create") {
            return Self::Taken { detail: detail() };
        }
        if has("missing blob")
            || has("promisor")
            || has("unable to read tree")
            || has("unable to read sha1 file")
            || has("not allowed in this repository")
            || has("lazy fetching disabled")
            || has("transport 'file' not allowed")
        {
            return Self::Missing { detail: detail() };
        }
        Self::Failed { command: command.into(), detail: detail() }
    }

    /// What it means that git could not make a directory, of which it does not say why.
    fn unmade(path: &Path, detail: String) -> Self {
        let there = path.ancestors().skip(1).find_map(|path| rustix::fs::statvfs(path).ok());
        match there {
            Some(there)
                if !there.f_flag.contains(StatVfsMountFlags::RDONLY)
                    && there.f_blocks > 0
                    && (there.f_bavail == 0 || there.f_files > 0 && there.f_favail == 0) =>
            {
                Self::DiskFull { detail }
            }
            _ => Self::ReadOnly { detail },
        }
    }

    /// The stable code, which has a page in the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotInstalled { .. } | Self::TooOld { .. } => "ORC-0704",
            Self::NotARepository { .. } | Self::NoDirectory { .. } | Self::Inside { .. } => {
                "ORC-0610"
            }
            Self::Bare { .. } => "ORC-0611",
            Self::Unborn => "ORC-0612",
            Self::Unfinished { .. } => "ORC-0613",
            Self::Locked { .. } => "ORC-0614",
            Self::ForeignOwner { .. } => "ORC-0615",
            Self::ReadOnly { .. } => "ORC-0616",
            Self::DiskFull { .. } => "ORC-0404",
            Self::Unknown { .. }
            | Self::BadName { .. }
            | Self::Moved { .. }
            | Self::Missing { .. }
            | Self::CaseClash { .. } => "ORC-0617",
            Self::Taken { .. }
            | Self::TimedOut { .. }
            | Self::Failed { .. }
            | Self::Unreadable { .. }
            | Self::File { .. } => "ORC-0618",
        }
    }

    /// How the engine treats it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotInstalled { .. }
            | Self::TooOld { .. }
            | Self::NotARepository { .. }
            | Self::NoDirectory { .. }
            | Self::Bare { .. }
            | Self::Inside { .. }
            | Self::ForeignOwner { .. }
            | Self::Unborn
            | Self::Unfinished { .. }
            | Self::ReadOnly { .. }
            | Self::Unknown { .. }
            | Self::BadName { .. }
            | Self::Missing { .. }
            | Self::Taken { .. }
            | Self::CaseClash { .. } => ErrorClass::InvalidRequest,
            Self::Locked { .. }
            | Self::DiskFull { .. }
            | Self::Moved { .. }
            | Self::TimedOut { .. }
            | Self::Failed { .. }
            | Self::Unreadable { .. }
            | Self::File { .. } => ErrorClass::Transient,
        }
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let (class, code) = (error.class(), error.code());
        let message = match std::error::Error::source(&error) {
            Some(source) => format!("{code}: {error}: {source}"),
            None => format!("{code}: {error}"),
        };
        Self::new(class, message)
    }
}

/// The lock that is in the way, when that is what it says.
fn lock(words: &str) -> Option<&str> {
    let (before, _) = words.split_once(".lock': File exists")?;
    let start = before.rfind('\'')? + 1;
    words.get(start..before.len() + ".lock".len())
}

/// The directory that could not be made, when that is what it says.
fn unmade(words: &str) -> Option<&Path> {
    let (_, rest) = words.split_once("unable to create directory for ")?;
    rest.lines().next().map(Path::new)
}

/// The last of what was said, without control characters that would upset a terminal.
fn excerpt(words: &str) -> String {
    let words = words.trim();
    let mut start = words.len().saturating_sub(TOLD);
    while !words.is_char_boundary(start) {
        start += 1;
    }
    let clean = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    words[start..].chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_git_are_told_apart() {
        let of = |words| GitError::of("x", words);
        let full = of("fatal: write error: No space left on device");
        assert!(matches!(full, GitError::DiskFull { .. }));
        let locked = of("fatal: Unable to create '/a b/.git/index.lock': File exists.\n\nAnother");
        assert!(
            matches!(&locked, GitError::Locked { path } if path.as_os_str() == "/a b/.git/index.lock"),
            "{locked:?}"
        );
        let read_only = of("error: unable to create file x: Read-only file system");
        assert!(matches!(read_only, GitError::ReadOnly { .. }));
        let full = of("fatal: cannot update ref 'refs/x': couldn't write '/a/.git/refs/x.lock'");
        assert!(matches!(full, GitError::DiskFull { .. }));
        let unmade = of("fatal: cannot lock ref 'a': unable to create directory for /proc/none/a");
        assert!(matches!(unmade, GitError::ReadOnly { .. }), "{unmade:?}");
        assert!(matches!(of("fatal: bad thing"), GitError::Failed { .. }));
    }

    #[test]
    fn what_is_told_is_the_end_and_harmless() {
        let long = format!("{}\u{1b}[31mé end", "é".repeat(TOLD));
        let told = excerpt(&long);
        assert!(told.ends_with("\u{fffd}[31mé end") && told.len() <= TOLD + 2);
    }
}
