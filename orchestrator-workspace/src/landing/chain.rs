//! Work put together, one on the other.

use super::{
    LandError, Shape,
    ground::{Ground, Made},
    message,
};
use crate::git::Merge;
use orchestrator_core::{
    id::{CommitId, LandingId},
    workspace::{LandingRow, LandingState},
};
use std::collections::BTreeSet;

/// A piece of work where it would be on the branch.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) row: LandingRow,
    /// The branch with it.
    pub(super) commit: CommitId,
    /// The branch without it; the same when it has nothing new.
    pub(super) before: CommitId,
}

/// Work put together on the tip of a branch.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// What goes together, in order.
    pub(super) links: Vec<Link>,
    /// What does not go with the tip itself, and how that ends.
    pub(super) conflicts: Vec<(LandingRow, LandingState)>,
}

/// Puts `rows` together on `tip`, in this order. What does not go together with the tip is told as
/// a conflict. What goes with the tip and not with another that is before it here is left for
/// later: nobody knows yet whether that other one lands.
///
/// What was made on other work is put on that, or left for later with it.
pub(super) async fn join(
    ground: &Ground,
    tip: &CommitId,
    rows: Vec<LandingRow>,
    shape: Shape,
) -> Result<Chain, LandError> {
    let mut chain = Chain::default();
    let mut at = tip.clone();
    let batch: BTreeSet<LandingId> = rows.iter().map(|row| row.id.clone()).collect();
    for row in rows {
        let before = row.after.as_ref().filter(|after| batch.contains(*after));
        let is_on_another = before.is_some();
        if before.is_some_and(|after| !chain.links.iter().any(|link| link.row.id == *after)) {
            continue;
        }
        match ground.merge(&row.base, &at, &row.commit).await? {
            Merge::Clean { tree } => {
                let commit = link(ground, &at, &row, &tree, shape).await?;
                chain.links.push(Link { row, commit: commit.clone(), before: at });
                at = commit;
            }
            Merge::Conflict { files, message, .. } if at == *tip => {
                let state = conflict(tip, files, message);
                chain.conflicts.push((row, state));
            }
            // Without what it was made on, the tip says nothing of it.
            Merge::Conflict { .. } if is_on_another => {}
            Merge::Conflict { .. } => {
                if let Merge::Conflict { files, message, .. } =
                    ground.merge(&row.base, tip, &row.commit).await?
                {
                    let state = conflict(tip, files, message);
                    chain.conflicts.push((row, state));
                }
            }
        }
    }
    Ok(chain)
}

fn conflict(tip: &CommitId, mut files: Vec<String>, message: String) -> LandingState {
    files.truncate(LandingRow::LISTED);
    LandingState::Conflict { tip: tip.clone(), files, message }
}

/// The commit of `row` on `at`; `at` itself when the work has nothing that is not there.
async fn link(
    ground: &Ground,
    at: &CommitId,
    row: &LandingRow,
    tree: &CommitId,
    shape: Shape,
) -> Result<CommitId, LandError> {
    if ground.repository.tree(at).await? == *tree {
        return Ok(at.clone());
    }
    let work = ground.repository.commit(&row.commit).await?;
    let parents = match shape {
        Shape::Linear => vec![at.clone()],
        Shape::Merge => vec![at.clone(), row.commit.clone()],
    };
    let message = message::landed(&work.message, row);
    let author = Some(&work.author);
    ground.make(Made { tree, parents: &parents, message: &message, author }).await
}
