//! Runs: one, a page of them, or their ids.

use super::{Conditions, limit_of};
use crate::{
    cursor::RunPlace,
    error::Fault,
    record::{from_json, instant},
};
use orchestrator_core::{
    id::RunId,
    port::{Listing, Page, RunFilter, RunRow, StoreError},
    run::RunStatus,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

fn decode(id: &str, body: &str) -> Result<RunRow, StoreError> {
    from_json(body, format_args!("the row of run `{id}`"))
}

/// The row of the run `id`.
pub(crate) fn run(conn: &Connection, id: &RunId) -> Result<Option<RunRow>, Fault> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM runs WHERE id = ?1 AND body IS NOT NULL")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(body.map(|body| decode(id.as_str(), &body)).transpose()?)
}

/// A page of the runs that `filter` lets through, newest first.
pub(crate) fn runs(
    conn: &Connection,
    filter: &RunFilter,
    page: &Page,
) -> Result<Listing<RunRow>, Fault> {
    let mut only = Conditions::default();
    only.add("r.body IS NOT NULL", []);
    if let Some(tenant) = &filter.tenant {
        only.add("r.tenant = ?", [tenant.to_string().into()]);
    }
    if let Some(project) = &filter.project {
        only.add("r.project = ?", [project.to_string().into()]);
    }
    only.one_of("r.status", filter.status.iter().map(|status| status.as_str()));
    if let Some(agent) = &filter.agent {
        only.add(
            "EXISTS (SELECT 1 FROM attempts a WHERE a.run = r.n AND a.agent = ?)",
            [agent.to_string().into()],
        );
    }
    if let Some(since) = filter.since {
        only.add("r.created_at >= ?", [instant(since).into()]);
    }
    if let Some(before) = filter.before {
        only.add("r.created_at < ?", [instant(before).into()]);
    }
    if let Some(text) = &filter.search {
        only.contains(&["r.id", "r.body ->> 'workflow'", "r.body ->> 'source'"], text);
    }
    if let Some(place) = RunPlace::of(page)? {
        only.add("(r.created_at, r.id) < (?, ?)", [place.created_at.into(), place.id.into()]);
    }
    only.values.push(limit_of(page.limit.saturating_add(1)).into());
    let sql = format!(
        "SELECT r.created_at, r.id, r.body FROM runs r WHERE {} \
         ORDER BY r.created_at DESC, r.id DESC LIMIT ?",
        only.sql()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(only.values))?;
    let (mut items, mut last, mut next) = (Vec::new(), None, None);
    while let Some(row) = rows.next()? {
        if items.len() == page.limit {
            next = last.map(|place: RunPlace| place.encode());
            break;
        }
        let (created_at, id, body): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        items.push(decode(&id, &body)?);
        last = Some(RunPlace { created_at, id });
    }
    Ok(Listing { items, next })
}

fn ids(conn: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<RunId>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        found.push(RunId::new(&id).map_err(|error| StoreError::Damaged(error.to_string()))?);
    }
    Ok(found)
}

/// The ids that start with `prefix`, newest first.
pub(crate) fn run_ids(conn: &Connection, prefix: &str, limit: usize) -> Result<Vec<RunId>, Fault> {
    // Ids are ASCII, so all with that prefix sort before it with a DEL at its end.
    let sql = "SELECT id FROM runs WHERE id >= ?1 AND id < ?1 || char(127) \
               ORDER BY created_at DESC, id DESC LIMIT ?2";
    ids(conn, sql, params![prefix, limit_of(limit)])
}

/// The runs that have ended and were created before `before`, newest first.
pub(crate) fn removable(conn: &Connection, before: Timestamp) -> Result<Vec<RunId>, Fault> {
    let mut only = Conditions::default();
    let ended: Vec<_> = RunStatus::ALL.into_iter().filter(|s| s.is_final()).collect();
    only.one_of("status", ended.iter().map(|status| status.as_str()));
    only.add("created_at < ?", [instant(before).into()]);
    let sql = format!("SELECT id FROM runs WHERE {} ORDER BY created_at DESC, id DESC", only.sql());
    ids(conn, &sql, params_from_iter(only.values))
}
