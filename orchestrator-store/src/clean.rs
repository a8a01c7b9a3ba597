//! Cleaning up: ended runs and expired results first, then the blobs that nothing refers to.

use crate::{ledger, local::LocalStore, open, read, record::instant, write};
use orchestrator_core::{
    port::{Cleaned, StoreError},
    time::Timestamp,
};
use rusqlite::Connection;
use std::{collections::HashSet, time::SystemTime};

/// The most runs that are removed in one transaction: other writers wait no longer than for these.
const TOGETHER: usize = 32;

impl LocalStore {
    /// Removes what can go, or counts it, and says what.
    pub(crate) async fn sweep(
        &self,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<Cleaned, StoreError> {
        let action = "find the runs to remove";
        let mut runs =
            self.readers().read(action, move |conn| read::removable(conn, before)).await?;
        if !dry_run {
            let mut removed = Vec::new();
            for some in runs.chunks(TOGETHER) {
                let some = some.to_vec();
                let work = move |conn: &Connection| write::remove(conn, &some, before);
                removed.extend(self.writer().write("remove ended runs", work).await?);
            }
            runs = removed;
            let work = move |conn: &Connection| {
                write::forget_expired_responses(conn, before)?;
                write::forget_orphans(conn, before)?;
                write::forget_expired(conn, before)
            };
            self.writer().write("forget expired results", work).await?;
            let work = move |conn: &Connection| ledger::forget(conn, before);
            self.writer().write("forget calls in the ledger", work).await?;
        }
        let (blobs, file) = (self.blobs(), self.file().to_path_buf());
        let patience = self.readers().patience();
        let swept = tokio::task::spawn_blocking(move || {
            let kept = || {
                let conn = open::reader(&file, patience)?;
                referenced(&conn, dry_run.then_some(before)).map_err(|error| {
                    crate::error::from_sqlite(&file, "find the blobs in use", &error)
                })
            };
            blobs.sweep(kept, SystemTime::now(), dry_run)
        });
        let swept = swept.await.map_err(|stopped| StoreError::Unavailable {
            action: "sweep the blobs".into(),
            reason: stopped.to_string(),
        })??;
        Ok(Cleaned { runs, blobs: swept.blobs, bytes: swept.bytes })
    }
}

/// The blobs that a run, landed work or a kept result refers to; without those runs and results that a removal
/// before `without` would take.
fn referenced(
    conn: &Connection,
    without: Option<Timestamp>,
) -> Result<HashSet<String>, rusqlite::Error> {
    let sql = "SELECT b.blob FROM blob_refs b JOIN runs r ON r.n = b.run \
               WHERE ?1 IS NULL OR r.created_at >= ?1 OR r.status IS NULL \
               OR r.status NOT IN ('succeeded', 'failed', 'cancelled') \
               UNION SELECT b.blob FROM cache_blobs b JOIN cache c ON c.key = b.key \
               WHERE ?1 IS NULL OR c.expires IS NULL OR c.expires > ?1 \
               UNION SELECT l.evidence FROM landings l LEFT JOIN runs r ON r.id = l.run \
               WHERE l.evidence IS NOT NULL AND (?1 IS NULL OR (r.n IS NULL AND l.settled_at >= ?1) \
               OR r.created_at >= ?1 OR (r.n IS NOT NULL AND r.status IS NULL) \
               OR r.status NOT IN ('succeeded', 'failed', 'cancelled')) \
               UNION SELECT o.value FROM landings l, json_each(l.body, '$.state.outputs') o \
               LEFT JOIN runs r ON r.id = l.run \
               WHERE ?1 IS NULL OR (r.n IS NULL AND l.settled_at >= ?1) \
               OR r.created_at >= ?1 OR (r.n IS NOT NULL AND r.status IS NULL) \
               OR r.status NOT IN ('succeeded', 'failed', 'cancelled')";
    let mut statement = conn.prepare(sql)?;
    let blobs = statement.query_map([without.map(instant)], |row| row.get(0))?;
    blobs.collect()
}
