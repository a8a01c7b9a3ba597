//! What a run has made that can be landed: the pieces of its result branches, in order.

use super::queue::landed;
use crate::{OrchestratorService, ServiceError, query::result_branches, service::Opened};
use orchestrator_core::{
    event::Event,
    id::{AttemptNumber, CommitId, Sequence, TaskName},
    port::RunRow,
    task::{Priority, TaskSpec},
    workspace::{ChecksPolicy, LandingRow},
};
use orchestrator_workspace::git::Repository;
use std::collections::BTreeMap;

/// A piece of work, as it is on a result branch.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) task: TaskName,
    pub(super) attempt: AttemptNumber,
    pub(super) commit: CommitId,
    pub(super) base: CommitId,
    pub(super) checks: ChecksPolicy,
    pub(super) priority: Priority,
    /// Whether its checks passed; none without checks.
    pub(super) verified: Option<bool>,
}

impl OrchestratorService {
    /// What `row` has on branches other than `into`, in the order in which it came there: first what
    /// was carried over from another run, which its result branch begins with.
    pub(super) async fn pieces(
        &self,
        opened: &Opened,
        row: &RunRow,
        repository: &Repository,
        into: &str,
    ) -> Result<Vec<Piece>, ServiceError> {
        let created = opened.created(&row.id).await?;
        let specs = opened.specs(&created).await?;
        let events = opened.events(&row.id, Sequence(0)).await?;
        let mut carried = Vec::new();
        let mut verdicts: BTreeMap<TaskName, bool> = BTreeMap::new();
        for recorded in &events {
            match &recorded.event {
                Event::TaskCarried { task, facts: Some(facts), attempts, .. } => {
                    let Some(done) = facts.landed.as_ref() else { continue };
                    if done.commit == done.before || done.target == into {
                        continue;
                    }
                    let spec = spec(&specs, task);
                    carried.push(Piece {
                        task: task.clone(),
                        attempt: AttemptNumber((*attempts).max(1)),
                        commit: done.commit.clone(),
                        base: done.before.clone(),
                        checks: checks(spec),
                        priority: spec.map(|spec| spec.priority).unwrap_or_default(),
                        verified: facts.evidence.as_ref().map(|_| facts.is_verified()),
                    });
                }
                Event::EvidenceRecorded { task, evidence, .. } => {
                    let is_good =
                        evidence.verdict == orchestrator_core::workspace::Verdict::Verified;
                    verdicts.insert(task.clone(), is_good);
                }
                _ => {}
            }
        }
        let mut pieces = in_order(repository, carried).await?;
        for branch in result_branches(&events) {
            if branch.branch != into {
                let rows = landed(opened, &branch.branch, &row.id).await?;
                pieces.extend(rows.into_iter().filter_map(|row| piece(row, &verdicts)));
            }
        }
        Ok(pieces)
    }
}

fn piece(row: LandingRow, verdicts: &BTreeMap<TaskName, bool>) -> Option<Piece> {
    let done = row.landed()?;
    Some(Piece {
        verified: verdicts.get(&row.task).copied(),
        task: row.task,
        attempt: row.attempt,
        commit: done.commit,
        base: done.before,
        checks: row.checks,
        priority: row.priority,
    })
}

fn spec<'a>(specs: &'a [TaskSpec], task: &TaskName) -> Option<&'a TaskSpec> {
    specs.iter().find(|spec| spec.name.as_str() == task.base())
}

/// What has to pass, with what sets the place up for it.
fn checks(spec: Option<&TaskSpec>) -> ChecksPolicy {
    let Some(spec) = spec else { return ChecksPolicy::default() };
    let mut checks = spec.checks.as_deref().cloned().unwrap_or_default();
    if let (true, Some(policy)) = (checks.setup.is_empty(), &spec.workspace) {
        checks.setup.clone_from(&policy.setup);
    }
    checks
}

/// Pieces of one line, from the beginning of the line to its end.
async fn in_order(repository: &Repository, pieces: Vec<Piece>) -> Result<Vec<Piece>, ServiceError> {
    let mut placed = Vec::new();
    for piece in &pieces {
        let mut before = 0;
        for other in &pieces {
            if repository.is_ancestor(&other.commit, &piece.commit).await? {
                before += 1;
            }
        }
        placed.push((before, piece.clone()));
    }
    placed.sort_by_key(|(before, _)| *before);
    Ok(placed.into_iter().map(|(_, piece)| piece).collect())
}
