//! What tasks used that are like others, and what was expected of runs.

use super::run_id;
use crate::{
    body::{self, RUN},
    error::Fault,
    record::{LAST_SEQ, from_json, instant, place},
};
use orchestrator_core::{
    estimate::{History, RunEstimate},
    id::{AgentName, AttemptNumber, ProviderName, RunId, TaskName, WorkflowName},
    port::{EstimatedRun, HISTORY_LINES, HISTORY_RUNS, RunRow, SpendRow, StoreError},
    run::RunStatus,
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeSet;

/// The newest runs of a workflow, from an index; which of them have succeeded is looked at after that,
/// so that those which did not cost no more.
pub(super) const RUNS: &str = "SELECT n, id FROM (SELECT n, id, status FROM runs r \
    WHERE r.workflow = ?1 ORDER BY n DESC LIMIT ?2) WHERE status = ?3 ORDER BY n DESC";

const LINE: &str =
    "s.place, s.task, s.agent, s.model, s.input, s.cache_read, s.cache_write, s.output";

/// What the newest tasks of these workflows used, and the newest of any.
pub(crate) fn history(conn: &Connection, workflows: &[WorkflowName]) -> Result<History, Fault> {
    let mut history = History::default();
    for workflow in workflows {
        of_workflow(conn, workflow, &mut history)?;
    }
    of_others(conn, workflows, &mut history)?;
    Ok(history)
}

fn of_workflow(
    conn: &Connection,
    workflow: &WorkflowName,
    history: &mut History,
) -> Result<(), Fault> {
    let mut runs = conn.prepare_cached(RUNS)?;
    let mut runs = runs.query(params![
        workflow.as_str(),
        super::limit_of(HISTORY_RUNS),
        RunStatus::Succeeded.as_str()
    ])?;
    let lines = format!(
        "SELECT {LINE} FROM spend s WHERE s.place BETWEEN ?1 AND ?2 ORDER BY s.place DESC LIMIT ?3"
    );
    let mut lines = conn.prepare_cached(&lines)?;
    let mut left = HISTORY_LINES;
    while let Some(row) = runs.next()? {
        let (n, id): (i64, String) = (row.get(0)?, row.get(1)?);
        let run = run_id(&id)?;
        // One more than there is room for tells that the run does not fit. Only the first may be cut.
        let most = left.saturating_add(1);
        let mut found = Vec::new();
        let mut rows =
            lines.query(params![place(n, 0), place(n, LAST_SEQ), super::limit_of(most)])?;
        while let Some(row) = rows.next()? {
            found.push(line(row, &run)?);
        }
        if found.len() > left && left < HISTORY_LINES {
            break;
        }
        found.truncate(left);
        history.add_run(workflow);
        history.add_lines(workflow, &found);
        left -= found.len();
    }
    Ok(())
}

/// The newest lines of spending but for those of `known`, of runs that succeeded.
fn of_others(
    conn: &Connection,
    known: &[WorkflowName],
    history: &mut History,
) -> Result<(), Fault> {
    let known: BTreeSet<&str> = known.iter().map(WorkflowName::as_str).collect();
    let sql = format!(
        "SELECT {LINE}, r.id, r.workflow, r.status FROM (SELECT * FROM spend ORDER BY place DESC \
         LIMIT ?1) s JOIN runs r ON r.n = s.place >> 32 ORDER BY s.place DESC"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([super::limit_of(HISTORY_LINES)])?;
    let (mut seen, mut group): (usize, Vec<SpendRow>) = (0, Vec::new());
    let mut of: Option<(i64, WorkflowName)> = None;
    while let Some(row) = rows.next()? {
        seen += 1;
        let n = row.get::<_, i64>(0)? >> 32;
        if of.as_ref().is_none_or(|(run, _)| *run != n) {
            if let Some((_, workflow)) = of.take() {
                history.add_lines(&workflow, &group);
            }
            group.clear();
            let workflow: Option<String> = row.get(9)?;
            let status: Option<String> = row.get(10)?;
            let wanted = status.as_deref() == Some(RunStatus::Succeeded.as_str());
            let workflow = workflow.filter(|name| wanted && !known.contains(name.as_str()));
            of = workflow.map(|name| Ok::<_, StoreError>((n, named(&name)?))).transpose()?;
        }
        if of.is_some() {
            group.push(line(row, &run_id(&row.get::<_, String>(8)?)?)?);
        }
    }
    // Of the oldest run a part may be missing.
    if let (Some((_, workflow)), true) = (of, seen < HISTORY_LINES) {
        history.add_lines(&workflow, &group);
    }
    Ok(())
}

/// What of a line of spending a history is made of; the rest of it is nothing.
fn line(row: &Row<'_>, run: &RunId) -> Result<SpendRow, Fault> {
    let count = |column: usize| row.get::<_, i64>(column).map(|n| TokenCount(n.cast_unsigned()));
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("a line of spending of run `{run}`: {error}"))
    };
    Ok(SpendRow {
        run: run.clone(),
        task: TaskName::new(row.get::<_, String>(1)?).map_err(|error| damaged(&error))?,
        attempt: AttemptNumber(0),
        agent: AgentName::new(row.get::<_, String>(2)?).map_err(|error| damaged(&error))?,
        provider: ProviderName::new("any").map_err(|error| damaged(&error))?,
        model: row.get(3)?,
        requests: 0,
        usage: Usage {
            input: count(4)?,
            cache_read: count(5)?,
            cache_write: count(6)?,
            output: count(7)?,
            ..Usage::default()
        },
        cost: None,
        at: Timestamp(0),
    })
}

fn named(workflow: &str) -> Result<WorkflowName, StoreError> {
    WorkflowName::new(workflow).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// The newest runs of which something was expected, with what they and their children came to.
/// The order of the join is given: runs by their age would all be looked at.
pub(super) const ESTIMATED: &str = "SELECT e.run, e.body FROM estimates e CROSS JOIN runs r \
    ON r.n = e.run WHERE +r.created_at >= ?1 AND r.body IS NOT NULL ORDER BY e.run DESC LIMIT ?2";

/// The same of one run.
pub(super) const ESTIMATED_ONE: &str = "SELECT e.run, e.body FROM runs r JOIN estimates e \
    ON e.run = r.n WHERE r.created_at >= ?1 AND r.body IS NOT NULL AND r.id = ?3 LIMIT ?2";

/// A run and all below it.
fn family() -> String {
    format!(
        "WITH RECURSIVE family (n, id) AS (SELECT n, id FROM runs WHERE n = ?1 UNION \
         SELECT c.n, c.id FROM family f JOIN runs c ON c.parent = f.id) \
         SELECT {RUN} FROM family f JOIN runs r ON r.n = f.n WHERE r.body IS NOT NULL \
         ORDER BY r.n <> ?1"
    )
}

/// The newest runs of which something was expected.
pub(crate) fn estimated(
    conn: &Connection,
    run: Option<&RunId>,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<EstimatedRun>, Fault> {
    let (since, limit) = (since.map_or(0, instant), super::limit_of(limit));
    let mut found = Vec::new();
    let mut note = |row: &Row<'_>| {
        found.push((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        Ok::<_, rusqlite::Error>(())
    };
    match run {
        Some(run) => {
            let mut statement = conn.prepare_cached(ESTIMATED_ONE)?;
            let mut rows = statement.query(params![since, limit, run.as_str()])?;
            while let Some(row) = rows.next()? {
                note(row)?;
            }
        }
        None => {
            let mut statement = conn.prepare_cached(ESTIMATED)?;
            let mut rows = statement.query(params![since, limit])?;
            while let Some(row) = rows.next()? {
                note(row)?;
            }
        }
    }
    let mut family = conn.prepare_cached(&family())?;
    let mut runs = Vec::with_capacity(found.len());
    for (n, text) in found {
        let estimate: RunEstimate = from_json(&text, format_args!("the estimate of run {n}"))?;
        let mut rows = family.query([n])?;
        let Some(first) = rows.next()? else { continue };
        let RunRow { id: run, workflow, status, mut usage, mut cost, .. } = body::run(first)?;
        while let Some(row) = rows.next()? {
            let child = body::run(row)?;
            usage += child.usage;
            cost += child.cost;
        }
        runs.push(EstimatedRun { run, workflow, status, estimate, usage, cost });
    }
    Ok(runs)
}
