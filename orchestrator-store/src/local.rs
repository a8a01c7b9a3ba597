//! The store on this machine.

use crate::{
    blobs::FileBlobs,
    error::{Fault, OpenError},
    open::{self, Settings},
    prepared::Prepared,
    read,
    reader::Readers,
    record::to_json,
    write,
    writer::Writer,
};
use async_trait::async_trait;
use orchestrator_core::{
    estimate::History,
    event::Recorded,
    id::{AgentName, CacheKey, Epoch, OwnerId, RunId, Sequence, TaskName, WorkflowName},
    port::{
        Append, AttemptRow, CachedResult, Catalog, Claimant, Cleaned, EstimatedRun, GroupHold,
        Lease, Listing, Mail, OpenRun, Page, RunFilter, RunRow, Signal, SignalRecord, SpendGroup,
        SpendTotal, Store, StoreError, TaskFilter, TaskRow,
    },
    time::Timestamp,
};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The event log, the rows and the blobs of one directory.
///
/// Its calls need a tokio runtime around them. Dropping it waits until everything that was asked
/// for is written; what was acknowledged is durable in any case. Any number of values, in one
/// process or several, may have one directory open.
///
/// | in the directory | holds |
/// |---|---|
/// | `events.db` | the log and the rows; beside it, while open, `-wal` and `-shm` |
/// | `events.db.backup-v<N>-<time>` | a copy from before a migration from schema N |
/// | `events.lock` | nothing; its lock lets one process at a time migrate |
/// | `blobs/` | large things by the hash of their content |
#[derive(Debug)]
pub struct LocalStore {
    file: PathBuf,
    blobs: FileBlobs,
    // Closed before the writer, so that the writer is the last to close and folds the log in.
    readers: Readers,
    writer: Writer,
}

impl LocalStore {
    /// Opens the store in `dir`, making it for this user alone when it is not there, and
    /// migrating it, after a copy, when an older version made it.
    ///
    /// Blocks for the few milliseconds that this takes.
    ///
    /// # Errors
    /// [`OpenError`] when the directory cannot be used, or the store in it is damaged, locked,
    /// of another program, or of a newer version; it is untouched then.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, Settings::default())
    }

    pub(crate) fn open_with(dir: &Path, settings: Settings) -> Result<Self, OpenError> {
        let (conn, file) = open::writer(dir, settings)?;
        let blobs = FileBlobs::open(&dir.join(open::BLOBS)).map_err(|error| OpenError::Store {
            path: dir.to_path_buf(),
            source: StoreError::Unavailable {
                action: "open the blobs".into(),
                reason: error.to_string(),
            },
        })?;
        let writer = Writer::start(conn, file.clone(), settings.patience).map_err(|source| {
            OpenError::Files {
                action: "start the thread that writes to",
                path: file.clone(),
                source,
            }
        })?;
        Ok(Self { readers: Readers::new(file.clone(), settings.patience), file, blobs, writer })
    }

    /// The blobs beside the log.
    pub fn blobs(&self) -> FileBlobs {
        self.blobs.clone()
    }

    /// Reads every page of the database and looks for damage. Takes about a second for a
    /// gigabyte. The content of blobs is proved when it is read, not here.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing that was found; a store that cannot be read.
    pub async fn verify(&self) -> Result<(), StoreError> {
        let file = self.file.clone();
        let look = move |conn: &Connection| -> Result<(), Fault> {
            let found: String =
                conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if found == "ok" {
                return Ok(());
            }
            let found = found.lines().last().unwrap_or_default();
            Err(StoreError::Damaged(format!("`{}`: {found}", file.display())).into())
        };
        self.readers.read("look for damage", look).await
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn create(&self, first: Append, lease: Lease) -> Result<(), StoreError> {
        let first = Prepared::new(Arc::new(first))?;
        let action = format!("create run `{}`", first.run());
        self.writer.write(action, move |conn| write::create(conn, &first, &lease)).await
    }

    async fn append(&self, append: Arc<Append>) -> Result<(), StoreError> {
        let append = Prepared::new(append)?;
        let action = format!("append to run `{}`", append.run());
        self.writer.write(action, move |conn| write::append(conn, &append)).await
    }

    async fn events(
        &self,
        run: &RunId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        let (action, run) = (format!("read the events of run `{run}`"), run.clone());
        self.readers.read(action, move |conn| read::events(conn, &run, after, limit)).await
    }

    async fn claim(
        &self,
        run: &RunId,
        owner: &OwnerId,
        now: Timestamp,
        expires: Timestamp,
        over: Option<Epoch>,
    ) -> Result<Lease, StoreError> {
        let (action, run) = (format!("claim run `{run}`"), run.clone());
        let owner = owner.clone();
        let work = move |conn: &_| write::claim(conn, &run, &owner, now, expires, over);
        self.writer.write(action, work).await
    }

    async fn renew(&self, run: &RunId, epoch: Epoch, expires: Timestamp) -> Result<(), StoreError> {
        let (action, run) = (format!("renew the lease of run `{run}`"), run.clone());
        self.writer.write(action, move |conn| write::renew(conn, &run, epoch, expires)).await
    }

    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError> {
        let (action, run) = (format!("release the lease of run `{run}`"), run.clone());
        self.writer.write(action, move |conn| write::release(conn, &run, epoch)).await
    }

    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        let (action, run) = (format!("read the lease of run `{run}`"), run.clone());
        self.readers.read(action, move |conn| write::lease(conn, &run)).await
    }

    async fn signal(&self, run: &RunId, signal: Signal, at: Timestamp) -> Result<(), StoreError> {
        let (action, run) = (format!("send a signal to run `{run}`"), run.clone());
        let body = to_json(&signal, "a signal")?;
        self.writer.write(action, move |conn| write::signal(conn, &run, &body, at)).await
    }

    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError> {
        let (action, run) = (format!("read the signals of run `{run}`"), run.clone());
        self.readers.read(action, move |conn| read::signals(conn, &run, after)).await
    }

    async fn mail(&self, after: u64) -> Result<Mail, StoreError> {
        self.readers.read("look for new signals", move |conn| read::mail(conn, after)).await
    }

    async fn open_runs(
        &self,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<OpenRun>, StoreError> {
        let after = after.cloned();
        let work = move |conn: &_| read::open_runs(conn, after.as_ref(), limit);
        self.readers.read("list open runs", work).await
    }

    async fn hold(
        &self,
        group: &str,
        claimant: &Claimant,
        now: Timestamp,
    ) -> Result<GroupHold, StoreError> {
        let (action, group) = (format!("take the group `{group}`"), group.to_owned());
        let claimant = claimant.clone();
        self.writer.write(action, move |conn| write::hold(conn, &group, &claimant, now)).await
    }

    async fn unhold(&self, group: &str, claimant: &Claimant) -> Result<(), StoreError> {
        let (action, group) = (format!("give the group `{group}` back"), group.to_owned());
        let claimant = claimant.clone();
        self.writer.write(action, move |conn| write::unhold(conn, &group, &claimant)).await
    }

    async fn cached(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<CachedResult>, StoreError> {
        let key = key.clone();
        self.readers.read("look for a result", move |conn| read::cached(conn, &key, now)).await
    }
}

#[async_trait]
impl Catalog for LocalStore {
    async fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Listing<RunRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.readers.read("list runs", move |conn| read::runs(conn, &filter, &page)).await
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        let (action, id) = (format!("read run `{id}`"), id.clone());
        self.readers.read(action, move |conn| read::run(conn, &id)).await
    }

    async fn run_ids(&self, prefix: &str, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let prefix = prefix.to_owned();
        self.readers.read("find runs", move |conn| read::run_ids(conn, &prefix, limit)).await
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: &Page,
    ) -> Result<Listing<TaskRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.readers.read("list tasks", move |conn| read::tasks(conn, &filter, &page)).await
    }

    async fn attempts(
        &self,
        run: &RunId,
        task: Option<&TaskName>,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let (action, run) = (format!("read the attempts of run `{run}`"), run.clone());
        let task = task.cloned();
        self.readers.read(action, move |conn| read::attempts(conn, &run, task.as_ref())).await
    }

    async fn attempts_of(
        &self,
        agent: &AgentName,
        limit: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let (action, agent) = (format!("read the attempts of agent `{agent}`"), agent.clone());
        self.readers.read(action, move |conn| read::attempts_of(conn, &agent, limit)).await
    }

    async fn spending(
        &self,
        group: SpendGroup,
        run: Option<&RunId>,
        since: Option<Timestamp>,
    ) -> Result<Vec<SpendTotal>, StoreError> {
        let run = run.cloned();
        let work = move |conn: &_| read::spending(conn, group, run.as_ref(), since);
        self.readers.read("sum up spending", work).await
    }

    async fn history(&self, workflows: &[WorkflowName]) -> Result<History, StoreError> {
        let workflows = workflows.to_vec();
        let work = move |conn: &Connection| read::history(conn, &workflows);
        self.readers.read("read what tasks used", work).await
    }

    async fn estimated(
        &self,
        run: Option<&RunId>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<EstimatedRun>, StoreError> {
        let run = run.cloned();
        let work = move |conn: &Connection| read::estimated(conn, run.as_ref(), since, limit);
        self.readers.read("read estimates", work).await
    }

    async fn clean(&self, before: Timestamp, dry_run: bool) -> Result<Cleaned, StoreError> {
        self.sweep(before, dry_run).await
    }

    async fn forget_cached(
        &self,
        workflow: Option<&WorkflowName>,
        task: Option<&TaskName>,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let (workflow, task) = (workflow.cloned(), task.cloned());
        if dry_run {
            let count = move |conn: &Connection| {
                read::count_cached(conn, workflow.as_ref(), task.as_ref(), before)
            };
            return self.readers.read("count results", count).await;
        }
        let work =
            move |conn: &Connection| write::forget(conn, workflow.as_ref(), task.as_ref(), before);
        self.writer.write("forget results", work).await
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
