//! The queues of branches.

use crate::{
    error::Fault,
    record::{from_json, instant, to_json},
};
use orchestrator_core::{
    id::{CommitId, Epoch, LandingId},
    port::LandingsError,
    time::Timestamp,
    workspace::{LandingRow, LandingState, LandingTarget},
};
use rusqlite::{Connection, OptionalExtension, Params, params};

/// What a request comes to: refused, with nothing written, or done.
type Outcome<T> = Result<Result<T, LandingsError>, Fault>;

/// Puts work in, unless it is there.
pub(crate) fn enqueue(conn: &Connection, row: &LandingRow) -> Outcome<LandingRow> {
    let target = &row.target;
    let same = conn
        .prepare_cached(
            "SELECT body FROM landings WHERE tenant = ?1 AND project = ?2 AND branch = ?3 \
             AND run = ?4 AND task = ?5 AND attempt = ?6 AND work = ?7",
        )?
        .query_row(
            params![
                target.tenant.as_str(),
                target.project.as_str(),
                target.branch,
                row.run.as_str(),
                row.task.as_str(),
                row.attempt.0,
                row.commit.as_str(),
            ],
            |found| found.get::<_, String>(0),
        )
        .optional()?;
    if let Some(body) = same {
        return Ok(Ok(from_json(&body, "work in a queue")?));
    }
    if let Some(there) = find(conn, &row.id)? {
        return Ok(Ok(there));
    }
    let body = to_json(row, "work in a queue")?;
    conn.prepare_cached(
        "INSERT INTO landings (id, tenant, project, branch, run, task, attempt, work, urgency, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        row.id.as_str(),
        target.tenant.as_str(),
        target.project.as_str(),
        target.branch,
        row.run.as_str(),
        row.task.as_str(),
        row.attempt.0,
        row.commit.as_str(),
        urgency(row),
        body,
    ])?;
    Ok(Ok(row.clone()))
}

/// Work that did not land is wanted again.
pub(crate) fn again(conn: &Connection, id: &LandingId, at: Timestamp) -> Outcome<LandingRow> {
    change(conn, id, |row| row.again(at))
}

/// Nobody wants the work any more.
pub(crate) fn withdraw(conn: &Connection, id: &LandingId, at: Timestamp) -> Outcome<LandingRow> {
    change(conn, id, |row| row.withdraw(at))
}

/// A pull request is open for the work.
pub(crate) fn requested(
    conn: &Connection,
    id: &LandingId,
    url: &str,
    number: Option<u64>,
) -> Outcome<LandingRow> {
    let Some(mut row) = find(conn, id)? else {
        return Ok(Err(LandingsError::Unknown(id.clone())));
    };
    if !row.requested(url, number) {
        return Ok(Err(refused(&row, "requested")));
    }
    save(conn, &row)?;
    Ok(Ok(row))
}

fn change(
    conn: &Connection,
    id: &LandingId,
    work: impl FnOnce(&mut LandingRow),
) -> Outcome<LandingRow> {
    let Some(mut row) = find(conn, id)? else {
        return Ok(Err(LandingsError::Unknown(id.clone())));
    };
    work(&mut row);
    save(conn, &row)?;
    Ok(Ok(row))
}

/// Takes the queue of a branch over.
pub(crate) fn take(conn: &Connection, target: &LandingTarget) -> Outcome<Epoch> {
    let open = "SELECT body FROM landings WHERE tenant = ?1 AND project = ?2 AND branch = ?3 \
                AND settled IS NULL";
    let key = params![target.tenant.as_str(), target.project.as_str(), target.branch];
    for mut row in rows(conn, open, key)? {
        row.put_back();
        save(conn, &row)?;
    }
    let epoch: i64 = conn
        .prepare_cached(
            "INSERT INTO landing_targets (tenant, project, branch, epoch) VALUES (?1, ?2, ?3, 1) \
             ON CONFLICT (tenant, project, branch) DO UPDATE SET epoch = epoch + 1 \
             RETURNING epoch",
        )?
        .query_row(key, |found| found.get(0))?;
    Ok(Ok(Epoch(epoch.cast_unsigned())))
}

/// Changes each of these pieces of work by `change`, or none of them when it says of one that it
/// cannot be so.
fn change_each<T>(
    conn: &Connection,
    target: &LandingTarget,
    epoch: Epoch,
    work: &[(LandingId, T)],
    change: impl Fn(&mut LandingRow, &T) -> Result<(), LandingsError>,
) -> Outcome<()> {
    let mut changed = Vec::with_capacity(work.len());
    for (id, told) in work {
        let mut row = match owned(conn, target, epoch, id)? {
            Ok(row) => row,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Err(refused) = change(&mut row, told) {
            return Ok(Err(refused));
        }
        changed.push(row);
    }
    changed.iter().try_for_each(|row| save(conn, row))?;
    Ok(Ok(()))
}

/// Work is being tested.
pub(crate) fn test(
    conn: &Connection,
    target: &LandingTarget,
    epoch: Epoch,
    batch: &str,
    work: &[(LandingId, CommitId)],
) -> Outcome<()> {
    change_each(conn, target, epoch, work, |row, candidate| match row.test(batch, candidate) {
        true => Ok(()),
        false => Err(refused(row, "testing")),
    })
}

/// Pieces of work end.
pub(crate) fn settle(
    conn: &Connection,
    target: &LandingTarget,
    epoch: Epoch,
    work: &[(LandingId, LandingState)],
    at: Timestamp,
) -> Outcome<()> {
    change_each(conn, target, epoch, work, |row, state| match row.settle(state, at) {
        true => Ok(()),
        false => Err(refused(row, state.as_str())),
    })
}

/// Landed work was undone.
pub(crate) fn reverted(
    conn: &Connection,
    target: &LandingTarget,
    epoch: Epoch,
    work: &[(LandingId, CommitId)],
) -> Outcome<()> {
    change_each(conn, target, epoch, work, |row, commit| {
        row.reverted = Some(commit.clone());
        Ok(())
    })
}

/// Forgets what was settled before `before`; returns how many.
pub(crate) fn forget_landings(conn: &Connection, before: Timestamp) -> Result<u64, Fault> {
    let forgotten = conn
        .prepare_cached("DELETE FROM landings WHERE settled_at < ?1")?
        .execute([instant(before)])?;
    Ok(forgotten as u64)
}

/// Forgets what was settled before `before` and is of no run that is stored.
pub(crate) fn forget_orphans(conn: &Connection, before: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached(
        "DELETE FROM landings WHERE settled_at < ?1 \
         AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = landings.run)",
    )?
    .execute([instant(before)])?;
    Ok(())
}

/// The work with that id, if it is for `target` and `epoch` is the one in force.
fn owned(
    conn: &Connection,
    target: &LandingTarget,
    named: Epoch,
    id: &LandingId,
) -> Outcome<LandingRow> {
    let actual: i64 = conn
        .prepare_cached(
            "SELECT epoch FROM landing_targets WHERE tenant = ?1 AND project = ?2 AND branch = ?3",
        )?
        .query_row(params![target.tenant.as_str(), target.project.as_str(), target.branch], |row| {
            row.get(0)
        })
        .optional()?
        .unwrap_or_default();
    let actual = Epoch(actual.cast_unsigned());
    if actual != named {
        return Ok(Err(LandingsError::Fenced { target: target.clone(), named, actual }));
    }
    let found = find(conn, id)?.filter(|row| row.target == *target);
    Ok(found.ok_or_else(|| LandingsError::Unknown(id.clone())))
}

fn refused(row: &LandingRow, wanted: &'static str) -> LandingsError {
    LandingsError::Settled { id: row.id.clone(), state: row.state.as_str(), wanted }
}

fn find(conn: &Connection, id: &LandingId) -> Result<Option<LandingRow>, Fault> {
    let found = rows(conn, "SELECT body FROM landings WHERE id = ?1", [id.as_str()])?;
    Ok(found.into_iter().next())
}

fn rows(conn: &Connection, sql: &str, values: impl Params) -> Result<Vec<LandingRow>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(from_json(&row.get::<_, String>(0)?, "work in a queue")?);
    }
    Ok(found)
}

/// Writes a row that is there. What is settled now gets the place after the last.
fn save(conn: &Connection, row: &LandingRow) -> Result<(), Fault> {
    let body = to_json(row, "work in a queue")?;
    conn.prepare_cached(
        "UPDATE landings SET urgency = ?2, settled_at = ?3, evidence = ?4, body = ?5, \
         settled = CASE WHEN ?6 THEN NULL ELSE coalesce(settled, \
         (SELECT coalesce(max(settled), 0) + 1 FROM landings WHERE settled IS NOT NULL)) END \
         WHERE id = ?1",
    )?
    .execute(params![
        row.id.as_str(),
        urgency(row),
        row.settled_at.map(instant),
        row.state.evidence().map(|blob| blob.as_str()),
        body,
        row.state.is_open(),
    ])?;
    Ok(())
}

/// Its urgency as a column.
fn urgency(row: &LandingRow) -> i64 {
    i64::try_from(row.urgency()).unwrap_or(i64::MAX)
}
