//! The preloaded library that makes a disk fail: compiled, and told when.

use super::{Broken, failed};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = include_str!("shim.c");

/// What a disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has no room.
    Room,
    /// It cannot make anything durable, and what it should have is lost.
    Sync,
    /// It stops with everything else, and what was not durable is lost.
    Power,
}

impl Kind {
    /// Its name, on the command line as well.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Room => "disk",
            Self::Sync => "fsync",
            Self::Power => "power",
        }
    }

    /// What the library calls it.
    fn word(self) -> &'static str {
        match self {
            Self::Room => "space",
            Self::Sync => "sync",
            Self::Power => "power",
        }
    }
}

/// When a disk fails: see `shim.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// At which call, from 1; 0 for never.
    pub(super) at: u64,
    /// For how many calls; 0 for all that follow.
    pub(super) times: u64,
    /// Whether the first is done by half.
    pub(super) is_short: bool,
    /// What is lost.
    pub(super) seed: u64,
}

/// The compiled library, in a directory of its own.
#[derive(Debug)]
pub(super) struct Shim {
    directory: tempfile::TempDir,
}

impl Shim {
    /// Compiles it with `cc` into a new directory within `work`.
    pub(super) fn build(work: &Path) -> Result<Self, Broken> {
        fs::create_dir_all(work).map_err(failed("make a directory to compile in"))?;
        let directory = tempfile::tempdir_in(work).map_err(failed("make a directory"))?;
        let directory_name = directory.path().canonicalize().map_err(failed("name a directory"))?;
        let (source, library) = (directory_name.join("shim.c"), directory_name.join("shim.so"));
        fs::write(&source, SOURCE).map_err(failed("write `shim.c`"))?;
        let ran = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .map_err(failed("run `cc`, which the proofs with a failing disk need"))?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            return Err(Broken::new(format!("cannot compile `shim.c`: {said}")));
        }
        Ok(Self { directory })
    }

    fn file(&self, name: &str) -> PathBuf {
        let directory = self.directory.path();
        directory.canonicalize().unwrap_or_else(|_| directory.into()).join(name)
    }

    /// The variables that make the disk under `place` fail as `fault` says.
    pub(super) fn variables(&self, place: &Path, fault: Fault) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.display().to_string();
        [
            ("LD_PRELOAD", text(self.file("shim.so"))),
            ("FAULT_DIR", text(place.into())),
            ("FAULT_KIND", fault.kind.word().into()),
            ("FAULT_AT", fault.at.to_string()),
            ("FAULT_TIMES", fault.times.to_string()),
            ("FAULT_SHORT", u8::from(fault.is_short).to_string()),
            ("FAULT_SEED", fault.seed.to_string()),
            ("FAULT_COUNT", text(self.file("count"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// How many calls the last program made that could have failed.
    pub(super) fn count(&self) -> u64 {
        let text = fs::read_to_string(self.file("count")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }
}
