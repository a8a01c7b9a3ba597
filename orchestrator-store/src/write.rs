//! What the writer does for each request. Every function checks before it writes.

use crate::{
    error::Fault,
    record::{LAST_SEQ, StoredEvent, instant, place, to_json},
};
use orchestrator_core::{
    event::Event,
    id::{Epoch, OwnerId, ProjectId, RunId, Sequence, TenantId},
    port::{Append, AttemptRow, Lease, RunRow, Signal, SpendRow, StoreError, TaskRow, blobs_of},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

/// An append with its JSON already made, outside the thread that writes.
#[derive(Debug)]
pub(crate) struct Prepared {
    run: RunId,
    epoch: Epoch,
    expected: Sequence,
    owner: (TenantId, ProjectId),
    at: Timestamp,
    events: Vec<StoredEvent>,
    blobs: Vec<String>,
    row: Option<(RunRow, String)>,
    tasks: Vec<(TaskRow, String)>,
    attempts: Vec<(AttemptRow, String)>,
    spend: Vec<SpendRow>,
}

impl Prepared {
    /// Checks that `append` fits together and turns it into rows.
    pub(crate) fn new(append: Append) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Unavailable {
            action: format!("append to run `{}`", append.run),
            reason,
        };
        let blobs = blobs_of(&append).into_iter().map(String::from).collect();
        let rows = append.rows;
        let run = &append.run;
        let others = (rows.run.iter().map(|row| &row.id))
            .chain(rows.tasks.iter().map(|row| &row.run))
            .chain(rows.attempts.iter().map(|row| &row.run))
            .chain(rows.spend.iter().map(|row| &row.run));
        if let Some(other) = others.into_iter().find(|id| *id != run) {
            return Err(refuse(format!("one of its rows is of run `{other}`")));
        }
        let numbers = append.expected.0.saturating_add(1)..;
        if append.events.iter().zip(numbers).any(|(event, number)| event.seq.0 != number) {
            return Err(refuse(format!(
                "its events are not numbered from {}, one after the other",
                append.expected.0.saturating_add(1)
            )));
        }
        if append.expected.0.saturating_add(append.events.len() as u64) > LAST_SEQ {
            return Err(refuse(format!("a run has at most {LAST_SEQ} events")));
        }
        let owner = match (&rows.run, append.events.first().map(|first| &first.event)) {
            (Some(row), _) => (row.tenant.clone(), row.project.clone()),
            (None, Some(Event::RunCreated(created))) => {
                (created.tenant.clone(), created.project.clone())
            }
            (None, _) => Default::default(),
        };
        let at = append.events.first().map_or(Timestamp(0), |first| first.at);
        let events = append.events.iter().map(|event| StoredEvent::encode(run, event));
        Ok(Self {
            events: events.collect::<Result<_, _>>()?,
            blobs,
            row: rows.run.map(with_json).transpose()?,
            tasks: rows.tasks.into_iter().map(with_json).collect::<Result<_, _>>()?,
            attempts: rows.attempts.into_iter().map(with_json).collect::<Result<_, _>>()?,
            spend: rows.spend,
            owner,
            at,
            run: append.run,
            epoch: append.epoch,
            expected: append.expected,
        })
    }

    /// The run that is written to.
    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }
}

fn with_json<T: serde::Serialize>(row: T) -> Result<(T, String), StoreError> {
    let body = to_json(&row, "a row")?;
    Ok((row, body))
}

/// What a run's line in `runs` says.
struct Head {
    n: i64,
    tenant: String,
    project: String,
    seq: u64,
    epoch: u64,
    owner: Option<String>,
    expires: Option<i64>,
    created_at: i64,
}

impl Head {
    fn find(conn: &Connection, run: &RunId) -> Result<Option<Self>, rusqlite::Error> {
        conn.prepare_cached(
            "SELECT n, tenant, project, head, epoch, owner, expires, created_at FROM runs WHERE id = ?1",
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
                created_at: row.get(7)?,
            })
        })
        .optional()
    }

    fn get(conn: &Connection, run: &RunId) -> Result<Self, Fault> {
        Ok(Self::find(conn, run)?.ok_or_else(|| StoreError::NoSuchRun(run.clone()))?)
    }

    fn lease(&self) -> Result<Option<Lease>, StoreError> {
        let (Some(owner), Some(expires)) = (&self.owner, self.expires) else { return Ok(None) };
        let owner = OwnerId::new(owner)
            .map_err(|error| StoreError::Damaged(format!("the owner of a lease: {error}")))?;
        let expires = Timestamp(expires.cast_unsigned());
        Ok(Some(Lease { owner, epoch: Epoch(self.epoch), expires }))
    }
}

/// The lease that `run` has, if any.
pub(crate) fn lease(conn: &Connection, run: &RunId) -> Result<Option<Lease>, Fault> {
    match Head::find(conn, run)? {
        Some(head) => Ok(head.lease()?),
        None => Ok(None),
    }
}

/// Makes the run with its lease and its first events.
pub(crate) fn create(conn: &Connection, first: &Prepared, lease: &Lease) -> Result<(), Fault> {
    let run = &first.run;
    if Head::find(conn, run)?.is_some() {
        return Err(StoreError::RunExists(run.clone()).into());
    }
    if first.expected != Sequence(0) || first.epoch != lease.epoch {
        return Err(StoreError::Unavailable {
            action: format!("create run `{run}`"),
            reason: "its first append must begin at event 1, under the epoch of its lease".into(),
        }
        .into());
    }
    let (tenant, project) = &first.owner;
    conn.prepare_cached(
        "INSERT INTO runs (id, tenant, project, head, epoch, owner, expires, created_at) \
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        run.as_str(),
        tenant.as_str(),
        project.as_str(),
        lease.epoch.0.cast_signed(),
        lease.owner.as_str(),
        lease.expires.0.cast_signed(),
        instant(first.at),
    ])?;
    let head = Head {
        n: conn.last_insert_rowid(),
        tenant: tenant.to_string(),
        project: project.to_string(),
        seq: 0,
        epoch: lease.epoch.0,
        owner: None,
        expires: None,
        created_at: instant(first.at),
    };
    add(conn, &head, first)
}

/// Appends to the run, if the writer still drives it and knows where its log ends.
pub(crate) fn append(conn: &Connection, append: &Prepared) -> Result<(), Fault> {
    let head = Head::get(conn, &append.run)?;
    if head.epoch != append.epoch.0 {
        return Err(fenced(&append.run, append.epoch, &head).into());
    }
    if head.seq != append.expected.0 {
        return Err(StoreError::Conflict {
            run: append.run.clone(),
            expected: append.expected,
            actual: Sequence(head.seq),
        }
        .into());
    }
    add(conn, &head, append)
}

fn fenced(run: &RunId, named: Epoch, head: &Head) -> StoreError {
    StoreError::Fenced { run: run.clone(), named, actual: Epoch(head.epoch) }
}

fn add(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    add_events(conn, head, append)?;
    let last = append.expected.0 + append.events.len() as u64;
    match &append.row {
        None => {
            conn.prepare_cached("UPDATE runs SET head = ?2 WHERE n = ?1")?
                .execute(params![head.n, last.cast_signed()])?;
        }
        Some((row, body)) => {
            conn.prepare_cached("UPDATE runs SET head = ?2, status = ?3, body = ?4 WHERE n = ?1")?
                .execute(params![head.n, last.cast_signed(), row.status.as_str(), body])?;
            // Apart, since these hardly ever change and an index hangs on one of them.
            let at = instant(row.created_at);
            let same = head.tenant == row.tenant.as_str() && head.project == row.project.as_str();
            if !same || head.created_at != at {
                conn.prepare_cached(
                    "UPDATE runs SET tenant = ?2, project = ?3, created_at = ?4 WHERE n = ?1",
                )?
                .execute(params![
                    head.n,
                    row.tenant.as_str(),
                    row.project.as_str(),
                    at
                ])?;
            }
        }
    }
    add_rows(conn, head, append)?;
    add_spend(conn, head, &append.spend)
}

fn add_events(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
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
        .execute(params![head.n, blob, head.tenant, head.project])?;
    }
    Ok(())
}

fn add_rows(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    for (row, body) in &append.tasks {
        conn.prepare_cached(
            "INSERT INTO tasks (run, name, tenant, project, position, status, agent, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (run, name) DO UPDATE SET \
             position = excluded.position, status = excluded.status, agent = excluded.agent, \
             body = excluded.body",
        )?
        .execute(params![
            head.n,
            row.name.as_str(),
            head.tenant,
            head.project,
            row.position,
            row.status.as_str(),
            row.agent.as_ref().map(|agent| agent.as_str()),
            body,
        ])?;
    }
    let first_seq = append.expected.0.saturating_add(1).cast_signed();
    for (row, body) in &append.attempts {
        // The index hangs on `agent` and `started_at`, which stay what they were in all but a
        // repaired row: the first statement leaves the index alone.
        let changed = conn
            .prepare_cached(
                "INSERT INTO attempts (run, task, number, tenant, project, agent, started_at, \
                 first_seq, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT (run, task, number) DO UPDATE SET body = excluded.body \
                 WHERE agent = excluded.agent AND started_at = excluded.started_at",
            )?
            .execute(params![
                head.n,
                row.task.as_str(),
                row.number.0,
                head.tenant,
                head.project,
                row.agent.as_str(),
                instant(row.started_at),
                first_seq,
                body,
            ])?;
        if changed == 0 {
            conn.prepare_cached(
                "UPDATE attempts SET agent = ?4, started_at = ?5, body = ?6 \
                 WHERE run = ?1 AND task = ?2 AND number = ?3",
            )?
            .execute(params![
                head.n,
                row.task.as_str(),
                row.number.0,
                row.agent.as_str(),
                instant(row.started_at),
                body,
            ])?;
        }
    }
    Ok(())
}

/// The number after the last that `table` has for the run.
fn next_number(conn: &Connection, table: &'static str, n: i64) -> Result<u64, rusqlite::Error> {
    let sql = format!("SELECT max(place) FROM {table} WHERE place BETWEEN ?1 AND ?2");
    let last: Option<i64> = conn
        .prepare_cached(&sql)?
        .query_row([place(n, 0), place(n, LAST_SEQ)], |row| row.get(0))?;
    Ok(last.map_or(0, crate::record::number_of) + 1)
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
        return Err(fenced(run, epoch, &head).into());
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

/// Puts a signal at the end of the run's inbox.
pub(crate) fn signal(
    conn: &Connection,
    run: &RunId,
    signal: &Signal,
    at: Timestamp,
) -> Result<(), Fault> {
    let head = Head::get(conn, run)?;
    let number = next_number(conn, "signals", head.n)?;
    conn.prepare_cached(
        "INSERT INTO signals (place, tenant, project, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        place(head.n, number),
        head.tenant,
        head.project,
        instant(at),
        to_json(signal, "a signal")?,
    ])?;
    Ok(())
}

/// Removes those of `runs` that have ended and were created before `before`; returns which.
pub(crate) fn remove(
    conn: &Connection,
    runs: &[RunId],
    before: Timestamp,
) -> Result<Vec<RunId>, Fault> {
    let mut removed = Vec::new();
    for run in runs {
        let found: Option<i64> = conn
            .prepare_cached(
                "SELECT n FROM runs WHERE id = ?1 AND created_at < ?2 \
                 AND status IN ('succeeded', 'failed', 'cancelled')",
            )?
            .query_row(params![run.as_str(), instant(before)], |row| row.get(0))
            .optional()?;
        let Some(n) = found else { continue };
        for table in ["events", "spend", "signals"] {
            let sql = format!("DELETE FROM {table} WHERE place BETWEEN ?1 AND ?2");
            conn.prepare_cached(&sql)?.execute([place(n, 0), place(n, LAST_SEQ)])?;
        }
        // The tables that refer to the run follow it.
        conn.prepare_cached("DELETE FROM runs WHERE n = ?1")?.execute([n])?;
        removed.push(run.clone());
    }
    Ok(removed)
}
