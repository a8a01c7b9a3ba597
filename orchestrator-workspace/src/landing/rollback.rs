//! Undoing what a run landed: by commits that revert it, landed like any other work.

use super::{
    LandError, Lander, LandingStep, checks,
    ground::{Ground, Made, Moved},
    message,
    pass::Worker,
};
use crate::git::{CommitInfo, Merge};
use orchestrator_core::{
    id::{BlobId, CommitId, LandingId, ProjectId, RunId, TenantId},
    port::{LandingFilter, Page},
    workspace::{LandingRow, LandingTarget, Verdict},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// How many later commits are looked at for those that stand in the way.
const LATER: usize = 500;

/// What was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Undone {
    /// The branch.
    pub branch: String,
    /// What was landed, and the commit that reverts it: newest first. Empty when there was nothing
    /// to undo.
    pub reverts: Vec<Revert>,
    /// What the branch was.
    pub before: CommitId,
    /// What it is.
    pub after: CommitId,
    /// Whether its files are now just what they were before the run landed anything there.
    pub is_restored: bool,
    /// What the checks gave without the work, when there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<BlobId>,
}

/// A commit that was reverted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Revert {
    /// The work.
    pub work: LandingId,
    /// What it was.
    pub commit: CommitId,
    /// What reverts it; none when reverting changes nothing, since its content is gone already.
    pub by: Option<CommitId>,
}

impl Lander {
    /// Undoes what `run` landed on `target`, newest first, one reverting commit each. The branch
    /// moves once, by all of them, after the checks of what else is there have passed on the result:
    /// those of the run itself need not, since what they prove goes. Asked again it finds what is
    /// undone already.
    ///
    /// Waits for whoever works on the queue. The run should have ended: what it lands afterwards
    /// stays.
    ///
    /// # Errors
    /// [`LandError::Entangled`] when later commits changed the same, [`LandError::RedWithout`] when
    /// the checks do not pass; and as for [`Lander::land`]. The branch is as it was then.
    pub async fn rollback(&self, target: &LandingTarget, run: &RunId) -> Result<Undone, LandError> {
        let lock = loop {
            let news = self.news.notified();
            match self.lock(&target.branch)? {
                Some(lock) => break lock,
                None => {
                    let _ = tokio::time::timeout(self.settings.poll, news).await;
                }
            }
        };
        let worker = Worker::take(self, target, lock).await?;
        let mut moves = 0;
        let undone = loop {
            match self.undo(&worker, target, run).await? {
                Some(undone) => break undone,
                None => {
                    moves += 1;
                    if moves > self.settings.moves {
                        let branch = target.branch.clone();
                        return Err(LandError::KeepsMoving { branch, times: moves });
                    }
                }
            }
        };
        drop(worker);
        self.news.notify_waiters();
        Ok(undone)
    }

    /// The branches on which a run has landed something that is there still, by name.
    ///
    /// # Errors
    /// [`LandError::Queue`].
    pub async fn targets_of(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
        run: &RunId,
    ) -> Result<Vec<LandingTarget>, LandError> {
        let filter = LandingFilter {
            tenant: Some(tenant.clone()),
            project: Some(project.clone()),
            branch: None,
            run: Some(run.clone()),
        };
        let mut page = Page { limit: LATER, cursor: None };
        let mut targets = BTreeSet::new();
        loop {
            let found = self.landings.settled(&filter, &page).await?;
            let there = found.items.into_iter().filter(LandingRow::is_to_undo);
            targets.extend(there.map(|row| row.target));
            page.cursor = found.next;
            if page.cursor.is_none() {
                return Ok(targets.into_iter().collect());
            }
        }
    }

    /// One try; `None` when the branch was moved meanwhile.
    async fn undo(
        &self,
        worker: &Worker<'_>,
        target: &LandingTarget,
        run: &RunId,
    ) -> Result<Option<Undone>, LandError> {
        let ground = worker.ground();
        let no_branch = || LandError::NoBranch { branch: target.branch.clone() };
        let tip = ground.tip().await?.ok_or_else(no_branch)?;
        if let Some(directory) = ground.checked_out().await? {
            ground.check_checkout(&directory, self.settings.update_checkout).await?;
        }
        let mut rows = self.landings.landed(target, run).await?;
        let later = ground.repository.commits(None, &tip, LATER).await?;
        // The branch knows best in which order they landed; what it does not tell of came first.
        rows.sort_by_key(|row| std::cmp::Reverse(age(&later, row)));
        let Some(first) = rows.first().and_then(LandingRow::landed) else {
            let (before, after) = (tip.clone(), tip);
            let branch = target.branch.clone();
            let (reverts, is_restored, evidence) = (Vec::new(), false, None);
            return Ok(Some(Undone { branch, reverts, before, after, is_restored, evidence }));
        };
        let mut at = tip.clone();
        let mut reverts = Vec::new();
        for row in rows.iter().rev() {
            let Some(landed) = row.landed() else { continue };
            let by = match reverted_by(&later, &landed.commit) {
                // A person, or this program before it died, has done it.
                Some(by) => Some(by),
                None => {
                    let next = revert(ground, &at, row, &landed.commit, &landed.before, &later);
                    let next = next.await?;
                    let by = (next != at).then(|| next.clone());
                    at = next;
                    by
                }
            };
            reverts.push(Revert { work: row.id.clone(), commit: landed.commit, by });
        }
        let evidence = self.without(worker, &tip, &at, target, run).await?;
        if at != tip {
            let reason = format!("orchestrator: undo run {run}");
            if worker.advance(&at, &tip, &reason).await? == Moved::Elsewhere {
                return Ok(None);
            }
        }
        let work: Vec<_> = reverts
            .iter()
            .map(|revert| (revert.work.clone(), revert.by.clone().unwrap_or_else(|| at.clone())))
            .collect();
        self.landings.reverted(target, worker.epoch(), &work).await?;
        let was = ground.repository.tree(&first.before).await?;
        let is_restored = ground.repository.tree(&at).await? == was;
        let branch = target.branch.clone();
        Ok(Some(Undone { branch, reverts, before: tip, after: at, is_restored, evidence }))
    }

    /// Runs the checks of what other runs have landed on the branch and which is there still.
    async fn without(
        &self,
        worker: &Worker<'_>,
        tip: &CommitId,
        at: &CommitId,
        target: &LandingTarget,
        run: &RunId,
    ) -> Result<Option<BlobId>, LandError> {
        let others = self.others(target, run).await?;
        let checks = checks::union(others.iter().map(|row| &row.checks));
        if checks.run.is_empty() || at == tip {
            return Ok(None);
        }
        worker.tell(&LandingStep::Checking { work: 0, candidate: at.clone() });
        let checked = self.prove.prove(at, tip, &checks).await.map_err(LandError::Checks)?;
        let evidence = checked.evidence.clone();
        let blob = self.keep(checked).await?.evidence;
        match evidence.verdict {
            Verdict::Verified => Ok(Some(blob)),
            Verdict::Failed | Verdict::Tampered | Verdict::NotAccepted => {
                let bad = evidence.checks.iter().filter(|check| !check.outcome.is_good());
                let bad: Vec<&str> = bad.map(|check| check.name.as_str()).collect();
                Err(LandError::RedWithout {
                    branch: target.branch.clone(),
                    run: run.to_string(),
                    failed: bad.join(", "),
                })
            }
        }
    }

    /// The newest of what other runs landed on the branch, with checks.
    async fn others(
        &self,
        target: &LandingTarget,
        run: &RunId,
    ) -> Result<Vec<LandingRow>, LandError> {
        let filter = LandingFilter {
            tenant: Some(target.tenant.clone()),
            project: Some(target.project.clone()),
            branch: Some(target.branch.clone()),
            run: None,
        };
        let page = Page { limit: LATER, cursor: None };
        let found = self.landings.settled(&filter, &page).await?.items;
        Ok(found.into_iter().filter(|row| row.run != *run && row.is_to_undo()).collect())
    }
}

/// How many commits of the branch are newer than the one that `row` landed as.
fn age(later: &[CommitInfo], row: &LandingRow) -> usize {
    let landed = row.landed();
    let place = landed.and_then(|landed| later.iter().position(|found| found.id == landed.commit));
    place.unwrap_or(usize::MAX)
}

/// Which of `later` says that it reverts `commit`.
fn reverted_by(later: &[CommitInfo], commit: &CommitId) -> Option<CommitId> {
    let says = format!("This reverts commit {commit}");
    later.iter().find(|found| found.message.contains(&says)).map(|found| found.id.clone())
}

/// The branch at `at` without what `commit` brought to `before`; `at` itself when that is gone.
async fn revert(
    ground: &Ground,
    at: &CommitId,
    row: &LandingRow,
    commit: &CommitId,
    before: &CommitId,
    later: &[CommitInfo],
) -> Result<CommitId, LandError> {
    match ground.merge(commit, at, before).await? {
        Merge::Clean { tree } => {
            if ground.repository.tree(at).await? == tree {
                return Ok(at.clone());
            }
            let work = ground.repository.commit(commit).await?;
            let message = message::reverting(&work.message, row, commit.as_str());
            let parents = [at.clone()];
            ground
                .make(Made { tree: &tree, parents: &parents, message: &message, author: None })
                .await
        }
        Merge::Conflict { files, .. } => {
            let later = in_the_way(ground, row, commit, before, &files, later).await?;
            let (branch, commit) = (ground.branch.clone(), commit.clone());
            Err(LandError::Entangled { branch, commit, files, later })
        }
    }
}

/// The later commits, oldest first, that make `commit` impossible to revert: those before which it
/// goes and after which it does not. When none can be told, all that change the same files.
async fn in_the_way(
    ground: &Ground,
    row: &LandingRow,
    commit: &CommitId,
    before: &CommitId,
    files: &[String],
    later: &[CommitInfo],
) -> Result<Vec<(CommitId, String)>, LandError> {
    let run = row.run.as_str();
    let after = later.iter().take_while(|found| found.id != *commit);
    let others = after.filter(|found| found.trailer("Orchestrator-Run") != Some(run));
    let mut touching = Vec::new();
    for found in others {
        let Some(parent) = found.parents.first() else { continue };
        let changed = ground.repository.changed_files(parent, &found.id).await?;
        if changed.iter().any(|file| files.contains(&file.path)) {
            touching.push((found, parent));
        }
    }
    touching.reverse();
    let named = |found: &CommitInfo| {
        let subject: String = found.subject().chars().take(80).collect();
        (found.id.clone(), subject)
    };
    let mut culprits = Vec::new();
    for (found, parent) in &touching {
        let goes = matches!(ground.merge(commit, parent, before).await?, Merge::Clean { .. });
        let went = matches!(ground.merge(commit, &found.id, before).await?, Merge::Clean { .. });
        if goes && !went {
            culprits.push(named(found));
        }
    }
    match culprits.is_empty() {
        true => Ok(touching.iter().map(|(found, _)| named(found)).collect()),
        false => Ok(culprits),
    }
}
