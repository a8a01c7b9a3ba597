//! Answers of models that may be used again.

use crate::{
    error::Fault,
    record::{instant, response_checksum},
};
use orchestrator_core::{
    port::{KeptResponse, MAX_RESPONSES},
    time::Timestamp,
};
use rusqlite::{Connection, params};

/// Keeps an answer of `bytes`, whose JSON is `body`, in the place of an earlier one of that key. While
/// all are too large together, the oldest goes.
pub(crate) fn keep_response(
    conn: &Connection,
    response: &KeptResponse,
    bytes: usize,
    body: &str,
) -> Result<(), Fault> {
    let key = response.key.as_str();
    conn.prepare_cached("DELETE FROM responses WHERE key = ?1")?.execute([key])?;
    conn.prepare_cached(
        "INSERT INTO responses (key, tenant, project, at, expires, bytes, crc, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        key,
        response.tenant.as_str(),
        response.project.as_str(),
        instant(response.at),
        instant(response.expires),
        i64::try_from(bytes).unwrap_or(i64::MAX),
        response_checksum(key, body),
        body,
    ])?;
    let mut sum: i64 = conn
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM responses")?
        .query_row([], |row| row.get(0))?;
    let most = i64::try_from(MAX_RESPONSES).unwrap_or(i64::MAX);
    while sum > most {
        sum -= conn
            .prepare_cached(
                "DELETE FROM responses WHERE number = \
                 (SELECT number FROM responses ORDER BY at, number LIMIT 1) RETURNING bytes",
            )?
            .query_row([], |row| row.get::<_, i64>(0))?;
    }
    Ok(())
}

/// Forgets the answers made before `before`; returns how many.
pub(crate) fn forget_responses(conn: &Connection, before: Timestamp) -> Result<u64, Fault> {
    let forgotten =
        conn.prepare_cached("DELETE FROM responses WHERE at < ?1")?.execute([instant(before)])?;
    Ok(forgotten as u64)
}

/// Forgets the answers that had expired at `now`.
pub(crate) fn forget_expired_responses(conn: &Connection, now: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM responses WHERE expires <= ?1")?.execute([instant(now)])?;
    Ok(())
}
