//! Projects made up for tests.

use super::{Index, Options, index::Limits};
use std::{fs, path::Path, sync::atomic::AtomicBool};

/// A directory with a few files, removed at the end.
#[derive(Debug)]
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn index(&self) -> Index {
        Index::build(self.path(), Limits::default(), &AtomicBool::new(false)).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(self.path())
    }
}
