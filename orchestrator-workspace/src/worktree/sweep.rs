//! Measuring and removing directories that somebody else has filled. No link is followed.

use std::{
    collections::HashSet,
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// How many bytes a directory takes on the disk; what cannot be looked at does not count.
pub(crate) fn size_of(directory: &Path) -> u64 {
    size_up_to(directory, u64::MAX)
}

/// The same, until it is more than `most`: what is beyond is not looked at.
pub(crate) fn size_up_to(directory: &Path, most: u64) -> u64 {
    let mut size = 0;
    let mut seen = HashSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            // A file with several names is one.
            if meta.is_dir() || meta.nlink() == 1 || seen.insert((meta.dev(), meta.ino())) {
                size += meta.blocks() * 512;
            }
            if meta.is_dir() {
                left.push(entry.path());
            }
            if size > most {
                return size;
            }
        }
    }
    size
}

/// Removes a directory, whatever its permissions say; that it is not there is no failure.
pub(crate) fn remove_all(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(directory)?;
            fs::remove_dir_all(directory)
        }
        other => other,
    }
}

/// Gives back to us every directory that was closed.
fn unlock(directory: &Path) -> io::Result<()> {
    let mut left = vec![directory.to_owned()];
    while let Some(dir) = left.pop() {
        fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            }
        }
    }
    Ok(())
}
