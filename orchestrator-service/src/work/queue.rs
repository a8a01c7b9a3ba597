//! The queues of branches, to be looked at.

use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{OverlapView, QueueItem, QueueOfBranch, QueueView, SettledItem},
};
use orchestrator_core::{
    id::{ProjectId, RunId, TenantId},
    port::{LandingFilter, LandingsError, Page},
    workspace::{LandingRow, LandingState, LandingTarget},
};
use orchestrator_workspace::landing::{LandError, QueueView as Queue};

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
        }
    }
}
