//! Spending summed up.

use crate::{
    error::Fault,
    record::{LAST_SEQ, instant, place},
};
use orchestrator_core::{
    id::RunId,
    money::MicroUsd,
    port::{OUTSIDE, SpendGroup, SpendTotal, StoreError},
    time::Timestamp,
    usage::{Cost, TokenCount, Usage},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::cmp::Reverse;

const DAY_MS: i64 = 86_400_000;

/// The columns whose sums are wanted.
const SUMMED: [&str; 6] = ["input", "cache_read", "cache_write", "output", "reasoning", "cost"];

/// The lines of spending: those of runs, and calls of the ledger that are of no task, which no run
/// has counted. `?4` says whether the latter are wanted.
const LINES: &str = "\
    WITH lines (run, task, agent, model, provider, project, at, requests, cost, \
        input, cache_read, cache_write, output, reasoning) AS ( \
    SELECT r.id, s.task, s.agent, s.model, s.provider, s.project, s.at, s.requests, s.cost, \
        s.input, s.cache_read, s.cache_write, s.output, s.reasoning \
    FROM spend s JOIN runs r ON r.n = s.place >> 32 \
    WHERE s.place BETWEEN ?1 AND ?2 AND s.at >= ?3 \
    UNION ALL \
    SELECT run, NULL, payer ->> 'agent', payer ->> 'model', payer ->> 'account', project, at, \
        requests, usd, usage ->> '$.input', usage ->> '$.\"cache-read\"', \
        usage ->> '$.\"cache-write\"', usage ->> '$.output', usage ->> '$.reasoning' \
    FROM ledger_calls WHERE payer ->> 'task' IS NULL AND ?4 AND at >= ?3 \
        AND state IN ('settled', 'assumed'))";

/// What each group has in common, as SQL over a line. `?5` stands for what no run has.
fn key_of(group: SpendGroup) -> Result<&'static str, StoreError> {
    Ok(match group {
        SpendGroup::Agent => "coalesce(s.agent, ?5)",
        SpendGroup::Model => "s.model",
        SpendGroup::Provider => "s.provider",
        SpendGroup::Task => "coalesce(s.run || '.' || s.task, ?5)",
        SpendGroup::Project => "s.project",
        SpendGroup::Day => "CAST(s.at / 86400000 AS TEXT)",
        SpendGroup::Run => "coalesce(s.run, ?5)",
        other => {
            return Err(StoreError::Unavailable {
                action: format!("sum up spending by {other:?}"),
                reason: "this version of the store does not know that group".into(),
            });
        }
    })
}

/// The sums of each group, the largest cost first, or by day in their order.
pub(crate) fn spending(
    conn: &Connection,
    group: SpendGroup,
    run: Option<&RunId>,
    since: Option<Timestamp>,
) -> Result<Vec<SpendTotal>, Fault> {
    let all = (0, i64::MAX);
    let (first, last) = match run {
        None => all,
        Some(run) => {
            let n: Option<i64> = conn
                .prepare_cached("SELECT n FROM runs WHERE id = ?1")?
                .query_row([run.as_str()], |row| row.get(0))
                .optional()?;
            let Some(n) = n else { return Ok(Vec::new()) };
            (place(n, 0), place(n, LAST_SEQ))
        }
    };
    // Halves of 32 bits cannot overflow a sum, and together give it exactly.
    let halves: String = SUMMED
        .iter()
        .map(|c| format!(", sum((s.{c} >> 32) & 4294967295), sum(s.{c} & 4294967295)"))
        .collect();
    let sql = format!(
        "{LINES} SELECT {}, count(DISTINCT CASE WHEN s.task IS NOT NULL THEN s.run END), \
         sum(s.requests), sum(CASE WHEN s.cost IS NULL THEN s.requests ELSE 0 END){halves} \
         FROM lines s WHERE ?5 IS NOT NULL GROUP BY 1",
        key_of(group)?
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let since = since.map_or(0, instant);
    let totals = statement.query_map(params![first, last, since, run.is_none(), OUTSIDE], total)?;
    let mut totals = totals.collect::<Result<Vec<_>, _>>()?;
    if group == SpendGroup::Day {
        for day in &mut totals {
            let number: i64 = day.key.parse().unwrap_or_default();
            let at = Timestamp(number.saturating_mul(DAY_MS).unsigned_abs());
            day.key = at.to_string().split('T').next().unwrap_or_default().to_owned();
        }
        totals.sort_by(|a, b| a.key.cmp(&b.key));
    } else {
        totals.sort_by(|a, b| {
            let rank = |t: &SpendTotal| Reverse((t.cost.known, t.cost.unpriced_requests));
            rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
        });
    }
    Ok(totals)
}

fn total(row: &Row<'_>) -> Result<SpendTotal, rusqlite::Error> {
    let sum = |column: usize| -> Result<u64, rusqlite::Error> {
        let half = |at| row.get::<_, Option<i64>>(at).map(|half| half.unwrap_or(0));
        let (high, low) = (half(4 + 2 * column)?, half(5 + 2 * column)?);
        let whole = (u128::from(high.unsigned_abs()) << 32) + u128::from(low.unsigned_abs());
        Ok(u64::try_from(whole).unwrap_or(u64::MAX))
    };
    Ok(SpendTotal {
        key: row.get(0)?,
        runs: row.get::<_, i64>(1)?.unsigned_abs(),
        requests: row.get::<_, i64>(2)?.unsigned_abs(),
        usage: Usage {
            input: TokenCount(sum(0)?),
            cache_read: TokenCount(sum(1)?),
            cache_write: TokenCount(sum(2)?),
            output: TokenCount(sum(3)?),
            reasoning: TokenCount(sum(4)?),
        },
        cost: Cost {
            known: MicroUsd(sum(5)?),
            unpriced_requests: row.get::<_, i64>(3)?.unsigned_abs(),
        },
    })
}
