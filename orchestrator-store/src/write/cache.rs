//! Results that may be used again.

use crate::{error::Fault, read, record::instant};
use orchestrator_core::{
    id::{TaskName, WorkflowName},
    port::CachedResult,
    time::Timestamp,
};
use rusqlite::{Connection, params, params_from_iter};

/// Keeps a result, whose JSON is `body`, in the place of an earlier one of that key.
pub(super) fn keep(
    conn: &Connection,
    tenant: &str,
    result: &CachedResult,
    body: &str,
) -> Result<(), Fault> {
    let (key, project) = (result.key.as_str(), result.project.as_str());
    // What the earlier one referred to goes with it.
    conn.prepare_cached("DELETE FROM cache WHERE key = ?1")?.execute([key])?;
    conn.prepare_cached(
        "INSERT INTO cache (key, tenant, project, workflow, task, at, expires, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        key,
        tenant,
        project,
        result.workflow.as_str(),
        result.task.as_str(),
        instant(result.at),
        result.expires.map(instant),
        body,
    ])?;
    let artifacts = result.artifacts.iter().map(|artifact| &artifact.blob);
    for blob in result.output.blob().into_iter().chain(artifacts) {
        conn.prepare_cached(
            "INSERT OR IGNORE INTO cache_blobs (key, blob, tenant, project) \
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![key, blob.as_str(), tenant, project])?;
    }
    Ok(())
}

/// Forgets results; returns how many.
pub(crate) fn forget(
    conn: &Connection,
    workflow: Option<&WorkflowName>,
    task: Option<&TaskName>,
    before: Timestamp,
) -> Result<u64, Fault> {
    let (only, values) = read::forgettable(workflow, task, before);
    let sql = format!("DELETE FROM cache WHERE {only}");
    Ok(conn.prepare_cached(&sql)?.execute(params_from_iter(values))? as u64)
}

/// Forgets the results that had expired at `now`.
pub(crate) fn forget_expired(conn: &Connection, now: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM cache WHERE expires <= ?1")?.execute([instant(now)])?;
    Ok(())
}
