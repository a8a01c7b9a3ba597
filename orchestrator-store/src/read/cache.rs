//! Results that may be used again.

use super::Conditions;
use crate::{
    error::Fault,
    record::{from_json, instant},
};
use orchestrator_core::{
    id::{CacheKey, TaskName, WorkflowName},
    port::CachedResult,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value};

/// The result under `key`, unless it has expired at `now`.
pub(crate) fn cached(
    conn: &Connection,
    key: &CacheKey,
    now: Timestamp,
) -> Result<Option<CachedResult>, Fault> {
    let body: Option<String> = conn
        .prepare_cached(
            "SELECT body FROM cache WHERE key = ?1 AND (expires IS NULL OR expires > ?2)",
        )?
        .query_row(params![key.as_str(), instant(now)], |row| row.get(0))
        .optional()?;
    let what = format_args!("the result kept under `{key}`");
    Ok(body.map(|body| from_json(&body, what)).transpose()?)
}

/// Which results are to be forgotten, as SQL and its values.
pub(crate) fn forgettable(
    workflow: Option<&WorkflowName>,
    task: Option<&TaskName>,
    before: Timestamp,
) -> (String, Vec<Value>) {
    let mut only = Conditions::default();
    if let Some(workflow) = workflow {
        only.add("workflow = ?", [workflow.to_string().into()]);
    }
    if let Some(task) = task {
        only.add("task = ?", [task.to_string().into()]);
    }
    only.add("at < ?", [instant(before).into()]);
    (only.sql(), only.values)
}

/// How many results are to be forgotten.
pub(crate) fn count_cached(
    conn: &Connection,
    workflow: Option<&WorkflowName>,
    task: Option<&TaskName>,
    before: Timestamp,
) -> Result<u64, Fault> {
    let (only, values) = forgettable(workflow, task, before);
    let sql = format!("SELECT count(*) FROM cache WHERE {only}");
    let count = conn
        .prepare_cached(&sql)?
        .query_row(params_from_iter(values), |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}
