//! Concurrency groups: one task of all runs of a project at a time.

use super::Head;
use crate::error::Fault;
use orchestrator_core::{
    id::{RunId, TaskName},
    port::{Claimant, GroupHold, StoreError},
    run::RunStatus,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Who has a group, and the state of its run.
struct Holder {
    run: String,
    task: String,
    epoch: i64,
    /// The epoch under which the run is driven now.
    driven: i64,
    owner: Option<String>,
    expires: Option<i64>,
    status: Option<String>,
}

impl Holder {
    fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            run: row.get(0)?,
            task: row.get(1)?,
            epoch: row.get(2)?,
            driven: row.get(3)?,
            owner: row.get(4)?,
            expires: row.get(5)?,
            status: row.get(6)?,
        })
    }

    fn is_at_work(&self, now: Timestamp) -> bool {
        let status = self.status.as_deref().and_then(RunStatus::from_name);
        self.epoch == self.driven
            && self.owner.is_some()
            && self.expires.is_some_and(|expires| Timestamp(expires.cast_unsigned()) > now)
            && !status.is_some_and(RunStatus::is_final)
    }

    fn is(&self, claimant: &Claimant) -> bool {
        self.run == claimant.run.as_str()
            && self.task == claimant.task.as_str()
            && self.epoch == claimant.epoch.0.cast_signed()
    }
}

/// Gives the group to the claimant, if it is free.
pub(crate) fn hold(
    conn: &Connection,
    group: &str,
    claimant: &Claimant,
    now: Timestamp,
) -> Result<GroupHold, Fault> {
    let head = Head::get(conn, &claimant.run)?;
    if head.epoch != claimant.epoch.0 {
        return Err(head.fenced(&claimant.run, claimant.epoch).into());
    }
    let holder = conn
        .prepare_cached(
            "SELECT r.id, g.task, g.epoch, r.epoch, r.owner, r.expires, r.status \
             FROM groups g JOIN runs r ON r.n = g.run WHERE g.project = ?1 AND g.name = ?2",
        )?
        .query_row([claimant.project.as_str(), group], Holder::of)
        .optional()?;
    if let Some(holder) = holder {
        if holder.is(claimant) {
            return Ok(GroupHold::Held);
        }
        if holder.is_at_work(now) {
            return Ok(busy(&holder)?);
        }
    }
    conn.prepare_cached(
        "INSERT OR REPLACE INTO groups (project, name, tenant, run, task, epoch) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        claimant.project.as_str(),
        group,
        head.tenant,
        head.n,
        claimant.task.as_str(),
        claimant.epoch.0.cast_signed(),
    ])?;
    Ok(GroupHold::Held)
}

fn busy(holder: &Holder) -> Result<GroupHold, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("the holder of a concurrency group: {error}"))
    };
    let run = RunId::new(&holder.run).map_err(|error| damaged(&error))?;
    let task = TaskName::new(&holder.task).map_err(|error| damaged(&error))?;
    Ok(GroupHold::Busy { run, task })
}

/// Gives the group back, if the claimant has it.
pub(crate) fn unhold(conn: &Connection, group: &str, claimant: &Claimant) -> Result<(), Fault> {
    conn.prepare_cached(
        "DELETE FROM groups WHERE project = ?1 AND name = ?2 AND task = ?3 AND epoch = ?4 \
         AND run = (SELECT n FROM runs WHERE id = ?5)",
    )?
    .execute(params![
        claimant.project.as_str(),
        group,
        claimant.task.as_str(),
        claimant.epoch.0.cast_signed(),
        claimant.run.as_str(),
    ])?;
    Ok(())
}
