//! The store of a project, with errors that say where it lies.

use crate::{ServiceError, views::ForecastOutcome};
use orchestrator_core::{
    event::{Event, Recorded, RunCreated},
    id::{RunId, Sequence},
    port::{Blobs, Catalog, Landings, Ledger, LedgerError, Responses, Store, StoreError},
    task::TaskSpec,
    workflow::Mode,
};
use orchestrator_store::{LocalStore, OpenError};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// How many events are read at once.
const BATCH: usize = 1_000;

/// An open store.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    directory: PathBuf,
    store: Arc<LocalStore>,
}

impl Opened {
    pub(crate) fn open(directory: &Path) -> Result<Self, ServiceError> {
        let store = LocalStore::open(directory).map_err(|error| match error {
            OpenError::Files { path, source, .. }
                if source.kind() != std::io::ErrorKind::StorageFull =>
            {
                ServiceError::State {
                    directory: directory.to_owned(),
                    reason: format!("`{}`: {source}", path.display()),
                }
            }
            error => ServiceError::Store { error: error.into(), directory: directory.to_owned() },
        })?;
        Ok(Self { directory: directory.to_owned(), store: Arc::new(store) })
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub(crate) fn catalog(&self) -> &dyn Catalog {
        &*self.store
    }

    pub(crate) fn ledger(&self) -> Arc<dyn Ledger> {
        self.store.clone()
    }

    pub(crate) fn responses(&self) -> Arc<dyn Responses> {
        self.store.clone()
    }

    /// The queues of branches.
    pub(crate) fn landings(&self) -> Arc<dyn Landings> {
        self.store.clone()
    }

    pub(crate) fn log(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::new(self.store.blobs())
    }

    /// Looks for damage in all of it but the blobs.
    pub(crate) async fn verify(&self) -> Result<(), ServiceError> {
        self.store.verify().await.map_err(|error| self.failed(error))
    }

    /// A failure of the ledger in this store.
    pub(crate) fn unusable(&self, error: LedgerError) -> ServiceError {
        match error {
            LedgerError::Store(error) => self.failed(error),
            other => self.failed(StoreError::Damaged(other.to_string())),
        }
    }

    /// A failure of this store.
    pub(crate) fn failed(&self, error: StoreError) -> ServiceError {
        ServiceError::Store { error, directory: self.directory.clone() }
    }

    /// All events of `run` after `after`.
    pub(crate) async fn events(
        &self,
        run: &RunId,
        after: Sequence,
    ) -> Result<Vec<Recorded>, ServiceError> {
        let (mut events, mut after) = (Vec::new(), after);
        loop {
            let part = self.log().events(run, after, BATCH).await.map_err(|e| self.failed(e))?;
            let full = part.len() == BATCH;
            if let Some(last) = part.last() {
                after = last.seq;
            }
            events.extend(part);
            if !full {
                return Ok(events);
            }
        }
    }

    /// With what `run` began.
    pub(crate) async fn created(&self, run: &RunId) -> Result<Box<RunCreated>, ServiceError> {
        let first = self.log().events(run, Sequence(0), 1).await.map_err(|e| self.failed(e))?;
        match first.into_iter().next().map(|recorded| recorded.event) {
            Some(Event::RunCreated(created)) => Ok(created),
            _ => Err(self.failed(StoreError::Damaged(format!(
                "the log of run `{run}` does not begin with its creation"
            )))),
        }
    }

    /// What was expected of `run` beside what came.
    pub(crate) async fn forecast(
        &self,
        run: &RunId,
    ) -> Result<Option<ForecastOutcome>, ServiceError> {
        let found = self.catalog().estimated(Some(run), None, 1).await;
        let found = found.map_err(|error| self.failed(error))?;
        Ok(found.into_iter().next().map(ForecastOutcome::from))
    }

    /// The tasks of the run that began as `created`, with those that were added while it ran.
    pub(crate) async fn specs(&self, created: &RunCreated) -> Result<Vec<TaskSpec>, ServiceError> {
        let mut specs = created.workflow.tasks.clone();
        // Only a manager adds tasks.
        if created.workflow.mode == Mode::Hierarchical {
            for recorded in self.events(&created.run, Sequence(1)).await? {
                if let Event::TasksAdded { tasks, .. } = recorded.event {
                    specs.extend(tasks);
                }
            }
        }
        Ok(specs)
    }
}
