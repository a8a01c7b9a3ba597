//! Keeping the files of a place that is done with for the next, and nothing else of it.
//!
//! The directory of an attempt is never used again. A new one is made, and out of the old one come only
//! files of the base that nobody has touched since the place was made ready: the system itself changes
//! the time of the last change of an inode with every write, mode, owner, attribute and link, and no
//! program can set it back. What they hold is then compared with the commit, and the rest is written
//! anew. So neither changed, new and ignored files nor directories, their modes, `.git`, hooks,
//! settings, indexes and files of submodules go from one attempt to another.

use super::{Mark, open::blocking, pool::Pool, size_of};
use crate::{
    GitWorkspaces,
    git::{Checkout, GitError, Repository, bytes},
};
use orchestrator_core::{error::Failure, workspace::Opened};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, FileType, Mode, OFlags, mkdirat, open, openat, renameat, statat},
    io::Errno,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// The name that a sandbox has which confines nothing.
const UNCONFINED: &str = "off";

impl GitWorkspaces {
    /// Keeps what is left untouched of a place, if it is wanted and safe. That it cannot be is no
    /// failure of whoever is done with the place.
    pub(super) async fn keep_files(&self, name: &str, mark: &Mark, opened: &Opened) {
        // A program that nothing confined may live on with a file open.
        if opened.sandbox == UNCONFINED || self.pool.bounds().count == 0 {
            return;
        }
        match self.recycle(name, mark).await {
            Ok(true) => tracing::debug!(place = name, "its files are kept for the next"),
            Ok(false) => {}
            Err(failure) => tracing::debug!(%failure, "the files of a place are not kept"),
        }
    }

    async fn recycle(&self, name: &str, mark: &Mark) -> Result<bool, Failure> {
        let (Some(base), Some(ready)) = (&mark.base, self.made_ready(name)) else {
            return Ok(false);
        };
        if mark.is_sparse {
            return Ok(false);
        }
        let repository = self.repository(&mark.project).await?;
        let top = self.registry.directory(name);
        let size = {
            let top = top.clone();
            blocking(move || size_of(&top)).await?
        };
        let Some(slot) = self.pool.vacant(size)? else { return Ok(false) };
        let (tree, index) = (slot.tree(), slot.index());
        fs::create_dir(&tree).map_err(|e| GitError::file("make", &tree, e))?;
        let names = repository.begin_index(base, &tree, &index).await?;
        let kept = {
            let (top, tree) = (top.clone(), tree.clone());
            blocking(move || salvage(&top, &tree, &names, ready)).await?
        };
        if let Err(error) = kept {
            let error = std::io::Error::from(error);
            return Err(GitError::file("move files out of", &top, error).into());
        }
        repository.compare_files(&tree, &index).await?;
        let wanted = Checkout { commit: base, directory: &tree, index: &index, sparse: &[] };
        repository.checkout(&wanted).await?;
        let (pool, base): (Pool, _) = (self.pool.clone(), base.clone());
        blocking(move || pool.offer(&slot, &repository, &base)).await??;
        Ok(true)
    }

    /// When a place was made ready, as the file system tells the time: seconds and nanoseconds.
    /// Nothing of what an attempt runs has begun before.
    fn made_ready(&self, name: &str) -> Option<(i64, i64)> {
        // It is the last thing written before, and never written again.
        let meta = fs::metadata(self.registry.beside(name, "exclude")).ok()?;
        Some((meta.ctime(), meta.ctime_nsec()))
    }
}

/// Moves those of `names` from one directory to another whose inodes were last changed before `ready`.
fn salvage(from: &Path, to: &Path, names: &[PathBuf], ready: (i64, i64)) -> Result<(), Errno> {
    let directory = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let (from, to) = (open(from, directory, Mode::empty())?, open(to, directory, Mode::empty())?);
    // Files of one directory stand together.
    let mut last: Option<(&Path, Option<(OwnedFd, OwnedFd)>)> = None;
    for path in names {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        if last.as_ref().is_none_or(|(known, _)| *known != parent) {
            last = Some((parent, both(&from, &to, parent)?));
        }
        let Some((_, Some((from, to)))) = &last else { continue };
        let Ok(stat) = statat(from, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let changed = (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(i64::MAX));
        if is_file && stat.st_nlink == 1 && changed < ready {
            renameat(from, name, to, name)?;
        }
    }
    Ok(())
}

/// A directory below both, made in the second; none where it is none in the first. An agent may have
/// put a link in its place, which is not followed.
fn both(from: &OwnedFd, to: &OwnedFd, below: &Path) -> Result<Option<(OwnedFd, OwnedFd)>, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut pair =
        (openat(from, ".", flags, Mode::empty())?, openat(to, ".", flags, Mode::empty())?);
    for part in below.components() {
        let Component::Normal(part) = part else { return Ok(None) };
        let Ok(inner) = openat(&pair.0, part, flags, Mode::empty()) else { return Ok(None) };
        match mkdirat(&pair.1, part, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        pair = (inner, openat(&pair.1, part, flags, Mode::empty())?);
    }
    Ok(Some(pair))
}

impl Repository {
    /// Makes an index of a commit that says nothing of files, and gives their paths.
    async fn begin_index(
        &self,
        commit: &orchestrator_core::id::CommitId,
        directory: &Path,
        index: &Path,
    ) -> Result<Vec<PathBuf>, GitError> {
        let call = self.call().await?.work_tree(directory).index(index);
        self.git().run(call.args(["read-tree", "--reset", commit.as_ref()])).await?;
        let call = self.call().await?.work_tree(directory).index(index);
        let listed = self.git().run(call.args(["ls-files", "-z"])).await?;
        Ok(bytes::parts(&listed).map(bytes::path).collect())
    }

    /// Reads every file of a directory, so that its index knows those that are as they should be.
    async fn compare_files(&self, directory: &Path, index: &Path) -> Result<(), GitError> {
        let call = self.call().await?.work_tree(directory).index(index);
        // It ends with 1 when some are not.
        self.git().call(call.args(["update-index", "-q", "--refresh"])).await.map(drop)
    }
}
