//! Directories for a while, which are told from what a crash has left.
//!
//! Each is locked as long as its process has it. One that nobody has locked is left over, and
//! [`Temporary::sweep`] removes it.

use crate::worktree::{remove_all, size_of};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A directory of its own, removed with the value.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    /// Goes with the process, however that ends.
    _lock: File,
}

/// What lay about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Swept {
    /// How many files and directories, without what is in them.
    pub count: u64,
    /// How many bytes they took on the disk.
    pub bytes: u64,
}

impl Temporary {
    /// Makes a directory below `root`, which is made as well, with a name that begins with `prefix`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn make(root: &Path, prefix: &str) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        // Between being made and being locked it looks like one that was left over.
        let turn = File::open(root)?;
        turn.lock_shared()?;
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(root)?;
        let lock = File::open(made.path())?;
        lock.lock()?;
        turn.unlock()?;
        // Where the path has links in it, programs tell of another path than ours.
        let path = made.path().canonicalize()?;
        let _ours_to_remove = made.keep();
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, without links on the way.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what is in `root`, has a name that begins with `prefix`, is not in use, and was changed
    /// last at a time of which `is_old` says so; or only says how much that is. What cannot be removed
    /// now is for the next time.
    ///
    /// # Errors
    /// What the file system says of `root`; that it is not there is no failure.
    pub fn sweep(
        root: &Path,
        prefix: &str,
        is_old: impl Fn(SystemTime) -> bool,
        dry_run: bool,
    ) -> io::Result<Swept> {
        let mut swept = Swept::default();
        let turn = match File::open(root) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(swept),
            Err(error) => return Err(error),
        };
        turn.lock()?;
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            let (path, meta) = (entry.path(), entry.metadata()?);
            let is_named = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
            if !is_named || !is_old(meta.modified()?) {
                continue;
            }
            let _held = match meta.is_dir().then(|| File::open(&path)) {
                Some(Ok(directory)) => match directory.try_lock() {
                    Ok(()) => Some(directory),
                    Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
                },
                // Closed to us by whoever filled it: those that we use are not.
                Some(Err(_)) | None => None,
            };
            let bytes = if meta.is_dir() { size_of(&path) } else { meta.len() };
            let removed = match (dry_run, meta.is_dir()) {
                (true, _) => Ok(()),
                (false, true) => remove_all(&path),
                (false, false) => fs::remove_file(&path),
            };
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "what was left over stays");
                continue;
            }
            swept.count += 1;
            swept.bytes += bytes;
        }
        Ok(swept)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = remove_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a temporary directory stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_and_what_was_left_over_goes() {
        let root = tempfile::tempdir().unwrap();
        let sweep = |dry_run| Temporary::sweep(root.path(), "check-", |_| true, dry_run).unwrap();
        assert_eq!(sweep(false), Swept::default());
        let used = Temporary::make(root.path(), "check-").unwrap();
        fs::write(used.path().join("file"), "x").unwrap();
        let left = root.path().join("check-left");
        fs::create_dir_all(left.join("tree")).unwrap();
        fs::write(left.join("tree/file"), "x").unwrap();
        fs::create_dir(root.path().join("other")).unwrap();
        let would = sweep(true);
        assert_eq!(would.count, 1);
        assert!(would.bytes > 0 && left.exists());
        assert_eq!(sweep(false), would);
        assert!(!left.exists() && used.path().join("file").exists());
        assert!(root.path().join("other").exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
        let young = Temporary::sweep(root.path(), "", |_| false, false).unwrap();
        assert_eq!(young, Swept::default());
        let missing = root.path().join("missing");
        assert_eq!(Temporary::sweep(&missing, "", |_| true, false).unwrap(), Swept::default());
    }
}
