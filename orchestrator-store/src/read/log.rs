//! The log and the inbox of one run.

use super::limit_of;
use crate::{
    error::Fault,
    record::{LAST_SEQ, StoredEvent, from_json, number_of, place},
};
use orchestrator_core::{
    event::Recorded,
    id::{RunId, Sequence},
    port::{SignalRecord, StoreError},
};
use rusqlite::{Connection, OptionalExtension, params};

/// The run's number and the last event of its log.
fn head(conn: &Connection, run: &RunId) -> Result<Option<(i64, u64)>, rusqlite::Error> {
    conn.prepare_cached("SELECT n, head FROM runs WHERE id = ?1")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))
        .optional()
}

/// The events after `after`, at most `limit`, each proved to be what was written.
pub(crate) fn events(
    conn: &Connection,
    run: &RunId,
    after: Sequence,
    limit: usize,
) -> Result<Vec<Recorded>, Fault> {
    let (n, last) = head(conn, run)?.ok_or_else(|| StoreError::NoSuchRun(run.clone()))?;
    let mut statement = conn.prepare_cached(
        "SELECT place, version, at, crc, body FROM events WHERE place > ?1 AND place <= ?2 \
         ORDER BY place LIMIT ?3",
    )?;
    let mut rows = statement.query(params![
        place(n, after.0.min(LAST_SEQ)),
        place(n, LAST_SEQ),
        limit_of(limit)
    ])?;
    let mut found: Vec<Recorded> = Vec::new();
    let mut previous = after.0;
    while let Some(row) = rows.next()? {
        let seq = number_of(row.get(0)?);
        if seq != previous + 1 {
            return Err(missing(run, previous + 1).into());
        }
        previous = seq;
        let stored = StoredEvent {
            seq,
            version: row.get(1)?,
            at: row.get::<_, i64>(2)?.cast_unsigned(),
            crc: row.get(3)?,
            body: row.get(4)?,
        };
        found.push(stored.decode(run)?);
    }
    if found.len() < limit && previous < last {
        return Err(missing(run, previous + 1).into());
    }
    Ok(found)
}

fn missing(run: &RunId, seq: u64) -> StoreError {
    StoreError::Damaged(format!(
        "event {seq} of run `{run}` is missing; restore a copy of the store"
    ))
}

/// The signals after number `after`.
pub(crate) fn signals(
    conn: &Connection,
    run: &RunId,
    after: u64,
) -> Result<Vec<SignalRecord>, Fault> {
    let Some((n, _)) = head(conn, run)? else { return Ok(Vec::new()) };
    let mut statement = conn.prepare_cached(
        "SELECT place, body FROM signals WHERE place > ?1 AND place <= ?2 ORDER BY place",
    )?;
    let mut rows = statement.query([place(n, after.min(LAST_SEQ)), place(n, LAST_SEQ)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (number, body): (_, String) = (number_of(row.get(0)?), row.get(1)?);
        let signal = from_json(&body, format_args!("signal {number} of run `{run}`"))?;
        found.push(SignalRecord { number, signal });
    }
    Ok(found)
}
