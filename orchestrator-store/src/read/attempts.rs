//! Attempts of a run, of a task, of an agent.

use super::limit_of;
use crate::{
    body::{self, ATTEMPT, LAST_ATTEMPT},
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
        "SELECT {ATTEMPT} FROM runs r JOIN attempts a ON a.run = r.n \
         WHERE r.id = ?1 AND (?2 IS NULL OR a.task = ?2) UNION ALL \
         SELECT {LAST_ATTEMPT} FROM runs r JOIN tasks t ON t.run = r.n \
         WHERE r.id = ?1 AND t.attempt IS NOT NULL AND (?2 IS NULL OR t.name = ?2) \
         ORDER BY started_at, first_seq, task, number"
    );
    rows(conn, &sql, params![run.as_str(), task.map(TaskName::as_str)])
}

/// The attempts of `agent`, newest first.
pub(crate) fn attempts_of(
    conn: &Connection,
    agent: &AgentName,
    limit: usize,
) -> Result<Vec<AttemptRow>, Fault> {
    rows(conn, &list_of(), params![agent.as_str(), limit_of(limit)])
}

/// The statement of an agent's attempts: each part follows its index, no further than the limit.
pub(super) fn list_of() -> String {
    let order = "ORDER BY started_at DESC, id DESC, first_seq DESC, number DESC LIMIT ?2";
    format!(
        "SELECT * FROM (SELECT {ATTEMPT} FROM attempts a JOIN runs r ON r.n = a.run \
         WHERE a.agent = ?1 {order}) UNION ALL \
         SELECT * FROM (SELECT {LAST_ATTEMPT} FROM tasks t JOIN runs r ON r.n = t.run \
         WHERE t.attempt_agent = ?1 AND t.attempt IS NOT NULL {order}) {order}"
    )
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
