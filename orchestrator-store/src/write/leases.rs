//! Who drives a run.

use super::Head;
use crate::error::Fault;
use orchestrator_core::{
    id::{Epoch, OwnerId, RunId},
    port::{Lease, StoreError},
    time::Timestamp,
};
use rusqlite::{Connection, params};

/// The lease that the columns of a run's line say.
pub(crate) fn lease_of(
    owner: Option<String>,
    epoch: i64,
    expires: Option<i64>,
) -> Result<Option<Lease>, StoreError> {
    let (Some(owner), Some(expires)) = (owner, expires) else { return Ok(None) };
    let owner = OwnerId::new(owner)
        .map_err(|error| StoreError::Damaged(format!("the owner of a lease: {error}")))?;
    let (epoch, expires) = (Epoch(epoch.cast_unsigned()), Timestamp(expires.cast_unsigned()));
    Ok(Some(Lease { owner, epoch, expires }))
}

/// The lease that `run` has, if any.
pub(crate) fn lease(conn: &Connection, run: &RunId) -> Result<Option<Lease>, Fault> {
    match Head::find(conn, run)? {
        Some(head) => Ok(head.lease()?),
        None => Ok(None),
    }
}

/// Gives the lease to `owner` under the next epoch, if it may have it.
pub(crate) fn claim(
    conn: &Connection,
    run: &RunId,
    owner: &OwnerId,
    now: Timestamp,
    expires: Timestamp,
    over: Option<Epoch>,
) -> Result<Lease, Fault> {
    let head = Head::get(conn, run)?;
    if let Some(held) = head.lease()?
        && held.expires > now
        && held.owner != *owner
        && over != Some(held.epoch)
    {
        return Err(StoreError::LeaseHeld { run: run.clone(), lease: held }.into());
    }
    let lease = Lease { owner: owner.clone(), epoch: Epoch(head.epoch).next(), expires };
    conn.prepare_cached("UPDATE runs SET epoch = ?2, owner = ?3, expires = ?4 WHERE n = ?1")?
        .execute(params![
            head.n,
            lease.epoch.0.cast_signed(),
            owner.as_str(),
            expires.0.cast_signed()
        ])?;
    Ok(lease)
}

/// Moves the expiry of the lease, if it is still the one of `epoch`.
pub(crate) fn renew(
    conn: &Connection,
    run: &RunId,
    epoch: Epoch,
    expires: Timestamp,
) -> Result<(), Fault> {
    let head = Head::get(conn, run)?;
    if head.epoch != epoch.0 || head.owner.is_none() {
        return Err(head.fenced(run, epoch).into());
    }
    conn.prepare_cached("UPDATE runs SET expires = ?2 WHERE n = ?1")?
        .execute(params![head.n, expires.0.cast_signed()])?;
    Ok(())
}

/// Gives the lease back, if it is still the one of `epoch`.
pub(crate) fn release(conn: &Connection, run: &RunId, epoch: Epoch) -> Result<(), Fault> {
    conn.prepare_cached(
        "UPDATE runs SET owner = NULL, expires = NULL WHERE id = ?1 AND epoch = ?2",
    )?
    .execute(params![run.as_str(), epoch.0.cast_signed()])?;
    Ok(())
}
