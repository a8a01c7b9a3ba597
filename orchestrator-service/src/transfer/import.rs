//! A file as a run of this project.

use super::{
    bundle::{Blob, Bundle, Log},
    check,
    rename::{NewIds, number_signals, rename},
    seal,
};
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    service::Opened,
    views::{ImportView, ImportedRun},
};
use orchestrator_core::{
    engine::{LEASE_TTL, SystemIds},
    event::{Event, Origin, Recorded},
    id::{Epoch, ProjectId, RunId, Sequence, TenantId},
    port::{Append, Ids, Lease, Rows, Signal, StoreError},
    run::{Run, RunStatus},
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The largest file that is read, in bytes.
pub(super) const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// How much of a file is looked at to see what it is.
const HEAD: u64 = 4 * 1024;

/// How a file is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Runs get ids of their own here, so that one can be imported beside itself.
    pub new_id: bool,
    /// A workflow of the project with the same name is replaced.
    pub replace: bool,
}

/// The most signals that a run may have taken which can still be resumed.
const MOST_SIGNALS: u64 = 10_000;

/// A run that was found good, ready to be stored.
struct Ready {
    id: RunId,
    from: RunId,
    status: RunStatus,
    events: Vec<Recorded>,
    rows: Rows,
    /// How many signals it has taken.
    signals: u64,
}

impl OrchestratorService {
    /// Brings a file in: an exported run, or a workflow file. A run keeps its history; it belongs to
    /// this project, and one that had not ended can be resumed. Nothing is stored unless all of the
    /// file is good.
    ///
    /// # Errors
    /// A file that cannot be read or is not what was exported, a run that is here already, an
    /// invalid workflow or one whose name is taken.
    pub async fn import(
        &self,
        file: &Path,
        options: ImportOptions,
    ) -> Result<ImportView, ServiceError> {
        let path = self.environment().directory.join(file);
        let unreadable = |error: std::io::Error| refuse(&path, format!("{error}"));
        let mut source = File::open(&path).map_err(unreadable)?;
        let length = source.metadata().map_err(unreadable)?;
        if !length.is_file() {
            return Err(refuse(&path, "it is not a file".into()));
        }
        let mut bytes = Vec::new();
        source.by_ref().take(HEAD).read_to_end(&mut bytes).map_err(unreadable)?;
        if !is_export(&bytes) {
            return self.import_workflow(&path, options.replace);
        }
        // The length that is stated bounds nothing by itself: the file may grow while it is read.
        let too_large = || refuse(&path, format!("it has more than {MOST_BYTES} bytes"));
        if length.len() > MOST_BYTES {
            return Err(too_large());
        }
        let rest = MOST_BYTES + 1 - bytes.len() as u64;
        source.take(rest).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(too_large());
        }
        seal::verify(&bytes).map_err(|reason| refuse(&path, reason.into()))?;
        let bundle: Bundle = serde_json::from_slice(&bytes)
            .map_err(|error| refuse(&path, format!("it cannot be read: {error}")))?;
        drop(bytes);
        check::judge(&bundle).map_err(|reason| refuse(&path, reason))?;
        self.import_runs(&path, bundle, options.new_id).await
    }

    async fn import_runs(
        &self,
        path: &Path,
        bundle: Bundle,
        new_id: bool,
    ) -> Result<ImportView, ServiceError> {
        let Bundle { mut logs, blobs, .. } = bundle;
        let from: Vec<RunId> = logs.iter().map(|log| log.run.clone()).collect();
        let ids: NewIds = match new_id {
            true => {
                from.iter().map(|id| (id.clone(), RunId::of(now(), SystemIds.draw()))).collect()
            }
            false => NewIds::new(),
        };
        let opened = self.store()?;
        for log in &mut logs {
            self.make_own(opened, log, &from, &ids).await?;
        }
        let mut ready = Vec::new();
        for (log, from) in logs.into_iter().zip(from) {
            ready.push(prepare(log, from).map_err(|reason| refuse(path, reason))?);
        }
        for run in &ready {
            let known = opened.catalog().run(&run.id).await.map_err(|e| opened.failed(e))?;
            if known.is_some() {
                return Err(ServiceError::RunHere(run.id.to_string()));
            }
        }
        let view = view(&ready, &blobs);
        self.keep(opened, ready, blobs).await?;
        Ok(view)
    }

    /// What the file says about where the run belongs is replaced by what is so here.
    async fn make_own(
        &self,
        opened: &Opened,
        log: &mut Log,
        from: &[RunId],
        ids: &NewIds,
    ) -> Result<(), ServiceError> {
        let Some(Event::RunCreated(created)) = log.events.first_mut().map(|first| &mut first.event)
        else {
            return Ok(());
        };
        created.tenant = TenantId::default();
        created.project = ProjectId::default();
        created.directory = self.project().to_owned();
        created.origin = Some(Origin::Import {});
        // A parent that is not in the file is a name and no more; one that is here is another run's.
        if let Some(parent) = created.parent.clone().filter(|parent| !from.contains(parent))
            && opened.catalog().run(&parent).await.map_err(|e| opened.failed(e))?.is_some()
        {
            created.parent = None;
        }
        rename(&mut log.events, ids);
        if let Some(id) = ids.get(&log.run) {
            log.run = id.clone();
        }
        Ok(())
    }

    /// Stores what was found good: blobs, then children before their parents, each run at once.
    async fn keep(
        &self,
        opened: &Opened,
        runs: Vec<Ready>,
        blobs: Vec<Blob>,
    ) -> Result<(), ServiceError> {
        let owner = self.owner().id().ok_or_else(|| {
            ServiceError::Internal("this process has no name that a lease could hold".into())
        })?;
        for blob in blobs {
            opened.blobs().put(&blob.bytes).await?;
        }
        for Ready { id, events, rows, signals, status, .. } in runs.into_iter().rev() {
            let lease =
                Lease { owner: owner.clone(), epoch: Epoch(1), expires: now().after(LEASE_TTL) };
            let expected = Sequence(0);
            let first = Append { run: id.clone(), epoch: lease.epoch, expected, events, rows };
            opened.log().create(first, lease.clone()).await.map_err(|error| match error {
                StoreError::RunExists(run) => ServiceError::RunHere(run.to_string()),
                error => opened.failed(error),
            })?;
            // Its inbox here is empty, and numbers begin at 1: those that it has taken are used up, so
            // that the next one that is sent to it is new.
            for _ in 0..if status.is_final() { 0 } else { signals } {
                let sent = opened.log().signal(&id, Signal::Resume {}, now()).await;
                sent.map_err(|error| opened.failed(error))?;
            }
            let released = opened.log().release(&id, lease.epoch).await;
            released.map_err(|error| opened.failed(error))?;
        }
        Ok(())
    }
}

/// Folds the log: what does not replay is no run.
fn prepare(log: Log, from: RunId) -> Result<Ready, String> {
    let Log { run: id, mut events } = log;
    let signals = number_signals(&mut events);
    let (run, mut rows) =
        Run::rebuild(&events).map_err(|error| format!("run `{from}`: {error}"))?;
    if !run.status().is_final() {
        if signals > MOST_SIGNALS {
            return Err(format!("run `{from}` has taken {signals} signals"));
        }
        // It may be resumed, so its definitions must be ones that could be started.
        let created = run.created();
        let definitions = std::iter::once(&created.workflow).chain(created.library.values());
        if let Some(problem) = definitions.flat_map(|workflow| workflow.check()).next() {
            return Err(format!("run `{from}`: its workflow is not valid: {}", problem.message));
        }
    }
    // A result that was made elsewhere is never taken for one of a run here.
    rows.cached.clear();
    Ok(Ready { id, from, status: run.status(), events, rows, signals })
}

fn view(runs: &[Ready], blobs: &[Blob]) -> ImportView {
    let items = runs.iter().map(|run| ImportedRun {
        run: run.id.to_string(),
        from: run.from.to_string(),
        workflow: run.rows.run.as_ref().map(|row| row.workflow.to_string()).unwrap_or_default(),
        status: match run.status.is_final() {
            true => run.status.as_str().to_owned(),
            // Nobody drives it here until it is resumed.
            false => crate::query::INTERRUPTED.to_owned(),
        },
        tasks: run.rows.tasks.len() as u64,
        events: run.events.len() as u64,
    });
    ImportView {
        schema: "orchestrator.import/v1",
        kind: "run",
        name: runs.first().map(|run| run.id.to_string()).unwrap_or_default(),
        file: None,
        replaced: false,
        blobs: blobs.len() as u64,
        bytes: blobs.iter().map(|blob| blob.bytes.len() as u64).sum(),
        items: items.collect(),
    }
}

/// Whether a file that begins so is an exported run.
fn is_export(head: &[u8]) -> bool {
    const NAME: &[u8] = b"\"orchestrator.export/";
    head.trim_ascii_start().starts_with(b"{") && head.windows(NAME.len()).any(|part| part == NAME)
}

/// The refusal of a file.
pub(super) fn refuse(file: &Path, reason: String) -> ServiceError {
    ServiceError::Import { file: PathBuf::from(file), reason }
}
