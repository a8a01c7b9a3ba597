//! Files of a checkout as they were on the base.

use super::{
    error::CheckError,
    tamper::{EntryKind, FileChange},
};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
};

/// Puts a file of `tree` back as it was before `change`, or takes away what was added. No link is
/// followed: one that the commit put where a directory was gives way to the directory.
pub(super) fn restore(tree: &Path, change: &FileChange) -> Result<(), CheckError> {
    if change.new.is_some() {
        take_away(tree, &change.path)?;
    }
    let Some(old) = &change.old else { return Ok(()) };
    let path = change.from.as_deref().unwrap_or(&change.path);
    let place = tree.join(path);
    let put = || -> io::Result<()> {
        make_way(tree, path)?;
        let content = old.content.as_deref().unwrap_or_default();
        match old.kind {
            EntryKind::Link => symlink(OsStr::from_bytes(content), &place),
            EntryKind::File => fs::write(&place, content),
            EntryKind::Executable => {
                fs::write(&place, content)?;
                fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
            }
            EntryKind::Submodule => Ok(()),
        }
    };
    put().map_err(CheckError::io(&place))
}

/// Removes the file at `path`, if it is reached without a link.
fn take_away(tree: &Path, path: &str) -> Result<(), CheckError> {
    let place = tree.join(path);
    let is_inside = place
        .parent()
        .and_then(|parent| parent.canonicalize().ok())
        .is_some_and(|parent| parent.starts_with(tree));
    let is_file = fs::symlink_metadata(&place).is_ok_and(|metadata| !metadata.is_dir());
    if is_inside && is_file {
        fs::remove_file(&place).map_err(CheckError::io(&place))?;
    }
    Ok(())
}

/// Makes the directories of `path`, in place of whatever else is there, and clears its own place.
fn make_way(tree: &Path, path: &str) -> io::Result<()> {
    let mut place = tree.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let is_last = parts.peek().is_none();
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_dir() && is_last => fs::remove_dir_all(&place)?,
            Ok(metadata) if !metadata.is_dir() => fs::remove_file(&place)?,
            Ok(_) | Err(_) => {}
        }
        if !is_last && !place.is_dir() {
            fs::create_dir(&place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tamper::Entry;
    use orchestrator_core::workspace::Change;

    fn change(path: &str, old: Option<&str>, new: Option<&str>) -> FileChange {
        let entry =
            |text: &str| Entry { kind: EntryKind::File, content: Some(text.as_bytes().to_vec()) };
        FileChange {
            path: path.into(),
            from: None,
            change: Change::Modified,
            old: old.map(entry),
            new: new.map(entry),
        }
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (tree, outside) = (root.join("tree"), root.join("outside"));
        for directory in [&tree, &outside] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(outside.join("a"), "theirs").unwrap();
        symlink(&outside, tree.join("tests")).unwrap();
        restore(&tree, &change("tests/b", None, Some("x"))).unwrap();
        restore(&tree, &change("tests/a", Some("ours"), None)).unwrap();
        restore(&tree, &change("tests/a", None, Some("x"))).unwrap();
        restore(&tree, &change("tests/c/d", Some("ours"), None)).unwrap();
        assert_eq!(fs::read_to_string(outside.join("a")).unwrap(), "theirs");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(tree.join("tests/c/d")).unwrap(), "ours");
        assert!(!tree.join("tests/a").exists());
        // Where a directory has come, the file comes back.
        restore(&tree, &change("tests/c", Some("file"), None)).unwrap();
        assert_eq!(fs::read_to_string(tree.join("tests/c")).unwrap(), "file");
    }
}
