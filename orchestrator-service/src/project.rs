//! The project: where it is, and where its state lies.

use crate::{Environment, ServiceError};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A project's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    root: PathBuf,
}

/// What is kept out of version control; written beside the state.
const IGNORED: &str =
    "# Written by orchestrator: the state of this machine is not for the repository.\nstate/\n";

impl Project {
    /// The project at `path`, or else the nearest directory from the environment's upwards that
    /// holds `.orchestrator` or `.git`, or else that directory itself.
    pub(crate) fn find(
        environment: &Environment,
        path: Option<&Path>,
    ) -> Result<Self, ServiceError> {
        let start = match path {
            Some(path) => environment.directory.join(path),
            None => environment.directory.clone(),
        };
        let refuse = |reason: String| ServiceError::Project { path: start.clone(), reason };
        let start = std::fs::canonicalize(&start).map_err(|error| refuse(error.to_string()))?;
        if !start.is_dir() {
            return Err(refuse("it is not a directory".into()));
        }
        // Paths are stored as text in events and documents, so one that is not must stop here.
        if start.to_str().is_none() {
            return Err(ServiceError::PathNotUtf8(start));
        }
        if path.is_some() {
            return Ok(Self { root: start });
        }
        let home = environment.get("HOME").map(PathBuf::from);
        let found = start.ancestors().find(|directory| {
            // `~/.orchestrator` or a `.git` of dotfiles does not make the whole home a project.
            let is_home = home.as_deref() == Some(*directory) && *directory != start;
            !is_home
                && (directory.join(".orchestrator").is_dir() || directory.join(".git").exists())
        });
        Ok(Self { root: found.unwrap_or(&start).to_owned() })
    }

    /// Its directory: absolute, without links.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `.orchestrator` in it.
    pub(crate) fn directory(&self) -> PathBuf {
        self.root.join(".orchestrator")
    }

    /// Where its state lies.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory().join("state")
    }

    /// Whether it has any state yet. What cannot be looked at, or lies where the state should be,
    /// counts as well: opening it then says what is wrong.
    pub(crate) fn has_state(&self) -> bool {
        let found = self.state().symlink_metadata();
        !found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    /// Makes `.orchestrator` with the file that keeps its state out of version control.
    pub(crate) fn prepare(&self) -> Result<(), ServiceError> {
        let directory = self.directory();
        let refuse = |error: std::io::Error| ServiceError::State {
            directory: directory.clone(),
            reason: match error.kind() {
                // The system says `file exists`, of what is no directory.
                std::io::ErrorKind::AlreadyExists => "it is not a directory; move it away".into(),
                _ => error.to_string(),
            },
        };
        std::fs::create_dir_all(&directory).map_err(refuse)?;
        let file = directory.join(".gitignore");
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&file) {
            Ok(mut file) => file.write_all(IGNORED.as_bytes()).map_err(refuse),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(refuse(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_marked_directory_is_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for directory in ["repo/.git", "repo/a/b", "set/.orchestrator", "set/x", "plain/y"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let check = |directory: &str, path: Option<&str>, expected: &str| {
            let environment = Environment::new([], root.join(directory));
            let project = Project::find(&environment, path.map(Path::new)).unwrap();
            assert_eq!(project.root(), root.join(expected), "{directory} {path:?}");
        };
        check("repo/a/b", None, "repo");
        check("set/x", None, "set");
        check("repo", Some("a"), "repo/a");
        check("repo/a/b", Some("../../../set"), "set");
        let environment = Environment::new([], root.join("plain/y"));
        let nested = Project::find(&environment, None).unwrap();
        assert!(root.join("plain/y").starts_with(nested.root()));
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let environment = Environment::new([], folder.path().to_owned());
        for path in ["file", "nowhere"] {
            let error = Project::find(&environment, Some(Path::new(path))).unwrap_err();
            assert_eq!(error.code(), "ORC-0701");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff"));
        if fs::create_dir(&odd).is_err() {
            return; // Some file systems have no such names at all.
        }
        let environment = Environment::new([], odd);
        assert_eq!(Project::find(&environment, None).unwrap_err().code(), "ORC-0702");
    }

    #[test]
    fn the_state_is_kept_out_of_version_control() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new([], folder.path().to_owned());
        let project = Project::find(&environment, Some(Path::new("."))).unwrap();
        assert!(!project.has_state());
        fs::write(project.directory(), "").unwrap();
        assert!(project.has_state(), "a file in its place is no empty project");
        fs::remove_file(project.directory()).unwrap();
        project.prepare().unwrap();
        assert!(!project.has_state());
        let file = project.directory().join(".gitignore");
        assert!(fs::read_to_string(&file).unwrap().lines().any(|line| line == "state/"));
        fs::write(&file, "mine\n").unwrap();
        project.prepare().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    }
}
