//! Finding places again, and removing them.

use super::{Mark, Prepared, Stage, open::blocking, remove_all, size_of};
use crate::{GitWorkspaces, git::GitError};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{AttemptNumber, RunId, TaskName},
    workspace::WorkspaceKind,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// A place of an attempt, as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// Which try.
    pub attempt: AttemptNumber,
    /// What kind it is.
    pub kind: WorkspaceKind,
    /// Where it is.
    pub directory: PathBuf,
    /// Its branch, without `refs/heads/`; none without git.
    pub branch: Option<String>,
    /// How many bytes it takes on the disk.
    pub size: u64,
    /// Whether somebody works there.
    pub state: PlaceState,
    /// When its state was written last.
    pub since: SystemTime,
}

/// Whether somebody works in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaceState {
    /// An attempt of a process that lives.
    InUse,
    /// It stays for people to look at.
    Kept,
    /// The process that used it is gone.
    Orphan,
}

impl PlaceState {
    /// Its name: `in use`, `kept` or `orphan`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Kept => "kept",
            Self::Orphan => "orphan",
        }
    }
}

/// What cleaning did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// What was removed.
    pub removed: Vec<Place>,
    /// What could not be, and why.
    pub failed: Vec<(Place, String)>,
}

impl Cleaned {
    /// How many bytes that gives back.
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|place| place.size).sum()
    }
}

impl GitWorkspaces {
    /// Every place of this state directory, by name. What is not ours is not among them.
    ///
    /// # Errors
    /// `transient` when the directory cannot be read.
    pub async fn list(&self) -> Result<Vec<Place>, Failure> {
        let registry = self.registry.clone();
        let list = move || {
            let mut places = Vec::new();
            for name in registry.names()? {
                let Some(mark) = registry.read(&name)? else { continue };
                let directory = registry.directory(&name);
                let state = match (registry.is_used(&name)?, mark.stage) {
                    (true, _) => PlaceState::InUse,
                    (false, Stage::Kept) => PlaceState::Kept,
                    (false, Stage::Opening | Stage::Ready | Stage::Closing) => PlaceState::Orphan,
                };
                let written = fs::metadata(registry.beside(&name, "mark"));
                places.push(Place {
                    run: mark.run,
                    task: mark.task,
                    attempt: mark.attempt,
                    kind: mark.kind,
                    size: size_of(&directory),
                    directory,
                    branch: mark.branch,
                    state,
                    since: written
                        .and_then(|meta| meta.modified())
                        .unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
            Ok::<_, GitError>(places)
        };
        Ok(blocking(list).await??)
    }

    /// Removes the places in which nobody works and whose state is at least `older_than` old at
    /// `now`, or only says which. Before a place of git goes, what is in it is recorded as a
    /// checkpoint; if that fails it stays. Branches and checkpoints stay.
    ///
    /// # Errors
    /// `transient` when the state directory cannot be read. What fails for one place is told in the
    /// result.
    pub async fn clean(
        &self,
        older_than: Duration,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<Cleaned, Failure> {
        let mut cleaned = Cleaned::default();
        for place in self.list().await? {
            let age = now.duration_since(place.since).unwrap_or_default();
            if place.state == PlaceState::InUse || age < older_than {
                continue;
            }
            let removed = match dry_run {
                true => Ok(true),
                false => self.remove_unused(&place).await,
            };
            match removed {
                Ok(true) => cleaned.removed.push(place),
                // Somebody has begun to use it.
                Ok(false) => {}
                Err(failure) => cleaned.failed.push((place, failure.message)),
            }
        }
        Ok(cleaned)
    }

    /// Removes the places of runs for which `is_gone` says so, in which nobody works; or only says which.
    /// Nothing of what is in them is recorded any more.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::clean`].
    pub async fn clean_runs(
        &self,
        is_gone: impl Fn(&RunId) -> bool,
        dry_run: bool,
    ) -> Result<Cleaned, Failure> {
        let mut cleaned = Cleaned::default();
        for place in self.list().await? {
            if place.state == PlaceState::InUse || !is_gone(&place.run) {
                continue;
            }
            let removed = match dry_run {
                true => Ok(true),
                false => self.remove_unused(&place).await,
            };
            match removed {
                Ok(true) => cleaned.removed.push(place),
                Ok(false) => {}
                Err(failure) => cleaned.failed.push((place, failure.message)),
            }
        }
        Ok(cleaned)
    }

    /// Ends what a process that died had begun: places that were never ready, or were on their way
    /// out, are removed. Those that an attempt has worked in stay, for it to go on in.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::clean`].
    pub async fn recover(&self) -> Result<Cleaned, Failure> {
        let mut cleaned = Cleaned::default();
        for place in self.list().await? {
            let name = self.registry.name_of(&place.directory).unwrap_or_default();
            let stage = self.registry.read(&name)?.map(|mark| mark.stage);
            let is_half = matches!(stage, Some(Stage::Opening | Stage::Closing));
            if place.state != PlaceState::Orphan || !is_half {
                continue;
            }
            match self.remove_unused(&place).await {
                Ok(true) => cleaned.removed.push(place),
                Ok(false) => {}
                Err(failure) => cleaned.failed.push((place, failure.message)),
            }
        }
        Ok(cleaned)
    }

    /// The directories that lie prepared for the next attempts, without those that somebody is just
    /// taking or making.
    ///
    /// # Errors
    /// `transient` when the state directory cannot be read.
    pub async fn prepared(&self) -> Result<Vec<Prepared>, Failure> {
        let pool = self.pool.clone();
        Ok(blocking(move || pool.list()).await??)
    }

    /// Removes those that were made at least `older_than` before `now`, and what is left of some that
    /// were cut off; or only says which.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::prepared`].
    pub async fn clean_prepared(
        &self,
        older_than: Duration,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<Vec<Prepared>, Failure> {
        let pool = self.pool.clone();
        let is_old = move |since| now.duration_since(since).unwrap_or_default() >= older_than;
        Ok(blocking(move || pool.clean(is_old, dry_run)).await??)
    }

    async fn remove_unused(&self, place: &Place) -> Result<bool, Failure> {
        let Some(name) = self.registry.name_of(&place.directory) else { return Ok(false) };
        let _turn = self.turn(&name).await;
        if self.claims().contains_key(&name) {
            return Ok(false);
        }
        let Some(_claim) = self.registry.claim(&name)? else { return Ok(false) };
        let Some(mark) = self.registry.read(&name)? else { return Ok(false) };
        let has_work = matches!(mark.stage, Stage::Ready | Stage::Kept);
        if has_work && mark.kind == WorkspaceKind::Worktree && place.directory.is_dir() {
            let (order, opened) = mark.opened(place.directory.clone());
            self.record(&order, &opened, &name, &mark, None).await?;
        }
        if let Some(reason) = self.lock_of(&name, &mark).await {
            let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
            let message = format!(
                "it is locked by `git worktree lock`{reason}: `git worktree unlock {}` lets it go",
                place.directory.display()
            );
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
        let project = mark.project.clone();
        self.registry.write(&name, &Mark { stage: Stage::Closing, ..mark })?;
        self.discard(&name, &project).await?;
        Ok(true)
    }

    /// Why a person wants the place to stay, who has locked it with git.
    pub(super) async fn lock_of(&self, name: &str, mark: &Mark) -> Option<String> {
        let is_finished = matches!(mark.stage, Stage::Ready | Stage::Kept);
        if mark.kind != WorkspaceKind::Worktree || !is_finished {
            return None;
        }
        let repository = self.repository(&mark.project).await.ok()?;
        repository.worktree_lock(&self.registry.directory(name))
    }

    /// Removes a place that is claimed, with everything beside it. Branches and checkpoints stay.
    pub(super) async fn discard(&self, name: &str, project: &Path) -> Result<(), Failure> {
        let (top, gone) = (self.registry.directory(name), self.registry.beside(name, "gone"));
        let spare = self.registry.beside(name, "spare");
        let mark = self.registry.read(name)?;
        let swept = gone.clone();
        // One that a crash has left is in the way of the next.
        blocking(move || remove_all(&swept).map_err(|e| GitError::file("remove", swept, e)))
            .await??;
        match fs::rename(&top, &gone) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(GitError::file("move", &top, e).into());
            }
            _ => {}
        }
        if mark.as_ref().is_some_and(|mark| mark.kind == WorkspaceKind::Worktree) {
            match self.repository(project).await {
                Ok(repository) => repository.remove_worktree(&top).await?,
                // The project has gone, and what git kept of the worktree with it.
                Err(failure) if failure.class == ErrorClass::InvalidRequest => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut files: Vec<_> =
            ["index", "exclude"].map(|what| self.registry.beside(name, what)).into();
        let submodules = mark.map(|mark| mark.submodules.len()).unwrap_or_default();
        files.extend((0..submodules).map(|n| self.registry.beside(name, &format!("sub{n}"))));
        files.extend(["mark", "lock"].map(|what| self.registry.beside(name, what)));
        let removed = move || {
            for directory in [gone, spare] {
                remove_all(&directory).map_err(|e| GitError::file("remove", directory, e))?;
            }
            for file in files {
                match fs::remove_file(&file) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => {
                        return Err(GitError::file("remove", &file, e));
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        Ok(blocking(removed).await??)
    }
}
