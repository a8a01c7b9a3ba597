//! What a queue looks like, for people.

use super::{LandError, Lander};
use orchestrator_core::{
    id::{LandingId, ProjectId, TenantId},
    workspace::{LandingRow, LandingTarget},
};
use serde::Serialize;

/// The queue of a branch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct QueueView {
    /// The branch.
    pub target: LandingTarget,
    /// What is open, most urgent first.
    pub open: Vec<QueueEntry>,
}

/// A piece of work in a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct QueueEntry {
    /// The work.
    pub row: LandingRow,
    /// What else in the queue changes the same files, in the order of the queue.
    pub overlaps: Vec<Overlap>,
}

/// Work that changes the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overlap {
    /// The other.
    pub with: LandingId,
    /// The files, of those that are listed.
    pub files: Vec<String>,
}

impl QueueView {
    /// The queue of `target` with `open` in it.
    pub fn new(target: LandingTarget, open: Vec<LandingRow>) -> Self {
        let overlaps = |row: &LandingRow| -> Vec<Overlap> {
            let others = open.iter().filter(|other| other.id != row.id);
            let both = others.map(|other| (other, row.overlap(other)));
            let both = both.filter(|(_, files)| !files.is_empty());
            both.map(|(other, files)| Overlap {
                with: other.id.clone(),
                files: files.into_iter().map(str::to_owned).collect(),
            })
            .collect()
        };
        let entry = |row: &LandingRow| QueueEntry { overlaps: overlaps(row), row: row.clone() };
        Self { target, open: open.iter().map(entry).collect() }
    }
}

impl Lander {
    /// The queues of a project in which something is open, by branch, with what overlaps.
    ///
    /// # Errors
    /// [`LandError::Queue`].
    pub async fn queues(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Vec<QueueView>, LandError> {
        let mut views = Vec::new();
        for target in self.landings.targets(tenant, project).await? {
            let open = self.landings.waiting(&target).await?;
            views.push(QueueView::new(target, open));
        }
        Ok(views)
    }
}
