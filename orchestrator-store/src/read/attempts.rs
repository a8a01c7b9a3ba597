//! Attempts of a run, of a task, of an agent.

use super::limit_of;
use crate::{
    body::{self, ATTEMPT},
    error::Fault,
};
use orchestrator_core::{
    id::{AgentName, RunId, TaskName},
    port::AttemptRow,
};
use rusqlite::{Connection, Params, params};

/// The attempts of `run`, or of its task `task`, in the order in which they started.
pub(crate) fn attempts(
    conn: &Connection,
    run: &RunId,
    task: Option<&TaskName>,
) -> Result<Vec<AttemptRow>, Fault> {
    let sql = format!(
        "SELECT {ATTEMPT} FROM attempts a JOIN runs r ON r.n = a.run \
               WHERE r.id = ?1 AND (?2 IS NULL OR a.task = ?2) \
               ORDER BY a.started_at, a.first_seq, a.task, a.number"
    );
    rows(conn, &sql, params![run.as_str(), task.map(TaskName::as_str)])
}

/// The attempts of `agent`, newest first.
pub(crate) fn attempts_of(
    conn: &Connection,
    agent: &AgentName,
    limit: usize,
) -> Result<Vec<AttemptRow>, Fault> {
    let sql = format!(
        "SELECT {ATTEMPT} FROM attempts a JOIN runs r ON r.n = a.run \
               WHERE a.agent = ?1 \
               ORDER BY a.started_at DESC, r.id DESC, a.first_seq DESC, a.number DESC LIMIT ?2"
    );
    rows(conn, &sql, params![agent.as_str(), limit_of(limit)])
}

fn rows(conn: &Connection, sql: &str, values: impl Params) -> Result<Vec<AttemptRow>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(body::attempt(row)?);
    }
    Ok(found)
}
