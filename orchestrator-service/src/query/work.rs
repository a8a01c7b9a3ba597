//! What attempts did in places of their own: read from the log.

use crate::{
    ServiceError,
    service::Opened,
    views::{
        ChangedView, EvidenceView, LandedView, MadeView, RefusedView, RequestedView, ResultBranch,
        WorkView, WorkspaceView,
    },
};
use orchestrator_core::{
    event::{Event, Recorded},
    id::{AttemptNumber, RunId, Sequence, TaskName},
    port::BlobError,
};

impl Opened {
    /// What the attempts of a task did in places of their own, first to last.
    pub(crate) async fn work_of(
        &self,
        run: &RunId,
        name: &TaskName,
    ) -> Result<Vec<WorkView>, ServiceError> {
        let mut all: Vec<WorkView> = Vec::new();
        for recorded in self.events(run, Sequence(0)).await? {
            match recorded.event {
                Event::WorkspaceOpened { task, attempt, opened } if task == *name => {
                    let opened = WorkspaceView {
                        kind: opened.kind.as_str().to_owned(),
                        directory: opened.directory.display().to_string(),
                        branch: opened.branch,
                        base: opened.base.map(|base| base.to_string()),
                        sandbox: opened.sandbox,
                    };
                    match all.iter_mut().find(|work| work.attempt == attempt.0) {
                        Some(work) => work.workspace = opened,
                        None => all.push(WorkView {
                            attempt: attempt.0,
                            workspace: opened,
                            checkpoints: Vec::new(),
                            made: None,
                            evidence: None,
                            landed: None,
                            requested: None,
                            refused: None,
                        }),
                    }
                }
                Event::CheckpointMade { task, attempt, checkpoint } if task == *name => {
                    if let Some(work) = of(&mut all, attempt) {
                        work.checkpoints.push(checkpoint.commit.to_string());
                    }
                }
                Event::WorkRecorded { task, attempt, work: made, .. } if task == *name => {
                    if let Some(work) = of(&mut all, attempt) {
                        work.made = Some(MadeView {
                            commit: made.commit.to_string(),
                            base: made.base.to_string(),
                            files: made.files,
                            changed: made.listed.iter().map(ChangedView::from).collect(),
                        });
                    }
                }
                Event::EvidenceRecorded { task, attempt, evidence, .. } if task == *name => {
                    let bytes = self.blobs().get(&evidence.blob).await?;
                    let found = serde_json::from_slice(&bytes).map_err(|_| {
                        ServiceError::Blob(BlobError::Damaged(evidence.blob.clone()))
                    })?;
                    if let Some(work) = of(&mut all, attempt) {
                        let blob = evidence.blob.to_string();
                        work.evidence = Some(EvidenceView::new(&found, blob));
                    }
                }
                Event::WorkLanded { task, attempt, landed } if task == *name => {
                    if let Some(work) = of(&mut all, attempt) {
                        work.landed = Some(LandedView {
                            branch: landed.target,
                            commit: landed.commit.to_string(),
                            before: landed.before.to_string(),
                            evidence: landed.evidence.map(|blob| blob.to_string()),
                            outputs: landed.outputs.iter().map(ToString::to_string).collect(),
                        });
                    }
                }
                Event::PullRequestOpened { task, attempt, request } if task == *name => {
                    if let Some(work) = of(&mut all, attempt) {
                        work.requested = Some(RequestedView::from(&*request));
                    }
                }
                Event::LandingRefused { task, attempt, refusal } if task == *name => {
                    if let Some(work) = of(&mut all, attempt) {
                        work.refused = Some(RefusedView {
                            branch: refusal.target,
                            tip: refusal.tip.to_string(),
                            files: refusal.files,
                            message: refusal.message,
                            evidence: refusal.evidence.map(|blob| blob.to_string()),
                            outputs: refusal.outputs.iter().map(ToString::to_string).collect(),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }
}

/// The branches on which a run has landed work, by name.
pub(crate) fn result_branches(events: &[Recorded]) -> Vec<ResultBranch> {
    let mut branches: Vec<ResultBranch> = Vec::new();
    for recorded in events {
        let Event::WorkLanded { task, landed, .. } = &recorded.event else { continue };
        let task = task.to_string();
        match branches.iter_mut().find(|branch| branch.branch == landed.target) {
            Some(branch) => {
                branch.commit = landed.commit.to_string();
                branch.tasks.push(task);
            }
            None => branches.push(ResultBranch {
                branch: landed.target.clone(),
                commit: landed.commit.to_string(),
                tasks: vec![task],
            }),
        }
    }
    branches.sort_by(|one, other| one.branch.cmp(&other.branch));
    branches
}

/// The work of an attempt. One that goes on with what an earlier one recorded has no place of its own:
/// then it is the earlier one's.
fn of(all: &mut [WorkView], attempt: AttemptNumber) -> Option<&mut WorkView> {
    let found = all.iter().rposition(|work| work.attempt == attempt.0);
    let found = found.or_else(|| all.iter().rposition(|work| work.attempt < attempt.0))?;
    all.get_mut(found)
}
