//! Linked worktrees: what git itself keeps of them.
//!
//! Git reads what it keeps of all worktrees whenever one is made or removed, and fails on one that
//! another git is just writing. So all of ours, of whatever process, take turns here; and what a git of
//! somebody else is in the middle of is waited for.

use super::{GitError, Repository, bytes, names, program::Output};
use orchestrator_core::id::CommitId;
use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    time::Duration,
};

/// How often a half-written worktree of somebody else is waited for, and how long each time.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// A worktree that git knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Where it is.
    pub directory: PathBuf,
    /// What it is on; none on a branch without a commit.
    pub head: Option<CommitId>,
    /// Its branch, without `refs/heads/`; none when it is detached.
    pub branch: Option<String>,
}

impl Repository {
    /// Makes a linked worktree with a branch and no files: `directory` must not be there or be
    /// empty. A branch that is there already is used as it is, else it is made at `commit`.
    ///
    /// # Errors
    /// What git says, such as that another worktree is on the branch.
    pub async fn add_worktree(
        &self,
        directory: &Path,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let full = format!("refs/heads/{branch}");
        names::check(&full)?;
        let mut arguments: Vec<&OsStr> =
            ["worktree", "add", "--no-checkout", "--quiet"].map(OsStr::new).into();
        match self.find_ref(&full).await? {
            Some(_) => arguments.extend(["--".as_ref(), directory.as_os_str(), branch.as_ref()]),
            None => {
                arguments.extend(["--no-track", "-b", branch, "--"].map(OsStr::new));
                arguments.extend([directory.as_os_str(), commit.as_ref().as_ref()]);
            }
        }
        let output = self.in_turn(&arguments).await?;
        match output.code {
            Some(0) => Ok(()),
            _ => Err(GitError::of("worktree", &output.stderr)),
        }
    }

    /// Every worktree that git knows of, the user's own first.
    ///
    /// # Errors
    /// What git says.
    pub async fn worktrees(&self) -> Result<Vec<Linked>, GitError> {
        let output =
            self.in_turn(&["worktree", "list", "--porcelain", "-z"].map(OsStr::new)).await?;
        if output.code != Some(0) {
            return Err(GitError::of("worktree", &output.stderr));
        }
        let mut found: Vec<Linked> = Vec::new();
        for line in output.stdout.split(|byte| *byte == 0) {
            if let Some(path) = line.strip_prefix(b"worktree ") {
                let directory = bytes::path(path);
                found.push(Linked { directory, head: None, branch: None });
                continue;
            }
            let Some(last) = found.last_mut() else { continue };
            let line = String::from_utf8_lossy(line);
            if let Some(head) = line.strip_prefix("HEAD ") {
                last.head =
                    CommitId::new(head).ok().filter(|id| id.as_ref().bytes().any(|b| b != b'0'));
            } else if let Some(branch) = line.strip_prefix("branch refs/heads/") {
                last.branch = Some(branch.to_owned());
            }
        }
        Ok(found)
    }

    /// Makes git forget a linked worktree, and removes its directory if it is still there, whatever
    /// is in it. That git does not know it is no failure.
    ///
    /// # Errors
    /// What git says.
    pub async fn remove_worktree(&self, directory: &Path) -> Result<(), GitError> {
        let mut arguments: Vec<&OsStr> =
            ["worktree", "remove", "--force", "--force", "--"].map(OsStr::new).into();
        arguments.push(directory.as_os_str());
        let output = self.in_turn(&arguments).await?;
        let is_gone = output.stderr.contains("is not a working tree");
        if output.code == Some(0) || is_gone {
            return Ok(());
        }
        Err(GitError::of("worktree", &output.stderr))
    }

    /// Makes a call while no other of ours does.
    async fn in_turn(&self, arguments: &[&OsStr]) -> Result<Output, GitError> {
        let path = self.common_dir().join("orchestrator.lock");
        let _turn = {
            let lock = path.clone();
            let locked = move || {
                let file =
                    OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
                file.lock()?;
                Ok::<File, std::io::Error>(file)
            };
            let locked = tokio::task::spawn_blocking(locked).await;
            let locked = locked.unwrap_or_else(|e| Err(std::io::Error::other(e)));
            locked.map_err(|e| GitError::file("lock", path, e))?
        };
        let mut tries = TRIES;
        loop {
            let output = self.git().call(self.call().await?.args(arguments)).await?;
            tries -= 1;
            if tries == 0 || output.code == Some(0) || !is_half(&output.stderr) {
                return Ok(output);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether git has met a worktree that is being written or removed.
fn is_half(words: &str) -> bool {
    let is_of_worktree = words.contains("worktrees/");
    is_of_worktree && ["commondir", "gitdir"].iter().any(|file| words.contains(file))
}
