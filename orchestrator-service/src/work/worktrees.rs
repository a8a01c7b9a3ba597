//! The places of attempts that are there, and removing them.

use crate::{
    OrchestratorService, ServiceError,
    views::{NotRemovedView, PlaceView, PreparedView, WorktreesCleanView, WorktreesView},
};
use orchestrator_core::time::Timestamp;
use orchestrator_workspace::worktree::{Place, Prepared};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl OrchestratorService {
    /// The places of this project's attempts, and what lies ready for the next.
    ///
    /// # Errors
    /// Without git; a state directory that cannot be read.
    pub async fn worktrees(&self) -> Result<WorktreesView, ServiceError> {
        let (mut places, prepared) = match self.kept_places().await? {
            Some(places) => (
                places.list().await.map_err(ServiceError::Place)?,
                places.prepared().await.map_err(ServiceError::Place)?,
            ),
            None => (Vec::new(), Vec::new()),
        };
        places.sort_by(|one, other| {
            (&one.run, &one.task, one.attempt).cmp(&(&other.run, &other.task, other.attempt))
        });
        let items = places.iter().map(shown).collect();
        let prepared = prepared.iter().map(ready).collect();
        Ok(WorktreesView { schema: "orchestrator.worktrees/v1", items, prepared })
    }

    /// Removes the places in which nobody works and whose state is at least `older_than` old, or only
    /// says which; those that lie ready for the next as well. What was not recorded of them is recorded as a checkpoint before; branches and
    /// checkpoints stay.
    ///
    /// # Errors
    /// As for [`OrchestratorService::worktrees`].
    pub async fn clean_worktrees(
        &self,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<WorktreesCleanView, ServiceError> {
        let mut view = WorktreesCleanView {
            schema: "orchestrator.worktrees-clean/v1",
            dry_run,
            removed: Vec::new(),
            prepared: Vec::new(),
            bytes: 0,
            failed: Vec::new(),
        };
        let Some(places) = self.kept_places().await? else { return Ok(view) };
        let cleaned = places.clean(older_than, SystemTime::now(), dry_run).await;
        let cleaned = cleaned.map_err(ServiceError::Place)?;
        let prepared = places.clean_prepared(older_than, SystemTime::now(), dry_run).await;
        let prepared = prepared.map_err(ServiceError::Place)?;
        view.bytes = prepared.iter().fold(cleaned.bytes(), |sum, prepared| sum + prepared.size);
        view.prepared = prepared.iter().map(ready).collect();
        view.removed = cleaned.removed.iter().map(shown).collect();
        let failed = cleaned.failed.iter().map(|(place, reason)| NotRemovedView {
            directory: place.directory.display().to_string(),
            reason: reason.clone(),
        });
        view.failed = failed.collect();
        if !dry_run {
            let homes = self.place().state().join("homes");
            for name in cleaned.removed.iter().filter_map(|place| place.directory.file_name()) {
                // One that is not there is as good as removed.
                let _ = std::fs::remove_dir_all(homes.join(name));
            }
        }
        Ok(view)
    }
}

fn ready(prepared: &Prepared) -> PreparedView {
    PreparedView {
        directory: prepared.directory.display().to_string(),
        commit: prepared.commit.as_ref().map(ToString::to_string),
        bytes: prepared.size,
        since: told(prepared.since),
    }
}

fn told(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).to_string()
}

fn shown(place: &Place) -> PlaceView {
    PlaceView {
        run: place.run.to_string(),
        task: place.task.to_string(),
        attempt: place.attempt.0,
        kind: place.kind.as_str().to_owned(),
        branch: place.branch.clone(),
        directory: place.directory.display().to_string(),
        bytes: place.size,
        state: place.state.as_str(),
        since: told(place.since),
    }
}
