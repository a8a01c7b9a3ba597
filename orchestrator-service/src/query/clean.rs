//! Removing what is old: runs that have ended, and what was kept to be used again.

use crate::{OrchestratorService, ServiceError, clock::now, views::CleanView};
use orchestrator_core::time::Timestamp;
use std::time::Duration;

/// Nothing removed.
fn nothing(dry_run: bool) -> CleanView {
    CleanView {
        schema: "orchestrator.clean/v1",
        dry_run,
        runs: Vec::new(),
        blobs: 0,
        bytes: 0,
        cached: 0,
    }
}

impl OrchestratorService {
    /// Removes ended runs that were created longer ago than `older_than`, and what only they used.
    ///
    /// # Errors
    /// An unusable store.
    pub async fn clean(
        &self,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<CleanView, ServiceError> {
        let mut view = nothing(dry_run);
        let Some(opened) = self.store_if_any()? else { return Ok(view) };
        let age = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(now().0.saturating_sub(age));
        let cleaned = opened.catalog().clean(before, dry_run).await;
        let cleaned = cleaned.map_err(|e| opened.failed(e))?;
        view.runs = cleaned.runs.iter().map(ToString::to_string).collect();
        view.blobs = cleaned.blobs;
        view.bytes = cleaned.bytes;
        Ok(view)
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
