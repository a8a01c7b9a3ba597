//! The sums, and the runs that have budgets.

use crate::{error::Fault, record::instant};
use orchestrator_core::{
    id::RunId,
    ledger::{Limit, Payer, Rule, RunBudget, Scope, Standing, Sums, Window, limits_of},
    money::MicroUsd,
    port::StoreError,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

/// The run and the runs above it, with their budgets.
pub(super) fn chain(conn: &Connection, run: Option<&RunId>) -> Result<Vec<RunBudget>, Fault> {
    let mut chain: Vec<RunBudget> = Vec::new();
    let mut next = run.cloned();
    while let Some(run) = next.take()
        && chain.iter().all(|above| above.run != run)
    {
        let row: Option<(Option<String>, Option<String>)> = conn
            .prepare_cached("SELECT parent, body ->> 'budget' FROM runs WHERE id = ?1")?
            .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (parent, budget) = row.unwrap_or_default();
        let damaged = |what: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("the row of run `{run}`: {what}"))
        };
        let usd: Option<MicroUsd> =
            budget.map(|text| text.parse()).transpose().map_err(|error| damaged(&error))?;
        next = parent.map(RunId::new).transpose().map_err(|error| damaged(&error))?;
        chain.push(RunBudget { run, usd });
    }
    Ok(chain)
}

/// How the limits stand that a call for `payer` meets.
pub(super) fn standings(
    conn: &Connection,
    payer: &Payer,
    runs: &[RunBudget],
    rules: &[Rule],
    now: Timestamp,
) -> Result<Vec<Standing>, Fault> {
    let limits = limits_of(rules, payer, runs).into_iter();
    let standing = limits.map(|limit| {
        let key = limit.scope.key();
        let from = limit.counts_from(now, restart(conn, &limit, &key, now)?);
        let (used, held) = sums(conn, &key, limit.scope.period(from))?;
        Ok(Standing { limit, used, held })
    });
    standing.collect()
}

/// When the window of `limit` last began anew before `now`, if it is one that can.
fn restart(
    conn: &Connection,
    limit: &Limit,
    key: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    if !matches!(limit.window, Window::Hours(_)) {
        return Ok(None);
    }
    let sql = "SELECT max(at) FROM ledger_restarts WHERE scope = ?1 AND at <= ?2";
    let at: Option<i64> =
        conn.prepare_cached(sql)?.query_row(params![key, instant(now)], |row| row.get(0))?;
    Ok(at.map(|at| Timestamp(at.unsigned_abs())))
}

/// Has the windows of hours of the scope of `key` begin anew at `at`.
pub(super) fn restart_window(conn: &Connection, key: &str, at: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached("INSERT OR IGNORE INTO ledger_restarts (scope, at) VALUES (?1, ?2)")?
        .execute(params![key, instant(at)])?;
    Ok(())
}

/// What the scope of `key` has used and holds in its periods from `from` on.
pub(super) fn sums(conn: &Connection, key: &str, from: Timestamp) -> Result<(Sums, Sums), Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT sum(used_usd), sum(used_tokens), sum(used_requests), \
         sum(held_usd), sum(held_tokens), sum(held_requests) \
         FROM ledger_sums WHERE scope = ?1 AND period >= ?2",
    )?;
    let sums = statement.query_row(params![key, instant(from)], |row| {
        let sum = |at| row.get::<_, Option<i64>>(at).map(|sum| sum.unwrap_or(0).unsigned_abs());
        let used = Sums { usd: sum(0)?, tokens: sum(1)?, requests: sum(2)? };
        let held = Sums { usd: sum(3)?, tokens: sum(4)?, requests: sum(5)? };
        Ok((used, held))
    })?;
    Ok(sums)
}

/// How a call's share of the sums changes: amounts that come and amounts that go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    pub(super) used: [Sums; 2],
    pub(super) held: [Sums; 2],
}

impl Change {
    /// The differences, in the order of the columns.
    fn columns(self) -> [i64; 6] {
        let of = |[more, less]: [Sums; 2]| {
            let difference = |more: u64, less: u64| more.cast_signed() - less.cast_signed();
            [
                difference(more.usd, less.usd),
                difference(more.tokens, less.tokens),
                difference(more.requests, less.requests),
            ]
        };
        let ([a, b, c], [d, e, f]) = (of(self.used), of(self.held));
        [a, b, c, d, e, f]
    }
}

/// Adds `change` to the sums of each scope in the period of `at`.
pub(super) fn change(
    conn: &Connection,
    payer: &Payer,
    scopes: &[Scope],
    at: Timestamp,
    change: Change,
) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO ledger_sums (scope, period, tenant, project, used_usd, used_tokens, \
         used_requests, held_usd, held_tokens, held_requests) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (scope, period) DO UPDATE SET \
         used_usd = used_usd + excluded.used_usd, \
         used_tokens = used_tokens + excluded.used_tokens, \
         used_requests = used_requests + excluded.used_requests, \
         held_usd = held_usd + excluded.held_usd, \
         held_tokens = held_tokens + excluded.held_tokens, \
         held_requests = held_requests + excluded.held_requests",
    )?;
    let [a, b, c, d, e, f] = change.columns();
    for scope in scopes {
        let (key, period) = (scope.key(), instant(scope.period(at)));
        let (tenant, project) = (payer.tenant.as_str(), payer.project.as_str());
        statement.execute(params![key, period, tenant, project, a, b, c, d, e, f])?;
    }
    Ok(())
}

/// Forgets the sums of a run and its tasks.
pub(crate) fn forget_run(conn: &Connection, run: &RunId) -> Result<(), Fault> {
    let only = Scope::Run(run.clone()).key();
    conn.prepare_cached("DELETE FROM ledger_sums WHERE scope = ?1")?.execute([only])?;
    // `0` is what follows `/`.
    conn.prepare_cached("DELETE FROM ledger_sums WHERE scope > ?1 AND scope < ?2")?
        .execute([format!("task/{run}/"), format!("task/{run}0")])?;
    Ok(())
}
