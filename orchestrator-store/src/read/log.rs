//! The log and the inbox of one run.

use super::run_id;
use crate::{
    error::Fault,
    record::{LAST_SEQ, StoredEvents, from_json, number_of, place},
};
use orchestrator_core::{
    event::{Content, Event, Recorded},
    id::{RunId, Sequence},
    port::{Mail, SignalRecord, StoreError},
};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

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
    let mut found: Vec<Recorded> = Vec::new();
    let mut previous = after.0;
    // A row stands where its last event does: the first one after `after` may begin before it.
    each_row(conn, run, n, after, |events| {
        for event in events {
            if found.len() == limit {
                return Ok(false);
            }
            if event.seq.0 > after.0 {
                if event.seq.0 != previous + 1 {
                    return Err(missing(run, previous + 1).into());
                }
                previous = event.seq.0;
                found.push(event);
            }
        }
        Ok(found.len() < limit)
    })?;
    if found.len() < limit && previous < last {
        return Err(missing(run, previous + 1).into());
    }
    Ok(found)
}

/// Gives the events of each row that ends after `after` to `take`, until that wants no more.
fn each_row(
    conn: &Connection,
    run: &RunId,
    n: i64,
    after: Sequence,
    mut take: impl FnMut(Vec<Recorded>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT place, version, at, crc, body FROM events WHERE place > ?1 AND place <= ?2 \
         ORDER BY place",
    )?;
    let mut rows = statement.query([place(n, after.0.min(LAST_SEQ)), place(n, LAST_SEQ)])?;
    while let Some(row) = rows.next()? {
        let stored = StoredEvents {
            seq: number_of(row.get(0)?),
            version: row.get(1)?,
            at: row.get::<_, i64>(2)?.cast_unsigned(),
            crc: row.get(3)?,
            body: row.get(4)?,
        };
        if !take(stored.decode(run)?)? {
            break;
        }
    }
    Ok(())
}

/// The output that event `seq` of the run with number `n` gives to its task.
pub(crate) fn output(
    conn: &Connection,
    run: &RunId,
    n: i64,
    seq: u64,
) -> Result<Option<Content>, Fault> {
    let mut found = None;
    each_row(conn, run, n, Sequence(seq.saturating_sub(1)), |events| {
        let event = events.into_iter().find(|event| event.seq.0 == seq);
        found = event.and_then(|recorded| output_of(recorded.event));
        Ok(false)
    })?;
    Ok(found)
}

/// The output that an event gives to its task.
fn output_of(event: Event) -> Option<Content> {
    match event {
        Event::AttemptSucceeded { output, .. } => Some(output),
        Event::TaskSucceeded { output, .. } | Event::TaskCarried { output, .. } => output,
        _ => None,
    }
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

/// The runs that were signalled after the number `after`.
pub(crate) fn mail(conn: &Connection, after: u64) -> Result<Mail, Fault> {
    // Numbers are given in the order of the commits: whoever sees one sees all before it.
    let mut statement = conn.prepare_cached(
        "SELECT s.number, r.id FROM signals s JOIN runs r ON r.n = s.place >> 32 \
         WHERE s.number > ?1 ORDER BY s.number",
    )?;
    let mut rows = statement.query([i64::try_from(after).unwrap_or(i64::MAX)])?;
    let (mut last, mut runs) = (after, BTreeSet::new());
    while let Some(row) = rows.next()? {
        last = row.get::<_, i64>(0)?.cast_unsigned();
        runs.insert(run_id(&row.get::<_, String>(1)?)?);
    }
    Ok(Mail { last, runs: runs.into_iter().collect() })
}
