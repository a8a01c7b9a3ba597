//! Beginning a run's log and going on with it.

use super::{Head, cache, next_number, work};
use crate::{
    error::Fault,
    prepared::Prepared,
    record::{instant, place},
};
use orchestrator_core::{
    id::Sequence,
    port::{Lease, SpendRow, StoreError},
};
use rusqlite::{Connection, OptionalExtension, params};

/// Makes the run with its lease and its first events.
pub(crate) fn create(conn: &Connection, first: &Prepared, lease: &Lease) -> Result<(), Fault> {
    let (asked, run) = (first.asked(), first.run());
    let refuse = |reason: &str| {
        let (action, reason) = (format!("create run `{run}`"), reason.to_owned());
        Err(StoreError::Unavailable { action, reason }.into())
    };
    if asked.expected != Sequence(0) || asked.epoch != lease.epoch {
        return refuse("its first append must begin at event 1, under the epoch of its lease");
    }
    let Some((row, body)) = first.run_row() else {
        return refuse("its first append must have the run's row");
    };
    let made = conn
        .prepare_cached(
            "INSERT INTO runs (id, tenant, project, head, epoch, owner, expires, status, \
             created_at, parent, workflow, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            run.as_str(),
            row.tenant.as_str(),
            row.project.as_str(),
            asked.events.len() as i64,
            lease.epoch.0.cast_signed(),
            lease.owner.as_str(),
            lease.expires.0.cast_signed(),
            row.status.as_str(),
            instant(row.created_at),
            row.parent.as_ref().map(|parent| parent.as_str()),
            row.workflow.as_str(),
            body,
        ])?;
    if made == 0 {
        return Err(StoreError::RunExists(run.clone()).into());
    }
    let head = Head {
        n: conn.last_insert_rowid(),
        tenant: row.tenant.to_string(),
        project: row.project.to_string(),
        seq: 0,
        epoch: lease.epoch.0,
        owner: None,
        expires: None,
        status: None,
        created_at: instant(row.created_at),
    };
    if let Some(estimate) = first.estimate() {
        conn.prepare_cached(
            "INSERT INTO estimates (run, tenant, project, body) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![head.n, head.tenant, head.project, estimate])?;
    }
    add(conn, &head, first)
}

/// Appends to the run, if the writer still drives it and knows where its log ends.
pub(crate) fn append(conn: &Connection, append: &Prepared) -> Result<(), Fault> {
    let Some(head) = move_head(conn, append)? else { return Err(refused(conn, append)?) };
    if let Some((row, _)) = append.run_row() {
        // Apart, since these hardly ever change and indices hang on them.
        let at = instant(row.created_at);
        let same = head.tenant == row.tenant.as_str()
            && head.project == row.project.as_str()
            && head.status.as_deref() == Some(row.status.as_str())
            && head.created_at == at;
        if !same {
            conn.prepare_cached(
                "UPDATE runs SET tenant = ?2, project = ?3, status = ?4, created_at = ?5, \
                 parent = ?6, owner = iif(?7, NULL, owner), expires = iif(?7, NULL, expires) \
                 WHERE n = ?1",
            )?
            .execute(params![
                head.n,
                row.tenant.as_str(),
                row.project.as_str(),
                row.status.as_str(),
                at,
                row.parent.as_ref().map(|parent| parent.as_str()),
                row.status.is_final(),
            ])?;
        }
    }
    add(conn, &head, append)
}

/// Moves the end of the run's log and writes the run's text, if the append fits there. Returns what
/// the run's line said before.
fn move_head(conn: &Connection, append: &Prepared) -> Result<Option<Head>, rusqlite::Error> {
    let asked = append.asked();
    let (seq, epoch) = (asked.expected.0, asked.epoch.0);
    conn.prepare_cached(
        "UPDATE runs SET head = ?4, body = coalesce(?5, body) \
         WHERE id = ?1 AND epoch = ?2 AND head = ?3 \
         RETURNING n, tenant, project, status, created_at",
    )?
    .query_row(
        params![
            append.run().as_str(),
            epoch.cast_signed(),
            seq.cast_signed(),
            (seq + asked.events.len() as u64).cast_signed(),
            append.run_row().map(|(_, body)| body),
        ],
        |row| {
            Ok(Head {
                n: row.get(0)?,
                tenant: row.get(1)?,
                project: row.get(2)?,
                seq,
                epoch,
                owner: None,
                expires: None,
                status: row.get(3)?,
                created_at: row.get(4)?,
            })
        },
    )
    .optional()
}

/// Why an append does not fit.
fn refused(conn: &Connection, append: &Prepared) -> Result<Fault, Fault> {
    let (asked, run) = (append.asked(), append.run());
    let head = Head::get(conn, run)?;
    if head.epoch != asked.epoch.0 {
        return Ok(head.fenced(run, asked.epoch).into());
    }
    let (expected, actual) = (asked.expected, Sequence(head.seq));
    Ok(StoreError::Conflict { run: run.clone(), expected, actual }.into())
}

/// Writes all but the run's own line.
fn add(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    add_events(conn, head, append)?;
    work::put(conn, head, append)?;
    add_spend(conn, head, append.spend())?;
    append.cached().try_for_each(|(result, body)| cache::keep(conn, &head.tenant, result, body))
}

fn add_events(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    if append.events.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO events (place, tenant, project, version, at, crc, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for event in &append.events {
        insert.execute(params![
            place(head.n, event.seq),
            head.tenant,
            head.project,
            event.version,
            event.at.cast_signed(),
            event.crc,
            event.body,
        ])?;
    }
    for blob in &append.blobs {
        conn.prepare_cached(
            "INSERT OR IGNORE INTO blob_refs (run, blob, tenant, project) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![head.n, blob.as_str(), head.tenant, head.project])?;
    }
    Ok(())
}

fn add_spend(conn: &Connection, head: &Head, lines: &[SpendRow]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    let first = next_number(conn, "spend", head.n)?;
    for (number, line) in (first..).zip(lines) {
        conn.prepare_cached(
            "INSERT INTO spend (place, tenant, project, at, task, attempt, agent, provider, model, \
             requests, input, cache_read, cache_write, output, reasoning, cost) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            place(head.n, number),
            head.tenant,
            head.project,
            instant(line.at),
            line.task.as_str(),
            line.attempt.0,
            line.agent.as_str(),
            line.provider.as_str(),
            line.model,
            line.requests,
            line.usage.input.0.cast_signed(),
            line.usage.cache_read.0.cast_signed(),
            line.usage.cache_write.0.cast_signed(),
            line.usage.output.0.cast_signed(),
            line.usage.reasoning.0.cast_signed(),
            line.cost.map(|cost| cost.0.cast_signed()),
        ])?;
    }
    Ok(())
}
