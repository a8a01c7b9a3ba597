//! What is asked of runs.

use super::{Head, next_number};
use crate::{
    error::Fault,
    record::{instant, place},
};
use orchestrator_core::{id::RunId, time::Timestamp};
use rusqlite::{Connection, params};

/// Puts a signal, whose JSON is `body`, at the end of the run's inbox.
pub(crate) fn signal(
    conn: &Connection,
    run: &RunId,
    body: &str,
    at: Timestamp,
) -> Result<(), Fault> {
    let head = Head::get(conn, run)?;
    let number = next_number(conn, "signals", head.n)?;
    conn.prepare_cached(
        "INSERT INTO signals (place, tenant, project, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![place(head.n, number), head.tenant, head.project, instant(at), body])?;
    Ok(())
}
