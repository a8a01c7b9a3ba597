//! The home of a task's sessions: clean, its own, and there as long as one of them may go on.

use super::super::Launch;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::Assignment,
};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

/// The most bytes of a file that a program leaves at its end.
const REPORT: u64 = 4 * 1024 * 1024;

/// The name of the directory that holds the home of `assignment`, among those of all others. It is
/// the same for every attempt that goes on in a session of an earlier one, and begins with the run's
/// id and a `+`.
pub fn home_name(assignment: &Assignment) -> String {
    format!("{}+{}+{}+cli", assignment.run, assignment.task, assignment.first_attempt)
}

/// A home, and what is kept beside it.
#[derive(Debug, Clone)]
pub(super) struct Home {
    top: PathBuf,
}

impl Home {
    /// The home of `assignment` below `homes`. Says also whether it was there.
    ///
    /// # Errors
    /// `transient` when it cannot be made.
    pub(super) fn open(homes: &Path, assignment: &Assignment) -> Result<(Self, bool), Failure> {
        let home = Self { top: homes.join(home_name(assignment)) };
        let was_there = home.path().is_dir();
        for directory in [home.path(), home.temporary()] {
            private(&directory).map_err(|error| failed(&directory, &error))?;
        }
        Ok((home, was_there))
    }

    /// What the program takes for its user's home.
    pub(super) fn path(&self) -> PathBuf {
        self.top.join("home")
    }

    /// Where it puts temporary files.
    pub(super) fn temporary(&self) -> PathBuf {
        self.top.join("tmp")
    }

    /// What its sessions were counted to have used: beside the home, where the program does not write.
    pub(super) fn counted(&self) -> PathBuf {
        self.top.join("counted.json")
    }

    /// Copies `files` of the login in `from` into it, where they are not there yet.
    pub(super) fn seed(&self, from: &Path, files: &[&str]) -> Result<(), Failure> {
        for name in files {
            let (source, place) = (from.join(name), self.path().join(name));
            if place.exists() {
                continue;
            }
            match fs::read(&source) {
                Ok(bytes) => self.write(Path::new(name), &bytes)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&source, &error)),
            }
        }
        Ok(())
    }

    /// Writes the files that a program needs.
    pub(super) fn prepare(&self, launch: &Launch) -> Result<(), Failure> {
        launch.files.iter().try_for_each(|(name, bytes)| self.write(name, bytes))
    }

    fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below {
            let message = format!("`{}` is no file of a home", name.display());
            return Err(Failure::new(ErrorClass::Internal, message));
        }
        let path = self.path().join(name);
        let written = path.parent().map_or(Ok(()), private).and_then(|()| {
            // In the place of one that is there, so that a link in it is not followed.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            io::Write::write_all(&mut file, bytes)
        });
        written.map_err(|error| failed(&path, &error))
    }

    /// What the program left in the file `name`, when it did.
    pub(super) fn report(&self, name: &Path) -> Option<Vec<u8>> {
        let path = self.path().join(name);
        let length = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        (length <= REPORT).then(|| fs::read(&path).ok()).flatten()
    }

    /// Removes all of it.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.top)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(home = %self.top.display(), %error, "a home cannot be removed");
        }
    }
}

fn private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot prepare the home of a program: `{}`: {error}", path.display());
    Failure::new(ErrorClass::Transient, message)
}
