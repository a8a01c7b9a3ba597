//! Whose a place is: a file beside it, and a lock that ends with the process that holds it.

use super::ports::Ports;
use crate::git::GitError;
use orchestrator_core::{
    id::{AttemptNumber, CommitId, RunId, TaskName},
    port::WorkspaceOrder,
    workspace::{Opened, WorkspaceKind, WorkspacePolicy},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is written of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Mark {
    /// Of this form.
    pub(crate) version: u32,
    pub(crate) run: RunId,
    pub(crate) task: TaskName,
    pub(crate) attempt: AttemptNumber,
    pub(crate) kind: WorkspaceKind,
    /// The project's directory.
    pub(crate) project: PathBuf,
    /// The directory of all places when it was written.
    #[serde(default)]
    pub(crate) root: Option<PathBuf>,
    pub(crate) stage: Stage,
    #[serde(default)]
    pub(crate) base: Option<CommitId>,
    #[serde(default)]
    pub(crate) branch: Option<String>,
    /// Where below the place the work is done.
    #[serde(default)]
    pub(crate) below: PathBuf,
    /// Whether the hooks of the repository run there.
    #[serde(default)]
    pub(crate) hooks: bool,
    /// Whether it has a part of the files only.
    #[serde(default)]
    pub(crate) is_sparse: bool,
    #[serde(default)]
    pub(crate) ports: Vec<u16>,
    #[serde(default)]
    pub(crate) submodules: Vec<MarkedSubmodule>,
    #[serde(default)]
    pub(crate) last: Option<Last>,
}

impl Mark {
    /// What the engine would say of the place `top`, for what is done without it.
    pub(crate) fn opened(&self, top: PathBuf) -> (WorkspaceOrder, Opened) {
        let policy = WorkspacePolicy { kind: self.kind, ..WorkspacePolicy::default() };
        let (run, task, project) = (self.run.clone(), self.task.clone(), self.project.clone());
        let mut order = WorkspaceOrder::new(run, task, project, Arc::new(policy));
        order.attempt = self.attempt;
        let opened = Opened {
            kind: self.kind,
            directory: top.join(&self.below),
            base: self.base.clone(),
            branch: self.branch.clone(),
            environment: BTreeMap::new(),
            sandbox: String::new(),
        };
        (order, opened)
    }
}

/// The newest state that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) commit: CommitId,
    pub(crate) tree: CommitId,
}

/// A submodule whose files were put into a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MarkedSubmodule {
    /// Below the place.
    pub(crate) path: PathBuf,
    /// Below the repository that it belongs to.
    pub(crate) link: PathBuf,
    pub(crate) git_dir: PathBuf,
    pub(crate) commit: CommitId,
    /// Which of the list it belongs to; none for the project itself.
    pub(crate) parent: Option<usize>,
}

/// How far a place has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// It is being made: nobody has worked in it yet.
    Opening,
    /// An attempt works in it, or did when its process died.
    Ready,
    /// It stays for people to look at.
    Kept,
    /// It is being removed.
    Closing,
}

/// The files of all places.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    root: PathBuf,
}

/// A place that is this process's.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: Lock,
    pub(crate) ports: Option<Ports>,
}

impl Registry {
    /// Below the state directory.
    pub(crate) fn new(state: &Path) -> Self {
        Self { root: state.join("worktrees") }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory of all places, which no repository around it shows.
    pub(crate) fn prepare(&self) -> Result<(), GitError> {
        fs::create_dir_all(&self.root).map_err(|e| GitError::file("make", &self.root, e))?;
        let ignore = self.root.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(|e| GitError::file("write", &ignore, e))?;
        }
        Ok(())
    }

    pub(crate) fn name(run: &RunId, task: &TaskName, attempt: AttemptNumber) -> String {
        format!("{}+{}+{}", run.as_ref(), task.as_ref().replace(':', "."), attempt.0)
    }

    /// The place that a directory is or is in.
    pub(crate) fn name_of(&self, directory: &Path) -> Option<String> {
        let below = directory.strip_prefix(&self.root).ok()?;
        let name = below.components().next()?.as_os_str().to_str()?;
        name.contains('+').then(|| name.to_owned())
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A file beside the directory: `mark`, `lock`, `index`, `exclude`, `gone`.
    pub(crate) fn beside(&self, name: &str, what: &str) -> PathBuf {
        self.root.join(format!("{name}.{what}"))
    }

    /// Claims a place for this process; `None` when another one uses it.
    pub(crate) fn claim(&self, name: &str) -> Result<Option<Claim>, GitError> {
        self.prepare()?;
        let path = self.beside(name, "lock");
        Ok(lock(&path)?.map(|lock| Claim { _lock: lock, ports: None }))
    }

    /// Whether some process uses it.
    pub(crate) fn is_used(&self, name: &str) -> Result<bool, GitError> {
        let path = self.beside(name, "lock");
        match File::open(&path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(e)) => Err(GitError::file("lock", &path, e)),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(GitError::file("open", &path, e)),
        }
    }

    /// What is written of a place; `None` when it is not ours, or was written by a later version.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Mark>, GitError> {
        let path = self.beside(name, "mark");
        match fs::read(&path) {
            Ok(bytes) => {
                let mark = serde_json::from_slice(&bytes).ok().filter(|m: &Mark| m.version == 1);
                Ok(mark.map(|mark| self.here(mark)))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(GitError::file("read", &path, e)),
        }
    }

    /// A mark as it would be written here: a project that was moved, or copied, has taken its places
    /// along, and those of the copy are not those of the other.
    fn here(&self, mut mark: Mark) -> Mark {
        if let Some(root) = mark.root.as_ref().filter(|root| **root != self.root)
            && let Ok(below) = root.strip_prefix(&mark.project)
            && self.root.ends_with(below)
            && let Some(project) = self.root.ancestors().nth(below.components().count())
        {
            mark.project = project.to_owned();
            mark.root = Some(self.root.clone());
        }
        mark
    }

    /// The place that a directory was or was in, when the project was elsewhere or was reached by
    /// another path.
    pub(crate) fn name_of_moved(&self, directory: &Path) -> Option<String> {
        let parts = directory.components().rev();
        let names = parts.filter_map(|part| part.as_os_str().to_str());
        let mut names = names.filter(|name| name.contains('+'));
        names.find(|name| matches!(self.read(name), Ok(Some(_)))).map(str::to_owned)
    }

    /// Writes it whole or not at all.
    pub(crate) fn write(&self, name: &str, mark: &Mark) -> Result<(), GitError> {
        let path = self.beside(name, "mark");
        let failed = |e| GitError::file("write", &path, e);
        let mut file =
            tempfile::Builder::new().prefix(".mark").tempfile_in(&self.root).map_err(failed)?;
        let bytes = serde_json::to_vec_pretty(mark).map_err(|e| failed(e.into()))?;
        file.write_all(&bytes).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// The names of all places that have a mark.
    pub(crate) fn names(&self) -> Result<Vec<String>, GitError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(GitError::file("read", &self.root, e)),
        };
        let name = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_suffix(".mark").filter(|name| name.contains('+')).map(str::to_owned)
        };
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort();
        Ok(names)
    }
}

/// A lock on a file.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to closing it: a program that is just being started may hold a copy of it.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "a lock goes only with its file");
        }
    }
}

/// Locks a file that is made when it is not there; `None` when somebody holds it.
pub(super) fn lock(path: &Path) -> Result<Option<Lock>, GitError> {
    let failed = |e| GitError::file("lock", path, e);
    loop {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // One that was removed before it was locked is nobody's any more.
        let ours = file.metadata().map_err(failed)?;
        if fs::metadata(path).is_ok_and(|there| there.ino() == ours.ino()) {
            return Ok(Some(Lock(file)));
        }
    }
}
