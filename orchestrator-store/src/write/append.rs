//! Beginning a run's log and going on with it.

use super::{Head, cache, next_number};
use crate::{
    error::Fault,
    prepared::Prepared,
    record::{instant, place},
};
use orchestrator_core::{
    id::Sequence,
    port::{AttemptRow, AttemptStatus, Lease, SpendRow, StoreError},
};
use rusqlite::{Connection, params};

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
             created_at, parent, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
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
    add(conn, &head, first)
}

/// Appends to the run, if the writer still drives it and knows where its log ends.
pub(crate) fn append(conn: &Connection, append: &Prepared) -> Result<(), Fault> {
    let (asked, run) = (append.asked(), append.run());
    let head = Head::get(conn, run)?;
    if head.epoch != asked.epoch.0 {
        return Err(head.fenced(run, asked.epoch).into());
    }
    if head.seq != asked.expected.0 {
        let (expected, actual) = (asked.expected, Sequence(head.seq));
        return Err(StoreError::Conflict { run: run.clone(), expected, actual }.into());
    }
    let last = (head.seq + asked.events.len() as u64).cast_signed();
    match append.run_row() {
        None => {
            conn.prepare_cached("UPDATE runs SET head = ?2 WHERE n = ?1")?
                .execute(params![head.n, last])?;
        }
        Some((row, body)) => {
            conn.prepare_cached("UPDATE runs SET head = ?2, body = ?3 WHERE n = ?1")?
                .execute(params![head.n, last, body])?;
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
    }
    add(conn, &head, append)
}

/// Writes all but the run's own line.
fn add(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    add_events(conn, head, append)?;
    add_tasks(conn, head, append)?;
    add_attempts(conn, head, append)?;
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

fn add_tasks(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    let is_first = head.seq == 0;
    for name in &append.asked().rows.gone {
        conn.prepare_cached("DELETE FROM tasks WHERE run = ?1 AND name = ?2")?
            .execute(params![head.n, name.as_str()])?;
    }
    let mut tasks = append.tasks().peekable();
    if tasks.peek().is_none() {
        return Ok(());
    }
    // Hardly ever is a row new after the run's first append, and a change that leaves the key alone
    // is the cheaper one: nothing is looked up twice.
    let mut update = conn.prepare_cached(
        "UPDATE tasks SET position = ?3, status = ?4, agent = ?5, body = ?6, output_seq = ?7 \
         WHERE run = ?1 AND name = ?2",
    )?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO tasks (run, name, position, status, agent, body, output_seq, tenant, project) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (row, body) in tasks {
        let (name, status) = (row.name.as_str(), row.status.as_str());
        let agent = row.agent.as_ref().map(|agent| agent.as_str());
        let seq = body.output_seq.map(u64::cast_signed);
        if !is_first {
            let values = params![head.n, name, row.position, status, agent, body.text, seq];
            if update.execute(values)? > 0 {
                continue;
            }
        }
        insert.execute(params![
            head.n,
            name,
            row.position,
            status,
            agent,
            body.text,
            seq,
            head.tenant,
            head.project,
        ])?;
    }
    Ok(())
}

fn add_attempts(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    let mut attempts = append.attempts().peekable();
    if attempts.peek().is_none() {
        return Ok(());
    }
    let first_seq = append.asked().expected.0.saturating_add(1).cast_signed();
    // A row is new when its attempt starts, and changed by whatever comes later.
    let mut update = conn.prepare_cached(
        "UPDATE attempts SET body = ?6 \
         WHERE run = ?1 AND task = ?2 AND number = ?3 AND agent = ?4 AND started_at = ?5",
    )?;
    let mut upsert = conn.prepare_cached(
        "INSERT INTO attempts (run, task, number, agent, started_at, body, tenant, project, \
         first_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (run, task, number) DO UPDATE SET agent = excluded.agent, \
         started_at = excluded.started_at, body = excluded.body",
    )?;
    for (row, body) in attempts {
        let (task, agent) = (row.task.as_str(), row.agent.as_str());
        let (number, started_at) = (row.number.0, instant(row.started_at));
        if !is_new(row) {
            let values = params![head.n, task, number, agent, started_at, body];
            if update.execute(values)? > 0 {
                continue;
            }
        }
        upsert.execute(params![
            head.n,
            task,
            number,
            agent,
            started_at,
            body,
            head.tenant,
            head.project,
            first_seq,
        ])?;
    }
    Ok(())
}

/// Whether the row says nothing yet but that the attempt has started.
fn is_new(row: &AttemptRow) -> bool {
    row.status == AttemptStatus::Running && row.turns == 0 && row.session.is_none()
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
