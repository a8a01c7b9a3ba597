//! Where a project belongs.

use super::{Git, GitError, bytes, drivers::Drivers, program::Call};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A git repository with files beside it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    git: Git,
    git_dir: PathBuf,
    common_dir: PathBuf,
    top: PathBuf,
    prefix: PathBuf,
    is_shallow: bool,
    drivers: Drivers,
}

/// Something that a person has begun with git and not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `git merge`.
    Merge,
    /// `git rebase` or `git am`.
    Rebase,
    /// `git cherry-pick`.
    CherryPick,
    /// `git revert`.
    Revert,
    /// `git bisect`.
    Bisect,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Bisect => "bisect",
        })
    }
}

impl Repository {
    /// The repository that `directory` belongs to: the one of the nearest parent with a `.git`, as for
    /// git itself. A detached head, an unborn branch, an unfinished merge and a locked index are no
    /// hindrance here, since none of that is used.
    ///
    /// # Errors
    /// [`GitError::NotARepository`], [`GitError::Bare`], [`GitError::Inside`],
    /// [`GitError::ForeignOwner`], [`GitError::NoDirectory`].
    pub async fn discover(git: &Git, directory: &Path) -> Result<Self, GitError> {
        let path = || directory.to_owned();
        if !directory.is_dir() {
            return Err(GitError::NoDirectory { path: path() });
        }
        // Without a given `GIT_DIR`, so that git checks whose it is.
        let ask = async |what: &str| {
            let arguments = ["rev-parse", "--path-format=absolute", what];
            let output = git.call(Call::new(directory).args(arguments)).await?;
            if output.code == Some(0) {
                return Ok(output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout).to_vec());
            }
            let has = |text: &str| output.stderr.contains(text);
            Err(if has("dubious ownership") {
                GitError::ForeignOwner { path: path() }
            } else if has("cannot use bare repository") {
                GitError::Bare { path: path() }
            } else if has("must be run in a work tree") {
                GitError::Inside { path: path() }
            } else if has("not a git repository") {
                GitError::NotARepository { path: path() }
            } else {
                GitError::of("rev-parse", &output.stderr)
            })
        };
        let git_dir = ask("--absolute-git-dir").await?;
        if ask("--is-bare-repository").await? == b"true" {
            return Err(GitError::Bare { path: path() });
        }
        let (top, common, prefix, shallow) = tokio::join!(
            ask("--show-toplevel"),
            ask("--git-common-dir"),
            ask("--show-prefix"),
            ask("--is-shallow-repository"),
        );
        let inner = Inner {
            git: git.clone(),
            git_dir: bytes::path(&git_dir),
            top: bytes::path(&top?),
            common_dir: bytes::path(&common?),
            prefix: bytes::path(&prefix?),
            is_shallow: shallow? == b"true",
            drivers: Drivers::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The repository whose own files are in `git_dir`, for files in `top`: for submodules.
    pub(crate) fn at(git: &Git, git_dir: PathBuf, top: PathBuf) -> Self {
        let inner = Inner {
            git: git.clone(),
            common_dir: git_dir.clone(),
            is_shallow: git_dir.join("shallow").exists(),
            git_dir,
            top,
            prefix: PathBuf::new(),
            drivers: Drivers::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The program.
    pub fn git(&self) -> &Git {
        &self.inner.git
    }

    /// Where its own files are: of a linked worktree, those of that worktree.
    pub fn git_dir(&self) -> &Path {
        &self.inner.git_dir
    }

    /// Where objects and refs are.
    pub fn common_dir(&self) -> &Path {
        &self.inner.common_dir
    }

    /// The uppermost directory of its files.
    pub fn top(&self) -> &Path {
        &self.inner.top
    }

    /// Where below [`Repository::top`] the project's directory is; empty when it is the same.
    pub fn prefix(&self) -> &Path {
        &self.inner.prefix
    }

    /// Whether its history has been cut off somewhere.
    pub fn is_shallow(&self) -> bool {
        self.inner.is_shallow
    }

    /// What a person has begun in the user's checkout and not finished.
    pub fn operation(&self) -> Option<Operation> {
        let marks = [
            ("MERGE_HEAD", Operation::Merge),
            ("rebase-merge", Operation::Rebase),
            ("rebase-apply", Operation::Rebase),
            ("CHERRY_PICK_HEAD", Operation::CherryPick),
            ("REVERT_HEAD", Operation::Revert),
            ("BISECT_LOG", Operation::Bisect),
        ];
        let is_there = |(mark, _): &&(&str, Operation)| self.git_dir().join(mark).exists();
        marks.iter().find(is_there).map(|(_, operation)| *operation)
    }

    /// Refuses when the user's own checkout must not be touched now: something is not finished
    /// there, or another git works on it. For those that change it because they were asked to.
    ///
    /// # Errors
    /// [`GitError::Unfinished`] and [`GitError::Locked`].
    pub fn check_idle(&self) -> Result<(), GitError> {
        if let Some(operation) = self.operation() {
            return Err(GitError::Unfinished { operation, path: self.top().to_owned() });
        }
        let lock = self.git_dir().join("index.lock");
        if lock.exists() { Err(GitError::Locked { path: lock }) } else { Ok(()) }
    }

    /// A call on its objects and refs. Without a work tree of the caller's there is none: files of
    /// the user's checkout are not looked at.
    pub(crate) async fn call(&self) -> Result<Call<'_>, GitError> {
        let mut call = Call::new(self.common_dir());
        call.git_dir = Some(self.common_dir());
        call.work_tree = Some(self.common_dir());
        call.settings = self.inner.drivers.settings(self.git(), self.common_dir()).await?;
        Ok(call)
    }

    /// What a git command gives that works on objects and refs alone: for those that need one which
    /// has no function here. `arguments` begin with the subcommand; text of users belongs behind
    /// `--` or `--end-of-options`. There are no files to work on.
    ///
    /// # Errors
    /// What the command says, as [`GitError`].
    pub async fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, GitError> {
        self.git().run(self.call().await?.args(arguments)).await
    }
}
