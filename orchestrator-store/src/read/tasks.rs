//! Tasks, newest run first and in the order of their workflow within a run.

use super::{Conditions, limit_of};
use crate::{
    body::{self, TASK},
    cursor::{RunPlace, TaskPlace},
    error::Fault,
    record::instant,
};
use orchestrator_core::port::{Listing, Page, StoreError, TaskFilter, TaskRow};
use rusqlite::{Connection, params_from_iter, types::Value};

/// A page of the tasks that `filter` lets through.
pub(crate) fn tasks(
    conn: &Connection,
    filter: &TaskFilter,
    page: &Page,
) -> Result<Listing<TaskRow>, Fault> {
    let (sql, values) = list(filter, page)?;
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut items, mut last, mut next) = (Vec::new(), None, None);
    while let Some(row) = rows.next()? {
        if items.len() == page.limit {
            next = last.map(|place: TaskPlace| place.encode());
            break;
        }
        let mut item = body::task(row)?;
        if let Some(seq) = row.get::<_, Option<i64>>("output_seq")? {
            item.output = super::log::output(conn, &item.run, row.get("n")?, seq.cast_unsigned())?;
        }
        let run = RunPlace { created_at: row.get("created_at")?, id: item.run.to_string() };
        let (position, name) = (item.position.into(), item.name.to_string());
        last = Some(TaskPlace { run, position, name });
        items.push(item);
    }
    Ok(Listing { items, next })
}

/// The statement of a page and its values.
pub(super) fn list(filter: &TaskFilter, page: &Page) -> Result<(String, Vec<Value>), StoreError> {
    let mut only = Conditions::default();
    if let Some(run) = &filter.run {
        only.add("r.id = ?", [run.to_string().into()]);
    }
    only.one_of("t.status", filter.status.iter().map(|status| status.as_str()));
    if let Some(agent) = &filter.agent {
        only.add("t.agent = ?", [agent.to_string().into()]);
    }
    if let Some(since) = filter.since {
        only.add("r.created_at >= ?", [instant(since).into()]);
    }
    if let Some(text) = &filter.search {
        only.contains(&["t.name", "r.id"], text);
    }
    if let Some(TaskPlace { run, position, name }) = TaskPlace::of(page)? {
        only.add("r.created_at <= ?", [run.created_at.into()]);
        only.add(
            "(r.created_at, r.id) < (?, ?) OR r.id = ? AND (t.position, t.name) > (?, ?)",
            [
                run.created_at.into(),
                run.id.clone().into(),
                run.id.into(),
                position.into(),
                name.into(),
            ],
        );
    }
    only.values.push(limit_of(page.limit.saturating_add(1)).into());
    // CROSS JOIN keeps the order of the tables: runs by age, and only as many as fill the page.
    let sql = format!(
        "SELECT {TASK}, r.created_at AS created_at, t.output_seq AS output_seq, r.n AS n \
         FROM runs r CROSS JOIN tasks t ON t.run = r.n WHERE {} \
         ORDER BY r.created_at DESC, r.id DESC, t.position, t.name LIMIT ?",
        only.sql()
    );
    Ok((sql, only.values))
}
