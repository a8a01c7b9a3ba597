//! Removing what is old: runs that have ended, and what was kept to be used again.

use crate::{OrchestratorService, ServiceError, clock::now, service::Opened, views::CleanView};
use orchestrator_core::{error::Failure, id::RunId, time::Timestamp};
use orchestrator_workspace::{Temporary, check, git::RefChange};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

/// Nothing removed.
fn nothing(dry_run: bool) -> CleanView {
    CleanView {
        schema: "orchestrator.clean/v1",
        dry_run,
        runs: Vec::new(),
        blobs: 0,
        bytes: 0,
        cached: 0,
        worktrees: 0,
        prepared: 0,
        left_over: 0,
        refs: 0,
    }
}

impl OrchestratorService {
    /// Removes ended runs that were created longer ago than `older_than`, and what only they used: also
    /// places of their attempts that were kept, and hidden refs. Branches stay. What was prepared that
    /// long ago goes as well, and what processes have left over that died.
    ///
    /// # Errors
    /// An unusable store.
    pub async fn clean(
        &self,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<CleanView, ServiceError> {
        let mut view = nothing(dry_run);
        self.clean_left_over(older_than, &mut view).await?;
        let Some(opened) = self.store_if_any()? else { return Ok(view) };
        let age = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(now().0.saturating_sub(age));
        let cleaned = opened.catalog().clean(before, dry_run).await;
        let cleaned = cleaned.map_err(|e| opened.failed(e))?;
        view.runs = cleaned.runs.iter().map(ToString::to_string).collect();
        view.blobs = cleaned.blobs;
        view.bytes += cleaned.bytes;
        self.clean_places(opened, &cleaned.runs, &mut view).await?;
        Ok(view)
    }

    /// Removes what processes have left that died, of checks and of commands of set-up and clean-up,
    /// whatever its age; and directories that lie prepared for longer than `older_than`.
    async fn clean_left_over(
        &self,
        older_than: Duration,
        view: &mut CleanView,
    ) -> Result<(), ServiceError> {
        let (state, dry_run) = (self.place().state(), view.dry_run);
        let sweep = move || {
            [("tmp", ""), ("checks", check::SCRATCH_PREFIX)].map(|(directory, prefix)| {
                let root = state.join(directory);
                Temporary::sweep(&root, prefix, |_| true, dry_run).map_err(|error| (root, error))
            })
        };
        let swept = tokio::task::spawn_blocking(sweep).await;
        for swept in swept.map_err(|error| ServiceError::Internal(error.to_string()))? {
            let swept = swept.map_err(|(path, error)| ServiceError::State {
                directory: path,
                reason: error.to_string(),
            })?;
            view.left_over += swept.count;
            view.bytes += swept.bytes;
        }
        if let Some(places) = self.kept_places().await? {
            let prepared = places.clean_prepared(older_than, SystemTime::now(), dry_run).await;
            let prepared = prepared.map_err(|failure| ServiceError::Engine(failure.message))?;
            view.prepared = prepared.len() as u64;
            view.bytes += prepared.iter().map(|prepared| prepared.size).sum::<u64>();
        }
        Ok(())
    }

    /// Removes places of runs that are gone, and hidden refs of those that have just gone: others may
    /// belong to a project that shares the repository.
    async fn clean_places(
        &self,
        opened: &Opened,
        gone: &[RunId],
        view: &mut CleanView,
    ) -> Result<(), ServiceError> {
        self.clean_homes(opened, gone, view.dry_run).await?;
        let Some(places) = self.kept_places().await? else { return Ok(()) };
        let mut unknown: BTreeSet<RunId> = gone.iter().cloned().collect();
        let failed = |failure: Failure| ServiceError::Engine(failure.message);
        for place in places.list().await.map_err(failed)? {
            let run = opened.catalog().run(&place.run).await.map_err(|e| opened.failed(e))?;
            if run.is_none() {
                unknown.insert(place.run);
            }
        }
        let cleaned = places.clean_runs(|run| unknown.contains(run), view.dry_run).await;
        let cleaned = cleaned.map_err(failed)?;
        for (place, why) in &cleaned.failed {
            tracing::warn!(place = %place.directory.display(), why, "a place could not be removed");
        }
        view.worktrees = cleaned.removed.len() as u64;
        view.bytes += cleaned.bytes();
        // A project that is no repository any more has no refs to be removed.
        let Ok(repository) = self.repository().await else { return Ok(()) };
        let mut changes = Vec::new();
        for run in gone {
            for (name, commit) in repository.refs(&format!("refs/orchestrator/{run}/")).await? {
                changes.push(RefChange { name, new: None, old: Some(commit) });
            }
        }
        view.refs = changes.len() as u64;
        if !view.dry_run && !changes.is_empty() {
            repository.update_refs(&changes, "orchestrator clean").await?;
        }
        Ok(())
    }

    /// Removes what attempts of runs that are gone wrote outside of their places.
    async fn clean_homes(
        &self,
        opened: &Opened,
        gone: &[RunId],
        dry_run: bool,
    ) -> Result<(), ServiceError> {
        let Ok(homes) = std::fs::read_dir(self.place().state().join("homes")) else {
            return Ok(());
        };
        for home in homes.flatten().filter(|_| !dry_run) {
            let name = home.file_name();
            // `RUN+TASK+ATTEMPT`.
            let run = name.to_str().and_then(|name| name.split('+').next());
            let Some(run) = run.and_then(|run| RunId::new(run).ok()) else { continue };
            let known = opened.catalog().run(&run).await.map_err(|e| opened.failed(e))?;
            if gone.contains(&run) || known.is_none() {
                // What cannot be removed now is for the next time.
                let _ = std::fs::remove_dir_all(home.path());
            }
        }
        Ok(())
    }

    /// Forgets results of tasks and answers of models that were kept to be used again, made longer ago
    /// than `older_than`.
    ///
    /// # Errors
    /// An unusable store.
    pub async fn forget_cached(
        &self,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<CleanView, ServiceError> {
        let mut view = nothing(dry_run);
        let Some(opened) = self.store_if_any()? else { return Ok(view) };
        let age = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        // What was made within this very millisecond is as old as nothing at all.
        let before = Timestamp(now().0.saturating_sub(age).saturating_add(u64::from(age == 0)));
        let forgotten = opened.catalog().forget_cached(None, None, before, dry_run).await;
        let answers = opened.responses().forget_responses(before, dry_run).await;
        view.cached = forgotten.map_err(|error| opened.failed(error))?
            + answers.map_err(|error| opened.failed(error))?;
        Ok(view)
    }
}
