//! Answers of models that may be used again.

use crate::{
    error::Fault,
    record::{from_json, instant, response_checksum},
};
use orchestrator_core::{id::CacheKey, port::KeptResponse, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// The answer under `key`, unless it has expired at `now` or is damaged.
pub(crate) fn response(
    conn: &Connection,
    key: &CacheKey,
    now: Timestamp,
) -> Result<Option<KeptResponse>, Fault> {
    let found: Option<(u32, String)> = conn
        .prepare_cached("SELECT crc, body FROM responses WHERE key = ?1 AND expires > ?2")?
        .query_row(params![key.as_str(), instant(now)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((crc, body)) = found else { return Ok(None) };
    if crc != response_checksum(key.as_str(), &body) {
        tracing::warn!(%key, "a kept answer is damaged and is not used");
        return Ok(None);
    }
    let what = format_args!("the answer kept under `{key}`");
    Ok(Some(from_json(&body, what)?))
}

/// How many answers were made before `before`.
pub(crate) fn count_responses(conn: &Connection, before: Timestamp) -> Result<u64, Fault> {
    let count = conn
        .prepare_cached("SELECT count(*) FROM responses WHERE at < ?1")?
        .query_row([instant(before)], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}
