//! Removing runs.

use crate::{
    error::Fault,
    ledger,
    record::{LAST_SEQ, instant, place},
};
use orchestrator_core::{id::RunId, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// Removes those of `runs` that have ended and were created before `before`; returns which.
pub(crate) fn remove(
    conn: &Connection,
    runs: &[RunId],
    before: Timestamp,
) -> Result<Vec<RunId>, Fault> {
    let mut removed = Vec::new();
    for run in runs {
        let found: Option<i64> = conn
            .prepare_cached(
                "SELECT n FROM runs WHERE id = ?1 AND created_at < ?2 \
                 AND status IN ('succeeded', 'failed', 'cancelled')",
            )?
            .query_row(params![run.as_str(), instant(before)], |row| row.get(0))
            .optional()?;
        let Some(n) = found else { continue };
        for table in ["events", "spend", "signals"] {
            let sql = format!("DELETE FROM {table} WHERE place BETWEEN ?1 AND ?2");
            conn.prepare_cached(&sql)?.execute([place(n, 0), place(n, LAST_SEQ)])?;
        }
        ledger::forget_run(conn, run)?;
        // What is open still stays until its queue has looked at it.
        conn.prepare_cached("DELETE FROM landings WHERE run = ?1 AND settled IS NOT NULL")?
            .execute([run.as_str()])?;
        // The tables that refer to the run follow it.
        conn.prepare_cached("DELETE FROM runs WHERE n = ?1")?.execute([n])?;
        removed.push(run.clone());
    }
    Ok(removed)
}
