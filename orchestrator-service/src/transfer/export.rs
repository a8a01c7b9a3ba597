//! A run as a file.

use super::{
    bundle::{Blob, Log, SCHEMA, Written},
    seal,
};
use crate::{OrchestratorService, ServiceError, service::Opened, views::AttemptView};
use orchestrator_core::{
    event::{Event, Recorded},
    id::{BlobId, RunId, Sequence},
};
use std::collections::{BTreeSet, VecDeque};

/// The most runs in one file.
pub(super) const MOST_RUNS: usize = 10_000;

/// The child runs that attempts of this log are, each once, in order.
pub(super) fn children(events: &[Recorded]) -> Vec<&RunId> {
    let mut seen = BTreeSet::new();
    events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::AttemptStarted { child, .. } => child.as_ref(),
            _ => None,
        })
        .filter(|id| seen.insert(*id))
        .collect()
}

/// The blobs that logs refer to, each once, sorted.
pub(super) fn blobs<'a>(logs: impl IntoIterator<Item = &'a Log>) -> BTreeSet<&'a BlobId> {
    logs.into_iter().flat_map(|log| &log.events).flat_map(|e| e.event.blobs()).collect()
}

impl OrchestratorService {
    /// Everything about one run as one document that can be imported elsewhere; with `children`
    /// the runs that it started and waited for as well.
    ///
    /// # Errors
    /// An unknown run, a missing blob, a run in which a known secret is recorded.
    pub(crate) async fn export_bundle(
        &self,
        run: &str,
        with_children: bool,
    ) -> Result<String, ServiceError> {
        let details = self.run(run).await?;
        let (opened, row) = self.find_run(&details.run.id).await?;
        let attempts = opened.catalog().attempts(&row.id, None).await;
        let attempts = attempts.map_err(|e| opened.failed(e))?;
        let standing = self.standing(opened, &row).await?;
        let attempts: Vec<AttemptView> =
            attempts.iter().map(|attempt| AttemptView::new(attempt, &standing)).collect();
        let logs = opened.family(&row.id, with_children).await?;
        let mut contents = Vec::new();
        for id in blobs(&logs) {
            contents.push(Blob { id: id.clone(), bytes: opened.blobs().get(id).await? });
        }
        let bundle = Written {
            schema: SCHEMA,
            program: env!("CARGO_PKG_VERSION"),
            run: details,
            attempts,
            logs,
            blobs: contents,
        };
        let text = serde_json::to_string_pretty(&bundle)
            .map_err(|error| ServiceError::Internal(format!("cannot write the export: {error}")))?;
        // What is recorded is found by its digest, so it cannot be changed on its way out.
        if self.known().redactor().finds(text.as_bytes()) {
            return Err(ServiceError::HoldsSecret(row.id.to_string()));
        }
        Ok(seal::seal(text))
    }
}

impl Opened {
    /// The log of `run`, and with `children` those of all runs below it that are here.
    async fn family(&self, run: &RunId, with_children: bool) -> Result<Vec<Log>, ServiceError> {
        let mut logs: Vec<Log> = Vec::new();
        let mut open = VecDeque::from([run.clone()]);
        let mut seen: BTreeSet<RunId> = open.iter().cloned().collect();
        while let Some(run) = open.pop_front() {
            let is_here = self.catalog().run(&run).await.map_err(|e| self.failed(e))?.is_some();
            // A child may have been planned and not created yet, or was cleaned away.
            if !is_here {
                continue;
            }
            if logs.len() == MOST_RUNS {
                return Err(ServiceError::Argument {
                    what: "`--children`",
                    given: run.to_string(),
                    expected: format!("there are more than {MOST_RUNS} runs below it"),
                });
            }
            let events = self.events(&run, Sequence(0)).await?;
            if with_children {
                let below = children(&events).into_iter().cloned();
                open.extend(below.filter(|child| seen.insert(child.clone())));
            }
            logs.push(Log { run, events });
        }
        Ok(logs)
    }
}
