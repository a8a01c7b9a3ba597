//! Tasks, newest run first and in the order of their workflow within a run.

use super::{Conditions, limit_of};
use crate::{
    cursor::{RunPlace, TaskPlace},
    error::Fault,
    record::{from_json, instant},
};
use orchestrator_core::port::{Listing, Page, TaskFilter, TaskRow};
use rusqlite::{Connection, params_from_iter};

/// A page of the tasks that `filter` lets through.
pub(crate) fn tasks(
    conn: &Connection,
    filter: &TaskFilter,
    page: &Page,
) -> Result<Listing<TaskRow>, Fault> {
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
        "SELECT r.created_at, r.id, t.position, t.name, t.body \
         FROM runs r CROSS JOIN tasks t ON t.run = r.n WHERE {} \
         ORDER BY r.created_at DESC, r.id DESC, t.position, t.name LIMIT ?",
        only.sql()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(only.values))?;
    let (mut items, mut last, mut next) = (Vec::new(), None, None);
    while let Some(row) = rows.next()? {
        if items.len() == page.limit {
            next = last.map(|place: TaskPlace| place.encode());
            break;
        }
        let run = RunPlace { created_at: row.get(0)?, id: row.get(1)? };
        let place = TaskPlace { run, position: row.get(2)?, name: row.get(3)? };
        let body: String = row.get(4)?;
        let what = format_args!("the row of task `{}` of run `{}`", place.name, place.run.id);
        items.push(from_json(&body, what)?);
        last = Some(place);
    }
    Ok(Listing { items, next })
}
