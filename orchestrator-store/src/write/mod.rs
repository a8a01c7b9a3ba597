//! What the writer does for each request. Every function checks before it writes.

mod append;
mod cache;
mod groups;
mod inbox;
mod landings;
mod leases;
mod remove;
mod responses;
mod work;

pub(crate) use append::{append, create};
pub(crate) use cache::{forget, forget_expired};
pub(crate) use groups::{hold, unhold};
pub(crate) use inbox::signal;
pub(crate) use landings::{
    again, enqueue, forget_landings, forget_orphans, requested, reverted, settle, take, test,
    withdraw,
};
pub(crate) use leases::{claim, lease, lease_of, release, renew};
pub(crate) use remove::remove;
pub(crate) use responses::{forget_expired_responses, forget_responses, keep_response};

use crate::{
    error::Fault,
    record::{LAST_SEQ, number_of, place},
};
use orchestrator_core::{
    id::{Epoch, RunId},
    port::{Lease, StoreError},
};
use rusqlite::{Connection, OptionalExtension};

/// What a run's line in `runs` says.
struct Head {
    n: i64,
    tenant: String,
    project: String,
    seq: u64,
    epoch: u64,
    owner: Option<String>,
    expires: Option<i64>,
    status: Option<String>,
    created_at: i64,
}

impl Head {
    fn find(conn: &Connection, run: &RunId) -> Result<Option<Self>, rusqlite::Error> {
        conn.prepare_cached(
            "SELECT n, tenant, project, head, epoch, owner, expires, status, created_at \
             FROM runs WHERE id = ?1",
        )?
        .query_row([run.as_str()], |row| {
            Ok(Self {
                n: row.get(0)?,
                tenant: row.get(1)?,
                project: row.get(2)?,
                seq: row.get::<_, i64>(3)?.cast_unsigned(),
                epoch: row.get::<_, i64>(4)?.cast_unsigned(),
                owner: row.get(5)?,
                expires: row.get(6)?,
                status: row.get(7)?,
                created_at: row.get(8)?,
            })
        })
        .optional()
    }

    fn get(conn: &Connection, run: &RunId) -> Result<Self, Fault> {
        Ok(Self::find(conn, run)?.ok_or_else(|| StoreError::NoSuchRun(run.clone()))?)
    }

    fn lease(&self) -> Result<Option<Lease>, StoreError> {
        lease_of(self.owner.clone(), self.epoch.cast_signed(), self.expires)
    }

    fn fenced(&self, run: &RunId, named: Epoch) -> StoreError {
        StoreError::Fenced { run: run.clone(), named, actual: Epoch(self.epoch) }
    }
}

/// The number after the last that `table` has for the run.
fn next_number(conn: &Connection, table: &'static str, n: i64) -> Result<u64, rusqlite::Error> {
    let sql = format!("SELECT max(place) FROM {table} WHERE place BETWEEN ?1 AND ?2");
    let last: Option<i64> = conn
        .prepare_cached(&sql)?
        .query_row([place(n, 0), place(n, LAST_SEQ)], |row| row.get(0))?;
    Ok(last.map_or(0, number_of) + 1)
}
