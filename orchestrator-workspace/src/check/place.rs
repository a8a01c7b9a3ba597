//! Where checks run: a fresh checkout with a home and a directory for temporary files of its own,
//! and what tells whether its files are still those that were checked out.

use super::error::CheckError;
use crate::{Temporary, worktree::remove_all};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The most files that are compared; a tree beyond is treated as changed.
const FILES: usize = 2_000_000;

/// What the names of these directories begin with.
pub const SCRATCH_PREFIX: &str = "check-";

/// A directory of its own for one or more checks. It is removed with the value.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    /// Kept until the end: its name is what nobody else has.
    _dir: Temporary,
}

impl Place {
    pub(super) fn make(scratch: &Path) -> Result<Self, CheckError> {
        let dir = Temporary::make(scratch, SCRATCH_PREFIX).map_err(CheckError::io(scratch))?;
        let root = dir.path().to_owned();
        let place = Self { root, _dir: dir };
        for part in [place.tree(), place.home(), place.temporary(), place.outside()] {
            fs::create_dir(&part).map_err(CheckError::io(&part))?;
        }
        Ok(place)
    }

    /// The checkout.
    pub(super) fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// An empty directory, from which versions of tools are asked: nothing of the tree is there.
    pub(super) fn outside(&self) -> PathBuf {
        self.root.join("outside")
    }

    /// Empties the directory for temporary files.
    pub(super) fn renew_temporary(&self) -> Result<(), CheckError> {
        let path = self.temporary();
        remove_all(&path).map_err(CheckError::io(&path))?;
        fs::create_dir(&path).map_err(CheckError::io(&path))
    }

    /// What holds all of it.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What is in the checkout and the home now.
    pub(super) async fn manifest(&self) -> Result<Manifest, CheckError> {
        let roots = [(self.tree(), "tree"), (self.home(), "home")];
        let walking = tokio::task::spawn_blocking(move || {
            let mut manifest = Manifest::default();
            for (root, prefix) in roots {
                walk(&root, Path::new(prefix), &mut manifest).map_err(CheckError::io(&root))?;
            }
            Ok(manifest)
        });
        walking
            .await
            .unwrap_or_else(|error| Err(CheckError::io(&self.root)(io::Error::other(error))))
    }
}

/// What tells one state of a file from another. The time of the last change of its inode cannot be
/// set back by whoever changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    inode: u64,
    mode: u32,
    size: u64,
    changed: (i64, i64),
}

/// The files of a place, each with its state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    files: BTreeMap<PathBuf, State>,
    is_cut: bool,
}

impl Manifest {
    /// The files of the checkout, relative to it.
    pub(super) fn tree(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().filter_map(|path| path.strip_prefix("tree").ok())
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether a file of the checkout is in it.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.files.contains_key(&Path::new("tree").join(path))
    }

    /// The paths that differ from `before`: changed, gone or new.
    pub(super) fn differences(&self, before: &Self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = before
            .files
            .iter()
            .filter(|(path, state)| self.files.get(*path) != Some(state))
            .map(|(path, _)| path.clone())
            .collect();
        paths.extend(self.files.keys().filter(|path| !before.files.contains_key(*path)).cloned());
        if self.is_cut || before.is_cut {
            paths.push(PathBuf::from("tree"));
        }
        paths
    }
}

fn walk(directory: &Path, name: &Path, manifest: &mut Manifest) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // What a check made unreadable or removed is a difference, and no failure of ours.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            manifest.is_cut = true;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if manifest.files.len() >= FILES {
            manifest.is_cut = true;
            return Ok(());
        }
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
        let file = entry.file_name();
        if metadata.is_dir() {
            walk(&entry.path(), &name.join(&file), manifest)?;
        } else {
            let state = State {
                inode: metadata.ino(),
                mode: metadata.mode(),
                size: metadata.size(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            };
            manifest.files.insert(name.join(&file), state);
        }
    }
    Ok(())
}
