//! Linked worktrees: what git itself keeps of them.
//!
//! Git reads what it keeps of all worktrees whenever one is made or removed, and fails on one that
//! another git is just writing. So all of ours, of whatever process, take turns here; and what a git of
//! somebody else is in the middle of is waited for.

use super::{GitError, Operation, Repository, bytes, names, program::Output};
use crate::worktree::remove_all;
use orchestrator_core::id::CommitId;
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
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
    /// empty. A branch that is there already is used as it is, else it is made at `commit`. Branches of
    /// attempts are ours, so that a worktree which was moved by hand, or was lost with the directory that
    /// it was in, does not keep one.
    ///
    /// # Errors
    /// What git says.
    pub async fn add_worktree(
        &self,
        directory: &Path,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let full = format!("refs/heads/{branch}");
        names::check(&full)?;
        let mut arguments: Vec<&OsStr> =
            ["worktree", "add", "--force", "--force", "--no-checkout", "--quiet"]
                .map(OsStr::new)
                .into();
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

    /// The checkout in which something was begun on `branch`, a full name, that is not finished and
    /// has left it for a while.
    pub(crate) fn returning_to(&self, branch: &str) -> Option<(PathBuf, Operation)> {
        let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        let marks = [
            ("rebase-merge/head-name", Operation::Rebase),
            ("rebase-apply/head-name", Operation::Rebase),
            ("BISECT_START", Operation::Bisect),
        ];
        let linked = fs::read_dir(self.common_dir().join("worktrees")).into_iter().flatten();
        let linked = linked.flatten().map(|entry| entry.path());
        let own = self.common_dir().to_owned();
        std::iter::once(own).chain(linked).find_map(|git_dir| {
            let (_, operation) = marks.iter().find(|(mark, _)| {
                let name = fs::read(git_dir.join(mark)).unwrap_or_default();
                [branch, short].iter().any(|wanted| wanted.as_bytes() == name.trim_ascii())
            })?;
            let place = place_of(&git_dir).unwrap_or_else(|| git_dir.clone());
            Some((place.parent().unwrap_or(&place).to_owned(), *operation))
        })
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

    /// Why a person wants the linked worktree at `directory` to stay (`git worktree lock`); empty when
    /// that was not said, and `None` when nobody does.
    pub fn worktree_lock(&self, directory: &Path) -> Option<String> {
        let entry = entry_of(&directory.join(".git"))?;
        let is_ours = self.is_entry(&entry) && place_of(&entry)? == real(directory).join(".git");
        let reason = fs::read(entry.join("locked")).ok().filter(|_| is_ours)?;
        let reason = String::from_utf8_lossy(&reason).trim().to_owned();
        // What git itself writes while it makes one, and leaves behind when it is killed.
        (reason != "initializing").then_some(reason)
    }

    /// Ties the files of a linked worktree to the repository again, where one of the two files that do
    /// has gone or leads elsewhere: somebody has removed it, or moved the project or the place. Nothing
    /// else of the files is looked at, and a `.git` that is no such file is left alone.
    ///
    /// `spare` is a directory that is not there; without a trace of the worktree in the repository a
    /// new one on `branch` is made by way of it. Says whether there was something to mend.
    ///
    /// # Errors
    /// What git says.
    pub(crate) async fn mend_worktree(
        &self,
        directory: &Path,
        (branch, commit): (&str, &CommitId),
        spare: &Path,
    ) -> Result<bool, GitError> {
        let directory = real(directory);
        let link = directory.join(".git");
        if fs::symlink_metadata(&link).is_ok_and(|meta| !meta.is_file()) {
            return Ok(false);
        }
        let said = entry_of(&link);
        let is_whole = |entry: &PathBuf| {
            self.is_entry(entry) && place_of(entry).is_some_and(|place| place == link)
        };
        if said.as_ref().is_some_and(is_whole) {
            return Ok(false);
        }
        let all = self.common_dir().join("worktrees");
        let named = said.as_ref().and_then(|entry| entry.file_name()).map(|name| all.join(name));
        let others = fs::read_dir(&all).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_its = |entry: &PathBuf| {
            let Some(place) = place_of(entry).filter(|_| self.is_entry(entry)) else {
                return false;
            };
            // One that leads to a place which knows of it belongs there.
            place == link
                || place.parent().and_then(Path::file_name) == directory.file_name()
                    && entry_of(&place).as_ref() != Some(entry)
        };
        let entry = match named.into_iter().chain(others).find(is_its) {
            Some(entry) => entry,
            None => {
                let made = spare.join(directory.file_name().unwrap_or_default());
                remove_all(spare).map_err(|e| GitError::file("remove", spare, e))?;
                fs::create_dir_all(spare).map_err(|e| GitError::file("make", spare, e))?;
                self.remove_worktree(&made).await?;
                self.add_worktree(&made, branch, commit).await?;
                entry_of(&made.join(".git"))
                    .ok_or_else(|| GitError::Unreadable { command: "worktree".into() })?
            }
        };
        let written = |file: PathBuf, before: &[u8], path: &Path| {
            let text = [before, bytes::of(path), b"\n"].concat();
            fs::write(&file, text).map_err(|e| GitError::file("write", file, e))
        };
        written(entry.join("gitdir"), b"", &link)?;
        written(link, b"gitdir: ", &entry)?;
        remove_all(spare).map_err(|e| GitError::file("remove", spare, e))?;
        Ok(true)
    }

    /// Whether `entry` is what git keeps of a linked worktree of this repository.
    fn is_entry(&self, entry: &Path) -> bool {
        entry.parent() == Some(&*real(&self.common_dir().join("worktrees")))
            && ["HEAD", "commondir"].iter().all(|file| entry.join(file).is_file())
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

/// What the `.git` of a linked worktree leads to (gitrepository-layout(5)).
fn entry_of(link: &Path) -> Option<PathBuf> {
    let text = fs::symlink_metadata(link).ok().filter(|meta| meta.is_file());
    let text = text.and_then(|_| fs::read(link).ok())?;
    let path = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    Some(real(&link.parent()?.join(bytes::path(path))))
}

/// The `.git` of the worktree that `entry` is kept of.
fn place_of(entry: &Path) -> Option<PathBuf> {
    let text = fs::read(entry.join("gitdir")).ok()?;
    let path = entry.join(bytes::path(text.trim_ascii_end()));
    Some(real(path.parent()?).join(path.file_name()?))
}

/// A path without links on its way, as far as it is there.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether git has met a worktree that is being written or removed.
fn is_half(words: &str) -> bool {
    let is_of_worktree = words.contains("worktrees/");
    is_of_worktree && ["commondir", "gitdir"].iter().any(|file| words.contains(file))
}
