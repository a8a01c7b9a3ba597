//! Runs: one, a page of them, or their ids.

use super::{Conditions, limit_of, run_id};
use crate::{
    body::{self, RUN},
    cursor::RunPlace,
    error::Fault,
    record::instant,
    write,
};
use orchestrator_core::{
    id::RunId,
    port::{Listing, OpenRun, Page, RunFilter, RunRow, StoreError},
    run::RunStatus,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value};

/// The row of the run `id`.
pub(crate) fn run(conn: &Connection, id: &RunId) -> Result<Option<RunRow>, Fault> {
    let sql = format!("SELECT {RUN} FROM runs r WHERE r.id = ?1 AND r.body IS NOT NULL");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(body::run).transpose()
}

/// A page of the runs that `filter` lets through, newest first.
pub(crate) fn runs(
    conn: &Connection,
    filter: &RunFilter,
    page: &Page,
) -> Result<Listing<RunRow>, Fault> {
    let (sql, values) = list(filter, page)?;
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut items, mut last, mut next) = (Vec::new(), None, None);
    while let Some(row) = rows.next()? {
        if items.len() == page.limit {
            next = last.map(|place: RunPlace| place.encode());
            break;
        }
        let item = body::run(row)?;
        last = Some(RunPlace { created_at: instant(item.created_at), id: item.id.to_string() });
        items.push(item);
    }
    Ok(Listing { items, next })
}

/// The statement of a page and its values.
pub(super) fn list(filter: &RunFilter, page: &Page) -> Result<(String, Vec<Value>), StoreError> {
    let mut only = Conditions::default();
    only.add("r.body IS NOT NULL", []);
    if let Some(tenant) = &filter.tenant {
        only.add("r.tenant = ?", [tenant.to_string().into()]);
    }
    if let Some(project) = &filter.project {
        only.add("r.project = ?", [project.to_string().into()]);
    }
    if let Some(parent) = &filter.parent {
        only.add("r.parent = ?", [parent.to_string().into()]);
    }
    if let Some(agent) = &filter.agent {
        only.add(
            "EXISTS (SELECT 1 FROM attempts a WHERE a.run = r.n AND a.agent = ?) \
             OR EXISTS (SELECT 1 FROM tasks t WHERE t.run = r.n AND t.attempt_agent = ?)",
            [agent.to_string().into(), agent.to_string().into()],
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
    let columns = format!("SELECT {RUN} FROM runs r");
    let order = "ORDER BY created_at DESC, id DESC";
    let limit = limit_of(page.limit.saturating_add(1));
    let mut status = filter.status.clone();
    status.sort();
    status.dedup();
    let by_status = status.iter().map(|status| status.as_str());
    Ok(merged(&columns, &only, "r.status", by_status, order, limit))
}

/// A statement for the first rows in `order` whose `column` is one of `names`, or any when there
/// are none. Each name's are found in order by an index, and only as many as may be wanted.
fn merged(
    columns: &str,
    only: &Conditions,
    column: &str,
    names: impl ExactSizeIterator<Item = &'static str>,
    order: &str,
    limit: i64,
) -> (String, Vec<Value>) {
    let (only_sql, mut values) = (only.sql(), Vec::new());
    if names.len() == 0 {
        values.extend(only.values.iter().cloned());
        values.push(limit.into());
        return (format!("{columns} WHERE {only_sql} {order} LIMIT ?"), values);
    }
    let mut parts = Vec::new();
    for name in names {
        parts.push(format!(
            "SELECT * FROM ({columns} WHERE {column} = '{name}' AND {only_sql} {order} LIMIT ?)"
        ));
        values.extend(only.values.iter().cloned());
        values.push(limit.into());
    }
    values.push(limit.into());
    (format!("{} {order} LIMIT ?", parts.join(" UNION ALL ")), values)
}

/// The runs that have not ended, oldest first.
pub(crate) fn open_runs(
    conn: &Connection,
    after: Option<&RunId>,
    limit: usize,
) -> Result<Vec<OpenRun>, Fault> {
    let mut only = Conditions::default();
    if let Some(after) = after {
        let created_at: Option<i64> = conn
            .prepare_cached("SELECT created_at FROM runs WHERE id = ?1")?
            .query_row([after.as_str()], |row| row.get(0))
            .optional()?;
        match created_at {
            Some(at) => {
                only.add("(created_at, id) > (?, ?)", [at.into(), after.to_string().into()]);
            }
            // It is gone: what came after it is told by the ids, which sort by creation.
            None => only.add("id > ?", [after.to_string().into()]),
        }
    }
    let (sql, values) = open_list(&only, limit_of(limit));
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let parent: Option<String> = row.get(2)?;
        found.push(OpenRun {
            id: run_id(&row.get::<_, String>(1)?)?,
            parent: parent.as_deref().map(run_id).transpose()?,
            lease: write::lease_of(row.get(3)?, row.get(4)?, row.get(5)?)?,
        });
    }
    Ok(found)
}

/// The statement of a part of the runs that have not ended.
pub(super) fn open_list(only: &Conditions, limit: i64) -> (String, Vec<Value>) {
    let open: Vec<_> = RunStatus::ALL.into_iter().filter(|status| !status.is_final()).collect();
    let names = open.iter().map(|status| status.as_str());
    let columns = "SELECT created_at, id, parent, owner, epoch, expires FROM runs";
    merged(columns, only, "status", names, "ORDER BY created_at, id", limit)
}

fn ids(conn: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<RunId>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        found.push(run_id(&id)?);
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
