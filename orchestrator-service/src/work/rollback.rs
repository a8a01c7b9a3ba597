//! Undoing what a run landed.

use super::queue::{failed, landed, target};
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{RevertView, RollbackPlan, RollbackView},
};
use orchestrator_core::{
    id::{ProjectId, RunId, TenantId},
    port::{LandingFilter, Page},
    workspace::LandingRow,
};
use orchestrator_workspace::git::result_branch;
use std::collections::BTreeSet;

/// How much of what was settled is read at once.
const PART: usize = 500;

impl OrchestratorService {
    /// What [`OrchestratorService::rollback`] would undo, without doing it. Without a branch it is the
    /// one that the run landed on besides its result branch, or else that one.
    ///
    /// # Errors
    /// An unknown run or one that has not ended; [`ServiceError::NothingLanded`]; several branches of
    /// which none is named.
    pub async fn rollback_plan(
        &self,
        run: &str,
        branch: Option<&str>,
    ) -> Result<RollbackPlan, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        let (branch, rows) = self.to_undo(opened, &row, branch).await?;
        let work = rows
            .iter()
            .rev()
            .filter_map(|row| Some((row.task.to_string(), row.landed()?.commit.to_string())));
        Ok(RollbackPlan { run: row.id.to_string(), branch, work: work.collect() })
    }

    /// Undoes what a run landed on a branch, by commits that revert it. With `update_checkout` a
    /// clean checkout of the branch goes along.
    ///
    /// # Errors
    /// As for [`OrchestratorService::rollback_plan`], and [`ServiceError::Landing`] when it cannot be
    /// undone; then nothing has changed.
    pub async fn rollback(
        &self,
        run: &str,
        branch: Option<&str>,
        update_checkout: bool,
    ) -> Result<RollbackView, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        let (branch, rows) = self.to_undo(opened, &row, branch).await?;
        let lander = self.lander_for(opened, update_checkout).await?;
        let undone = lander.rollback(&target(&branch), &row.id).await?;
        let tree = self.repository().await?.tree(&undone.after).await?;
        let reverts = undone.reverts.iter().map(|revert| RevertView {
            task: rows
                .iter()
                .find(|row| row.id == revert.work)
                .map(|row| row.task.to_string())
                .unwrap_or_default(),
            commit: revert.commit.to_string(),
            by: revert.by.as_ref().map(ToString::to_string),
        });
        Ok(RollbackView {
            schema: "orchestrator.rollback/v1",
            run: row.id.to_string(),
            branch,
            before: undone.before.to_string(),
            after: undone.after.to_string(),
            tree: tree.to_string(),
            restored: undone.is_restored,
            reverts: reverts.collect(),
            evidence: undone.evidence.map(|blob| blob.to_string()),
        })
    }

    /// The branch that is meant, and what is to be undone there, oldest first.
    async fn to_undo(
        &self,
        opened: &Opened,
        row: &orchestrator_core::port::RunRow,
        branch: Option<&str>,
    ) -> Result<(String, Vec<LandingRow>), ServiceError> {
        if !row.status.is_final() {
            let (run, status) = (row.id.to_string(), row.status.to_string());
            return Err(ServiceError::RunGoesOn { action: "roll back", run, status });
        }
        let branch = match branch {
            Some(branch) => branch.to_owned(),
            None => only(&row.id, branches(opened, &row.id).await?)?,
        };
        let rows = landed(opened, &branch, &row.id).await?;
        match rows.is_empty() {
            true => {
                Err(ServiceError::NothingLanded { run: row.id.to_string(), branch: Some(branch) })
            }
            false => Ok((branch, rows)),
        }
    }
}

/// The branches on which a run has something to undo, by name.
async fn branches(opened: &Opened, run: &RunId) -> Result<BTreeSet<String>, ServiceError> {
    let filter = LandingFilter {
        tenant: Some(TenantId::default()),
        project: Some(ProjectId::default()),
        branch: None,
        run: Some(run.clone()),
    };
    let (landings, mut found) = (opened.landings(), BTreeSet::new());
    let mut page = Page { limit: PART, cursor: None };
    loop {
        let part = landings.settled(&filter, &page).await.map_err(failed)?;
        let there = part.items.into_iter().filter(LandingRow::is_to_undo);
        found.extend(there.map(|row| row.target.branch));
        page.cursor = part.next;
        if page.cursor.is_none() {
            return Ok(found);
        }
    }
}

/// The one that is meant when none is named.
fn only(run: &RunId, mut found: BTreeSet<String>) -> Result<String, ServiceError> {
    let own = result_branch(run);
    if found.len() > 1 {
        found.remove(&own);
    }
    let mut names = found.iter();
    match (names.next(), names.next()) {
        (None, _) => Err(ServiceError::NothingLanded { run: run.to_string(), branch: None }),
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            let names: Vec<_> = found.into_iter().collect();
            Err(ServiceError::Argument {
                what: "--target",
                given: "left out".into(),
                expected: format!("the run landed on several branches: {}", names.join(", ")),
            })
        }
    }
}
