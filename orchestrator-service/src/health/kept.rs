//! The versions that programs said, by what their files were then: they are asked anew when the
//! files change.

use super::Seen;
use crate::OrchestratorService;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The most programs that are kept.
const MOST: usize = 64;
/// The most bytes of the file that are read.
const LARGEST: u64 = 256 * 1024;

/// What is known of programs.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept(BTreeMap<PathBuf, Program>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Program {
    stamp: String,
    version: String,
}

impl Kept {
    pub(super) fn get(&self, path: &Path, stamp: &str) -> Option<String> {
        let kept = self.0.get(path).filter(|kept| kept.stamp == stamp)?;
        Some(kept.version.clone())
    }
}

/// What changes when the file of a program does, which `path` is or leads to.
pub(super) fn stamp(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let file = fs::metadata(&real).ok()?;
    let (second, nanosecond) = (file.mtime(), file.mtime_nsec());
    Some(format!("{} {second}.{nanosecond} {} {}", real.display(), file.len(), file.ino()))
}

impl OrchestratorService {
    fn programs_file(&self) -> PathBuf {
        self.place().state().join("programs.json")
    }

    /// What is kept; nothing where it cannot be read.
    pub(super) fn kept_programs(&self) -> Kept {
        let file = self.programs_file();
        let is_small = fs::metadata(&file).is_ok_and(|file| file.len() <= LARGEST);
        let bytes = is_small.then(|| fs::read(&file).ok()).flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps the versions that were seen, where the project has a state directory: looking at a project
    /// makes none.
    pub(crate) fn keep_versions<'a>(&self, seen: impl IntoIterator<Item = &'a Seen>) {
        let before = self.kept_programs();
        let mut kept = before.clone();
        for Seen { path, version, .. } in seen {
            if let (Ok(version), Some(stamp)) = (version, stamp(path)) {
                kept.0.insert(path.clone(), Program { stamp, version: version.clone() });
            }
        }
        let state = self.place().state();
        if kept == before || kept.0.len() > MOST || !state.is_dir() {
            return;
        }
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&state)?;
            serde_json::to_writer(&mut file, &kept)?;
            // In the place of what is there, so that a link is not followed.
            file.persist(self.programs_file())?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "the versions of programs cannot be kept");
        }
    }
}
