//! Giving back a recorded state: as files, as a branch, or in the place of its attempt.

use super::look::{find, no_checkpoint, pick};
use crate::{OrchestratorService, ServiceError, views::RestoreView};
use orchestrator_core::id::CommitId;
use orchestrator_workspace::git::{Checkout, Repository};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Which state is wanted, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// `RUN.TASK`, or the name of a task in the latest run.
    pub task: String,
    /// Which try; the last that has a place without it.
    pub attempt: Option<u32>,
    /// A checkpoint by commit or turn; without it what the attempt made, or else its last checkpoint.
    pub checkpoint: Option<String>,
    /// Where.
    pub to: RestoreTo,
}

/// Where a state is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// In a directory that is not there yet or is empty.
    Directory(PathBuf),
    /// As a new branch.
    Branch(String),
    /// In the place of the attempt. What is there is recorded before.
    InPlace,
}

impl OrchestratorService {
    /// Gives back a recorded state. Nothing of the user's is overwritten: neither the checkout nor a
    /// branch, nor a directory that holds something.
    ///
    /// # Errors
    /// An unknown run or task; [`ServiceError::NoWork`], [`ServiceError::NoSuchCheckpoint`],
    /// [`ServiceError::InTheWay`]; [`ServiceError::Place`] when the place is gone or in use; what git
    /// says.
    pub async fn restore(&self, request: &RestoreRequest) -> Result<RestoreView, ServiceError> {
        let (opened, run, row) = self.find_task(&request.task, None).await?;
        let id = format!("{}.{}", run.id, row.name);
        let all = opened.attempted(&run.id, &row.name).await?;
        let mut attempted = pick(all, request.attempt, &id)?;
        self.add_unlogged(&run.id, &row.name, &mut attempted).await?;
        let Some(commit) = attempted.state(request.checkpoint.as_deref()) else {
            return Err(match &request.checkpoint {
                Some(given) => no_checkpoint(&id, given),
                None => ServiceError::NoWork {
                    what: format!("task `{id}`"),
                    reason: "it has neither made something nor changed a file".into(),
                },
            });
        };
        let mut view = RestoreView {
            schema: "orchestrator.restore/v1",
            run: run.id.to_string(),
            task: row.name.to_string(),
            attempt: attempted.number.0,
            commit: commit.to_string(),
            directory: None,
            branch: None,
            before: None,
        };
        let repository = self.repository().await?;
        match &request.to {
            RestoreTo::Directory(directory) => {
                let directory = self.environment().directory.join(directory);
                self.restore_to(&repository, &commit, &directory).await?;
                view.directory = Some(directory.display().to_string());
            }
            RestoreTo::Branch(name) => {
                let full = format!("refs/heads/{name}");
                if repository.find_ref(&full).await?.is_some() {
                    return Err(ServiceError::InTheWay {
                        what: format!("the branch `{name}`"),
                        help: "give it a name that no branch has",
                    });
                }
                let reason = "orchestrator: restore";
                repository.update_ref(&full, Some(&commit), None, reason).await?;
                view.branch = Some(name.clone());
            }
            RestoreTo::InPlace => {
                let places = self.places_or(&id).await?;
                let (order, place) = find(&places, &run.id, &row.name, &attempted)?;
                let before = places.restore(&order, &place, &commit).await;
                let before = before.map_err(ServiceError::Place)?;
                view.before = before.map(|checkpoint| checkpoint.commit.to_string());
                let plain: PathBuf = place.directory.components().collect();
                view.directory = Some(plain.display().to_string());
            }
        }
        Ok(view)
    }

    /// Puts the files of a commit into a directory that holds nothing, all of them or none.
    async fn restore_to(
        &self,
        repository: &Repository,
        commit: &CommitId,
        directory: &Path,
    ) -> Result<(), ServiceError> {
        let in_the_way = |what: String| ServiceError::InTheWay {
            what,
            help: "name a directory that is not there yet, or is empty",
        };
        let failed = |error: io::Error| {
            ServiceError::Place(orchestrator_core::error::Failure::new(
                orchestrator_core::error::ErrorClass::InvalidRequest,
                format!("cannot write `{}`: {error}", directory.display()),
            ))
        };
        match fs::read_dir(directory) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(in_the_way(format!("what is in `{}`", directory.display())));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Err(in_the_way(format!("`{}`", directory.display()))),
        }
        let parent = directory.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(failed)?;
        let parent = fs::canonicalize(parent).map_err(failed)?;
        let own = [repository.common_dir().to_owned(), self.place().state()];
        let own = own.into_iter().filter_map(|path| fs::canonicalize(path).ok());
        if own.into_iter().any(|own| parent.starts_with(own)) {
            return Err(in_the_way(format!(
                "what git or the orchestrator keeps in `{}`",
                parent.display()
            )));
        }
        // Beside it, so that it is there at once and as a whole.
        let made = tempfile::Builder::new().prefix(".restore-").tempdir_in(&parent);
        let made = made.map_err(failed)?;
        let index = tempfile::tempdir_in(self.place().state()).map_err(failed)?;
        let (files, index) = (made.path().join("files"), index.path().join("index"));
        let wanted = Checkout { commit, directory: &files, index: &index, sparse: &[] };
        repository.checkout(&wanted).await?;
        fs::rename(&files, directory).map_err(failed)
    }
}
