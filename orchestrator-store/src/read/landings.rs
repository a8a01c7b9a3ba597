//! The queues of branches.

use super::{Conditions, limit_of};
use crate::{
    cursor,
    error::Fault,
    record::{from_json, instant},
};
use orchestrator_core::{
    id::{LandingId, ProjectId, RunId, TenantId},
    port::{LandingFilter, Listing, Page},
    time::Timestamp,
    workspace::{LandingRow, LandingTarget},
};
use rusqlite::{Connection, Params, params, params_from_iter};

/// The work with that id.
pub(crate) fn landing(conn: &Connection, id: &LandingId) -> Result<Option<LandingRow>, Fault> {
    let found = rows(conn, "SELECT 0, body FROM landings WHERE id = ?1", [id.as_str()])?;
    Ok(found.into_iter().next().map(|(_, row)| row))
}

/// All that is open for a branch, most urgent first.
pub(crate) fn waiting(conn: &Connection, target: &LandingTarget) -> Result<Vec<LandingRow>, Fault> {
    let sql = "SELECT 0, body FROM landings WHERE tenant = ?1 AND project = ?2 AND branch = ?3 \
               AND settled IS NULL ORDER BY urgency, number";
    let key = params![target.tenant.as_str(), target.project.as_str(), target.branch];
    Ok(rows(conn, sql, key)?.into_iter().map(|(_, row)| row).collect())
}

/// The branches for which something is open.
pub(crate) fn targets(
    conn: &Connection,
    tenant: &TenantId,
    project: &ProjectId,
) -> Result<Vec<LandingTarget>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT branch FROM landings WHERE tenant = ?1 AND project = ?2 \
         AND settled IS NULL ORDER BY branch",
    )?;
    let branches = statement
        .query_map([tenant.as_str(), project.as_str()], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let target =
        |branch| LandingTarget { tenant: tenant.clone(), project: project.clone(), branch };
    Ok(branches.into_iter().map(target).collect())
}

/// What is settled, newest first.
pub(crate) fn settled(
    conn: &Connection,
    filter: &LandingFilter,
    page: &Page,
) -> Result<Listing<LandingRow>, Fault> {
    let mut only = Conditions::default();
    only.add("settled IS NOT NULL", []);
    if let Some(tenant) = &filter.tenant {
        only.add("tenant = ?", [tenant.as_str().to_owned().into()]);
    }
    if let Some(project) = &filter.project {
        only.add("project = ?", [project.as_str().to_owned().into()]);
    }
    if let Some(branch) = &filter.branch {
        only.add("branch = ?", [branch.clone().into()]);
    }
    if let Some(run) = &filter.run {
        only.add("run = ?", [run.as_str().to_owned().into()]);
    }
    if let Some(place) = cursor::settled(page)? {
        only.add("settled < ?", [place.into()]);
    }
    // One more than is shown tells whether there is a next page.
    let limit = limit_of(page.limit).saturating_add(1);
    only.values.push(limit.into());
    let sql = format!(
        "SELECT settled, body FROM landings WHERE {} ORDER BY settled DESC LIMIT ?",
        only.sql()
    );
    let mut found = rows(conn, &sql, params_from_iter(only.values))?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(place, _)| format!("l/{place}"));
    Ok(Listing { items: found.into_iter().map(|(_, row)| row).collect(), next })
}

/// What a run landed on a branch and has not been undone, oldest first.
pub(crate) fn landed(
    conn: &Connection,
    target: &LandingTarget,
    run: &RunId,
) -> Result<Vec<LandingRow>, Fault> {
    let sql = "SELECT settled, body FROM landings WHERE tenant = ?1 AND project = ?2 \
               AND branch = ?3 AND run = ?4 AND settled IS NOT NULL ORDER BY settled";
    let key = params![target.tenant.as_str(), target.project.as_str(), target.branch, run.as_str()];
    let found = rows(conn, sql, key)?.into_iter().map(|(_, row)| row);
    Ok(found.filter(LandingRow::is_to_undo).collect())
}

/// How many were settled before `before`.
pub(crate) fn count_landings(conn: &Connection, before: Timestamp) -> Result<u64, Fault> {
    let count = conn
        .prepare_cached("SELECT count(*) FROM landings WHERE settled_at < ?1")?
        .query_row([instant(before)], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

fn rows(
    conn: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<Vec<(i64, LandingRow)>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, from_json(&row.get::<_, String>(1)?, "work in a queue")?));
    }
    Ok(found)
}
