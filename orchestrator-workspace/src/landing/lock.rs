//! One at a time on each branch, over all processes of a machine.
//!
//! The lock is the kernel's: it is free as soon as whoever has it is gone, however that came about.
//! The file stays, so that nobody locks one that another has just removed.

use super::LandError;
use orchestrator_core::id::CacheKey;
use serde_json::json;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// The right to work on the queue of a branch, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closing it gives the lock back.
    _file: File,
}

impl Lock {
    /// Takes the lock of `branch` of the repository at `git_dir`, unless somebody has it.
    pub(super) fn take(
        directory: &Path,
        git_dir: &Path,
        branch: &str,
    ) -> Result<Option<Self>, LandError> {
        let path = place(directory, git_dir, branch);
        let failed = |source| LandError::Lock { path: path.clone(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// The file of the lock. Names of branches have characters and lengths that those of files cannot.
pub(super) fn place(directory: &Path, git_dir: &Path, branch: &str) -> PathBuf {
    let key = CacheKey::of(&json!([git_dir.to_string_lossy(), branch]));
    let digits = key.as_str().trim_start_matches("sha256:");
    directory.join(format!("{}.lock", &digits[..32]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_branch() {
        let dir = tempfile::tempdir().unwrap();
        let take = |branch| Lock::take(dir.path(), Path::new("/r/.git"), branch).unwrap();
        let first = take("main").unwrap();
        assert!(take("main").is_none());
        assert!(take("other").is_some());
        drop(first);
        assert!(take("main").is_some());
    }
}
