//! The queues of branches, to be looked at.

use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{
        EvidenceView, LandingDetails, OverlapView, PrintedView, QueueItem, QueueOfBranch,
        QueueView, RequestedView, SettledItem,
    },
};
use orchestrator_core::{
    id::{LandingId, ProjectId, RunId, TenantId},
    port::{BlobError, LandingFilter, LandingsError, Page},
    workspace::{Evidence, LandingRow, LandingState, LandingTarget},
};
use orchestrator_workspace::landing::{LandError, QueueView as Queue};

/// The most bytes that are shown of what a check printed.
const PRINTED: usize = 64 * 1024;

impl OrchestratorService {
    /// What waits for each branch and what was settled lately, at most `limit` pieces of it; with
    /// `run` only what is that run's.
    ///
    /// # Errors
    /// An unknown run, an unusable store.
    pub async fn queue(&self, run: Option<&str>, limit: usize) -> Result<QueueView, ServiceError> {
        let mut view =
            QueueView { schema: "orchestrator.queue/v1", items: Vec::new(), settled: Vec::new() };
        let run = match run {
            Some(run) => Some(self.find_run(run).await?.1.id),
            None => None,
        };
        let Some(opened) = self.store_if_any()? else { return Ok(view) };
        let (tenant, project) = (TenantId::default(), ProjectId::default());
        let landings = opened.landings();
        for target in landings.targets(&tenant, &project).await.map_err(failed)? {
            let open = landings.waiting(&target).await.map_err(failed)?;
            let branch = target.branch.clone();
            let open = shown(&Queue::new(target, open), run.as_ref());
            if !open.is_empty() {
                view.items.push(QueueOfBranch { branch, open });
            }
        }
        let filter = LandingFilter {
            tenant: Some(tenant),
            project: Some(project),
            branch: None,
            run: run.clone(),
        };
        let page = Page { limit, cursor: None };
        let settled = landings.settled(&filter, &page).await.map_err(failed)?;
        view.settled = settled.items.iter().map(SettledItem::from).collect();
        Ok(view)
    }
}

impl OrchestratorService {
    /// A piece of work that is in a queue, or was, with what its checks gave and printed on the branch.
    ///
    /// # Errors
    /// [`ServiceError::NoSuchLanding`]; content that is missing, an unusable store.
    pub async fn landing_details(&self, id: &str) -> Result<LandingDetails, ServiceError> {
        let unknown = || ServiceError::NoSuchLanding(id.chars().take(64).collect());
        let name = LandingId::new(id).map_err(|_| unknown())?;
        let opened = self.store_if_any()?.ok_or_else(unknown)?;
        let row = opened.landings().landing(&name).await.map_err(failed)?.ok_or_else(unknown)?;
        let (mut evidence, mut outputs) = (None, Vec::new());
        if let Some(blob) = row.state.evidence() {
            let bytes = opened.blobs().get(blob).await?;
            let found: Evidence = serde_json::from_slice(&bytes)
                .map_err(|_| ServiceError::Blob(BlobError::Damaged(blob.clone())))?;
            for check in &found.checks {
                let Some(output) = &check.output else { continue };
                let bytes = opened.blobs().get(output).await?;
                let left_out = bytes.len().saturating_sub(PRINTED);
                outputs.push(PrintedView {
                    name: check.name.clone(),
                    blob: output.to_string(),
                    text: String::from_utf8_lossy(&bytes[left_out..]).into_owned(),
                    cut: left_out > 0,
                });
            }
            evidence = Some(EvidenceView::new(&found, blob.to_string()));
        }
        let settled = SettledItem::from(&row);
        Ok(LandingDetails {
            schema: "orchestrator.landing/v1",
            id: settled.id,
            branch: settled.branch,
            run: settled.run,
            task: settled.task,
            attempt: settled.attempt,
            commit: row.commit.to_string(),
            state: settled.state,
            settled_at: settled.settled_at,
            landed: settled.landed,
            request: row.request().as_ref().map(RequestedView::from),
            files: settled.files,
            message: row.conflict().map(|conflict| conflict.message),
            evidence,
            outputs,
        })
    }
}

/// A failure of the queues.
pub(super) fn failed(error: LandingsError) -> ServiceError {
    LandError::Queue(error).into()
}

/// What `run` landed on `branch` and has not been undone, in the order in which it landed.
pub(super) async fn landed(
    opened: &Opened,
    branch: &str,
    run: &RunId,
) -> Result<Vec<LandingRow>, ServiceError> {
    let target = target(branch);
    opened.landings().landed(&target, run).await.map_err(failed)
}

/// A branch of this project.
pub(super) fn target(branch: &str) -> LandingTarget {
    let (tenant, project) = (TenantId::default(), ProjectId::default());
    LandingTarget { tenant, project, branch: branch.to_owned() }
}

fn shown(queue: &Queue, run: Option<&RunId>) -> Vec<QueueItem> {
    let rows = || queue.open.iter().map(|entry| &entry.row);
    let entries = queue.open.iter().filter(|entry| run.is_none_or(|run| entry.row.run == *run));
    let item = |entry: &orchestrator_workspace::landing::QueueEntry| {
        let row = &entry.row;
        let overlaps = entry.overlaps.iter().filter_map(|overlap| {
            let other = rows().find(|other| other.id == overlap.with)?;
            Some(OverlapView {
                run: other.run.to_string(),
                task: other.task.to_string(),
                files: overlap.files.clone(),
            })
        });
        QueueItem {
            id: row.id.to_string(),
            run: row.run.to_string(),
            task: row.task.to_string(),
            attempt: row.attempt.0,
            commit: row.commit.to_string(),
            state: row.state.as_str(),
            since: row.at.to_string(),
            priority: row.priority.as_str(),
            checks: row.checks.run.len() as u64,
            files: row.files.clone(),
            overlaps: overlaps.collect(),
            after: row.after.as_ref().map(|after| {
                let other = rows().find(|other| other.id == *after);
                other.map_or_else(|| after.to_string(), |other| other.task.to_string())
            }),
            request: row.request().as_ref().map(RequestedView::from),
        }
    };
    entries.map(item).collect()
}

impl From<&LandingRow> for SettledItem {
    fn from(row: &LandingRow) -> Self {
        let files = match &row.state {
            LandingState::Conflict { files, .. } => files.clone(),
            LandingState::Waiting {}
            | LandingState::Testing { .. }
            | LandingState::Requested { .. }
            | LandingState::Landed { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => Vec::new(),
        };
        Self {
            id: row.id.to_string(),
            branch: row.target.branch.clone(),
            run: row.run.to_string(),
            task: row.task.to_string(),
            attempt: row.attempt.0,
            state: row.state.as_str(),
            settled_at: row.settled_at.map(|at| at.to_string()),
            landed: row.landed().map(|landed| landed.commit.to_string()),
            files,
            reverted: row.reverted.as_ref().map(ToString::to_string),
            evidence: row.state.evidence().map(ToString::to_string),
        }
    }
}
