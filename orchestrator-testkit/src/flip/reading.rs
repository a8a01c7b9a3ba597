//! Everything that a store says.

use orchestrator_core::{
    event::Recorded,
    id::{BlobId, RunId, Sequence},
    port::{Blobs, Catalog, Page, RunFilter, SpendGroup, Store, TaskFilter},
    run::Run,
};
use std::collections::BTreeMap;

/// How many events are asked for at once.
const AT_ONCE: usize = 10_000;

/// What was read from a store: its logs, its blobs, and its rows as text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The events of each run that is listed.
    pub events: BTreeMap<RunId, Vec<Recorded>>,
    /// The content of each blob that an event names.
    pub blobs: BTreeMap<BlobId, Vec<u8>>,
    /// Whether the events can be replayed, and with what end.
    pub replays: BTreeMap<RunId, String>,
    /// What lists show.
    pub rows: String,
}

impl Reading {
    /// Reads everything.
    ///
    /// # Errors
    /// What the store says when it cannot be read.
    pub async fn of(
        store: &dyn Store,
        catalog: &dyn Catalog,
        blobs: &dyn Blobs,
    ) -> Result<Self, String> {
        let mut reading = Self::default();
        let page = Page { limit: 1_000, cursor: None };
        let runs = catalog.runs(&RunFilter::default(), &page).await.map_err(text)?;
        reading.rows = format!("{runs:?}");
        for row in &runs.items {
            let events = store.events(&row.id, Sequence(0), AT_ONCE).await.map_err(text)?;
            for blob in events.iter().flat_map(|recorded| recorded.event.blobs()) {
                let bytes = blobs.get(blob).await.map_err(text)?;
                reading.blobs.insert(blob.clone(), bytes);
            }
            let replayed = match Run::replay(&events) {
                Ok(run) => format!("{} at {}", run.status(), run.seq()),
                Err(error) => error.to_string(),
            };
            reading.replays.insert(row.id.clone(), replayed);
            let filter = TaskFilter { run: Some(row.id.clone()), ..TaskFilter::default() };
            let tasks = catalog.tasks(&filter, &page).await.map_err(text)?;
            let attempts = catalog.attempts(&row.id, None).await.map_err(text)?;
            let spent = catalog.spending(SpendGroup::Task, Some(&row.id), None).await;
            let signals = store.signals(&row.id, 0).await.map_err(text)?;
            let spent = spent.map_err(text)?;
            let estimate = catalog.estimated(Some(&row.id), None, 1).await.map_err(text)?;
            reading.rows += &format!("{tasks:?}{attempts:?}{spent:?}{signals:?}{estimate:?}");
            reading.events.insert(row.id.clone(), events);
        }
        Ok(reading)
    }

    /// In what `found` says something else of the log or of a blob.
    pub(super) fn differs(&self, found: &Self) -> Option<String> {
        for (run, events) in &self.events {
            let Some(others) = found.events.get(run) else {
                return Some(format!("`{run}` is not there any more"));
            };
            if others.len() != events.len() {
                return Some(format!("`{run}` has {} events, not {}", others.len(), events.len()));
            }
            if let Some((one, other)) = events.iter().zip(others).find(|(one, other)| one != other)
            {
                return Some(format!("{other:?} of `{run}` was {one:?}"));
            }
        }
        if found.events.len() != self.events.len() {
            return Some("there are more runs".to_owned());
        }
        (self.blobs != found.blobs || self.replays != found.replays)
            .then(|| "a blob or a replay is another".to_owned())
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
