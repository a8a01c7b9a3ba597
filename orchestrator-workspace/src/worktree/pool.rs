//! Directories with the files of a commit that are there before somebody asks.
//!
//! Writing ten thousand files takes a file system longer than an attempt should wait. What is taken
//! from here is moved to its place and brought to the wanted commit, for which only what differs is
//! written. Only what nobody has worked in comes from here: a place is never used twice.

use super::{
    mark::{Lock, lock},
    remove_all,
};
use crate::git::{Checkout, GitError, Repository};
use orchestrator_core::id::CommitId;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;

/// Prepared directories of one state directory, shared by all processes.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    root: PathBuf,
    size: usize,
    /// Filling is for one at a time.
    filling: Arc<Mutex<()>>,
}

impl Pool {
    pub(crate) fn new(worktrees: &Path, size: usize) -> Self {
        Self { root: worktrees.join(".pool"), size, filling: Arc::default() }
    }

    /// Moves a prepared directory's files into `directory` and its index to `index`, if there is one.
    pub(super) fn take(
        &self,
        repository: &Repository,
        directory: &Path,
        index: &Path,
    ) -> Result<bool, GitError> {
        for slot in 0..self.size {
            let Some(_lock) = self.lock(slot)? else { continue };
            let (tree, ready) = (self.tree(slot), self.ready(slot));
            if fs::read(&ready).ok().as_deref() != Some(&of(repository)) {
                continue;
            }
            // From here on it is nobody's: what is left of it after a crash is removed.
            fs::remove_file(&ready).map_err(|e| GitError::file("remove", &ready, e))?;
            let moved = |e| GitError::file("move", &tree, e);
            for entry in fs::read_dir(&tree).map_err(moved)? {
                let entry = entry.map_err(moved)?;
                fs::rename(entry.path(), directory.join(entry.file_name())).map_err(moved)?;
            }
            fs::rename(self.index(slot), index).map_err(moved)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Prepares directories with the files of `commit` until there are as many as there should be.
    pub(crate) async fn fill(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let Ok(_only) = self.filling.try_lock() else { return Ok(()) };
        for slot in 0..self.size {
            let Some(_lock) = self.lock(slot)? else { continue };
            let (tree, index, ready) = (self.tree(slot), self.index(slot), self.ready(slot));
            if fs::read(&ready).ok().as_deref() == Some(&of(repository)) {
                continue;
            }
            let removed = |path: &Path, result: io::Result<()>| match result {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(GitError::file("remove", path, e))
                }
                _ => Ok(()),
            };
            removed(&ready, fs::remove_file(&ready))?;
            removed(&tree, remove_all(&tree))?;
            removed(&index, fs::remove_file(&index))?;
            let wanted = Checkout { commit, directory: &tree, index: &index, sparse: &[] };
            repository.checkout(&wanted).await?;
            fs::write(&ready, of(repository)).map_err(|e| GitError::file("write", &ready, e))?;
        }
        Ok(())
    }

    fn lock(&self, slot: usize) -> Result<Option<Lock>, GitError> {
        fs::create_dir_all(&self.root).map_err(|e| GitError::file("make", &self.root, e))?;
        lock(&self.root.join(format!("{slot}.lock")))
    }

    fn tree(&self, slot: usize) -> PathBuf {
        self.root.join(slot.to_string())
    }

    fn index(&self, slot: usize) -> PathBuf {
        self.root.join(format!("{slot}.index"))
    }

    fn ready(&self, slot: usize) -> PathBuf {
        self.root.join(format!("{slot}.ready"))
    }
}

/// What a directory was prepared from.
fn of(repository: &Repository) -> Vec<u8> {
    crate::git::bytes::of(repository.common_dir()).to_vec()
}
