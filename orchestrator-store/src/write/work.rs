//! Tasks and their attempts.
//!
//! A task's row has its last attempt beside it, since the two change together; `attempts` has the
//! earlier ones, and those of tasks that have no row. An attempt is in one of the two places.

use super::Head;
use crate::{
    error::Fault,
    prepared::{Prepared, TaskBody},
    record::instant,
};
use orchestrator_core::{
    id::TaskName,
    port::{AttemptRow, AttemptStatus, TaskRow},
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, params, params_from_iter};
use std::collections::{HashMap, hash_map::Entry};

/// A change of a task's row: what else it sets, and what else must hold. `?1` to `?7` are its own.
macro_rules! change {
    ($sets:literal, $only:literal) => {
        concat!(
            "UPDATE tasks SET position = ?3, status = ?4, agent = ?5, body = ?6, output_seq = ?7",
            $sets,
            " WHERE run = ?1 AND name = ?2",
            $only
        )
    };
}

/// A row of an attempt and its text.
type Attempt<'a> = (&'a AttemptRow, &'a String);

/// Writes the rows of `append`'s tasks and attempts.
pub(super) fn put(conn: &Connection, head: &Head, append: &Prepared) -> Result<(), Fault> {
    let first_seq = append.asked().expected.0.saturating_add(1).cast_signed();
    let place = Place { conn, head, first_seq };
    append.asked().rows.gone.iter().try_for_each(|name| place.take_out(name))?;
    // The last attempt of each task goes with its row; what was before it, and what has no row
    // here, goes by itself. Of a row that comes twice, the later one counts.
    let mut last: HashMap<&TaskName, Attempt<'_>> = HashMap::new();
    for attempt in append.attempts() {
        match last.entry(&attempt.0.task) {
            Entry::Vacant(entry) => drop(entry.insert(attempt)),
            Entry::Occupied(mut entry) if entry.get().0.number <= attempt.0.number => {
                let before = entry.insert(attempt);
                if before.0.number < attempt.0.number {
                    place.attempt(before)?;
                }
            }
            Entry::Occupied(_) => place.attempt(attempt)?,
        }
    }
    let mut tasks: Vec<_> = append.tasks().collect();
    // In the order of the tree, rows are added at its end.
    tasks.sort_by_key(|(row, _)| &row.name);
    for task in tasks {
        place.task(task, last.remove(&task.0.name))?;
    }
    for attempt in append.attempts() {
        if last.get(&attempt.0.task).is_some_and(|(row, _)| std::ptr::eq(*row, attempt.0)) {
            place.attempt(attempt)?;
        }
    }
    Ok(())
}

/// Where rows go: a run, and the event with which a row that is new comes.
struct Place<'a> {
    conn: &'a Connection,
    head: &'a Head,
    first_seq: i64,
}

impl Place<'_> {
    /// Writes a task's row, with an attempt of it or without.
    fn task(
        &self,
        (row, body): (&TaskRow, &TaskBody),
        attempt: Option<Attempt<'_>>,
    ) -> Result<(), Fault> {
        // Only in the run's first append are all rows known to be new.
        if self.head.seq == 0 {
            return Ok(self.insert(row, body, attempt)?);
        }
        let alone = || self.change(row, body, change!("", ""), &[]);
        let Some(attempt) = attempt else {
            if alone()? == 0 {
                self.insert(row, body, None)?;
            }
            return Ok(());
        };
        let (by, at) = (attempt.0.agent.as_str(), instant(attempt.0.started_at));
        let number = attempt.0.number.0;
        let changed = if is_new(attempt.0) {
            let sql = change!(
                ", attempt = ?8, attempt_agent = ?9, attempt_at = ?10, attempt_body = ?11, \
                 attempt_seq = ?12",
                " AND attempt IS NULL AND NOT EXISTS \
                 (SELECT 1 FROM attempts WHERE run = ?1 AND task = ?2 AND number = ?8)"
            );
            self.change(row, body, sql, &[&number, &by, &at, attempt.1, &self.first_seq])?
        } else {
            let sql = change!(
                ", attempt_body = ?11",
                " AND attempt = ?8 AND attempt_agent = ?9 AND attempt_at = ?10"
            );
            self.change(row, body, sql, &[&number, &by, &at, attempt.1])?
        };
        if changed > 0 {
            return Ok(());
        }
        if alone()? > 0 {
            return self.attempt(attempt);
        }
        let beside = (!self.among_earlier(attempt)?).then_some(attempt);
        Ok(self.insert(row, body, beside)?)
    }

    /// Runs `sql`, a [`change!`], with the values of a task's row and `more`.
    fn change(
        &self,
        row: &TaskRow,
        body: &TaskBody,
        sql: &str,
        more: &[&dyn ToSql],
    ) -> Result<usize, rusqlite::Error> {
        let (name, status) = (row.name.as_str(), row.status.as_str());
        let agent = row.agent.as_ref().map(|agent| agent.as_str());
        let seq = body.output_seq.map(u64::cast_signed);
        let values: [&dyn ToSql; 7] =
            [&self.head.n, &name, &row.position, &status, &agent, &body.text, &seq];
        self.prepared(sql)?.execute(params_from_iter(values.iter().chain(more)))
    }

    fn insert(
        &self,
        row: &TaskRow,
        body: &TaskBody,
        attempt: Option<Attempt<'_>>,
    ) -> Result<(), rusqlite::Error> {
        self.prepared(
            "INSERT INTO tasks (run, name, tenant, project, position, status, agent, body, \
             output_seq, attempt, attempt_agent, attempt_at, attempt_seq, attempt_body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            self.head.n,
            row.name.as_str(),
            self.head.tenant,
            self.head.project,
            row.position,
            row.status.as_str(),
            row.agent.as_ref().map(|agent| agent.as_str()),
            body.text,
            body.output_seq.map(u64::cast_signed),
            attempt.map(|(row, _)| row.number.0),
            attempt.map(|(row, _)| row.agent.as_str()),
            attempt.map(|(row, _)| instant(row.started_at)),
            attempt.map(|_| self.first_seq),
            attempt.map(|(_, body)| body),
        ])?;
        Ok(())
    }

    /// Writes an attempt's row by itself, wherever it is or belongs.
    fn attempt(&self, (row, body): Attempt<'_>) -> Result<(), Fault> {
        let (task, agent) = (row.task.as_str(), row.agent.as_str());
        let (number, started_at) = (row.number.0, instant(row.started_at));
        if !is_new(row) {
            let changed = self
                .prepared(
                    "UPDATE tasks SET attempt_body = ?6 WHERE run = ?1 AND name = ?2 \
                     AND attempt = ?3 AND attempt_agent = ?4 AND attempt_at = ?5",
                )?
                .execute(params![self.head.n, task, number, agent, started_at, body])?;
            if changed > 0 {
                return Ok(());
            }
        }
        if self.among_earlier((row, body))? {
            return Ok(());
        }
        let last = self
            .prepared("SELECT attempt FROM tasks WHERE run = ?1 AND name = ?2")?
            .query_row(params![self.head.n, task], |row| row.get::<_, Option<u32>>(0))
            .optional()?;
        let beside = match last {
            None => false,
            Some(None) => true,
            Some(Some(last)) => {
                if last < number {
                    self.set_aside(task)?;
                }
                last <= number
            }
        };
        if beside {
            self.prepared(
                "UPDATE tasks SET attempt = ?3, attempt_agent = ?4, attempt_at = ?5, \
                 attempt_body = ?6, attempt_seq = iif(attempt = ?3, attempt_seq, ?7) \
                 WHERE run = ?1 AND name = ?2",
            )?
            .execute(params![
                self.head.n,
                task,
                number,
                agent,
                started_at,
                body,
                self.first_seq
            ])?;
        } else {
            self.prepared(
                "INSERT INTO attempts (run, task, number, agent, started_at, body, tenant, \
                 project, first_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                self.head.n,
                task,
                number,
                agent,
                started_at,
                body,
                self.head.tenant,
                self.head.project,
                self.first_seq,
            ])?;
        }
        Ok(())
    }

    /// Changes the row of an attempt that is among the earlier ones. Returns whether it is.
    fn among_earlier(&self, (row, body): Attempt<'_>) -> Result<bool, rusqlite::Error> {
        let changed = self
            .prepared(
                "UPDATE attempts SET agent = ?4, started_at = ?5, body = ?6 \
                 WHERE run = ?1 AND task = ?2 AND number = ?3",
            )?
            .execute(params![
                self.head.n,
                row.task.as_str(),
                row.number.0,
                row.agent.as_str(),
                instant(row.started_at),
                body,
            ])?;
        Ok(changed > 0)
    }

    /// Removes a task's row, but none of its attempts.
    fn take_out(&self, name: &TaskName) -> Result<(), Fault> {
        self.set_aside(name.as_str())?;
        self.prepared("DELETE FROM tasks WHERE run = ?1 AND name = ?2")?
            .execute(params![self.head.n, name.as_str()])?;
        Ok(())
    }

    /// Puts the attempt beside a task's row among the earlier ones.
    fn set_aside(&self, task: &str) -> Result<(), rusqlite::Error> {
        self.prepared(
            "INSERT INTO attempts (run, task, number, tenant, project, agent, started_at, \
             first_seq, body) SELECT run, name, attempt, tenant, project, attempt_agent, \
             attempt_at, attempt_seq, attempt_body FROM tasks \
             WHERE run = ?1 AND name = ?2 AND attempt IS NOT NULL",
        )?
        .execute(params![self.head.n, task])?;
        Ok(())
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>, rusqlite::Error> {
        self.conn.prepare_cached(sql)
    }
}

/// Whether the row says nothing yet but that the attempt has started.
fn is_new(row: &AttemptRow) -> bool {
    row.status == AttemptStatus::Running && row.turns == 0 && row.session.is_none()
}
