//! Calls: reserved, settled, and assumed when their process is gone.

use super::book::{Change, chain, change, standings};
use crate::{
    error::Fault,
    record::{from_json, instant, to_json},
};
use orchestrator_core::{
    id::{OwnerId, RunId},
    ledger::{Amounts, Payer, Standing, Sums, decide},
    money::MicroUsd,
    port::{CallRecord, CallState, HoldId, LedgerError, Reserve, Settlement, StoreError},
    time::Timestamp,
    usage::Usage,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// The columns of a call, in the order in which [`read`] takes them.
const COLUMNS: &str = "owner, number, at, state, worst_usd, worst_tokens, worst_requests, usd, \
                       tokens, requests, payer, usage";

/// Holds what `request` asks for, unless a limit refuses it.
pub(super) fn reserve(
    conn: &Connection,
    request: &Reserve,
) -> Result<Result<Vec<Standing>, LedgerError>, Fault> {
    let Reserve { hold, payer, worst, rules, now, expires } = request;
    expire(conn, None, *now)?;
    keep_lease(conn, &hold.owner, *expires)?;
    let runs = chain(conn, payer.run.as_ref())?;
    let standings = standings(conn, payer, &runs, rules, *now)?;
    if find(conn, hold)?.is_some() {
        return Ok(Ok(standings));
    }
    if let Err(refusal) = decide(&standings, worst, *now) {
        return Ok(Err(LedgerError::Refused(refusal)));
    }
    conn.prepare_cached(
        "INSERT INTO ledger_calls (owner, number, tenant, project, run, at, state, worst_usd, \
         worst_tokens, worst_requests, usd, tokens, requests, payer) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'held', ?7, ?8, ?9, 0, 0, 0, ?10)",
    )?
    .execute(params![
        hold.owner.as_str(),
        hold.number.cast_signed(),
        payer.tenant.as_str(),
        payer.project.as_str(),
        payer.run.as_ref().map(RunId::as_str),
        instant(*now),
        worst.usd.map(money),
        amount(worst.tokens),
        amount(worst.requests),
        to_json(payer, "who pays for a call")?,
    ])?;
    let scopes = payer.scopes(runs.iter().skip(1).map(|budget| &budget.run));
    let held = Change { held: [worst.sums(), Sums::default()], ..Change::default() };
    change(conn, payer, &scopes, *now, held)?;
    Ok(Ok(standings))
}

/// Ends a call.
pub(super) fn settle(
    conn: &Connection,
    hold: &HoldId,
    end: Settlement,
) -> Result<Result<(), LedgerError>, Fault> {
    let Some(call) = find(conn, hold)? else {
        return Ok(Err(LedgerError::NoSuchHold(hold.clone())));
    };
    if let Some((state, spent)) = end.follows(call.state, call.worst) {
        turn(conn, &call, state, spent, end.usage())?;
    }
    Ok(Ok(()))
}

/// Moves the end of an owner's lease.
pub(super) fn renew(conn: &Connection, owner: &OwnerId, expires: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached("INSERT OR REPLACE INTO ledger_owners (owner, expires) VALUES (?1, ?2)")?
        .execute(params![owner.as_str(), instant(expires)])?;
    Ok(())
}

/// The same, but never to an earlier time, and without a write when nothing changes.
fn keep_lease(conn: &Connection, owner: &OwnerId, expires: Timestamp) -> Result<(), Fault> {
    let found: Option<i64> = conn
        .prepare_cached("SELECT expires FROM ledger_owners WHERE owner = ?1")?
        .query_row([owner.as_str()], |row| row.get(0))
        .optional()?;
    match found {
        Some(found) if found >= instant(expires) => Ok(()),
        _ => renew(conn, owner, expires),
    }
}

/// Ends the leases of `dead` and of owners whose lease has lapsed; what they held is assumed.
pub(super) fn expire(
    conn: &Connection,
    dead: Option<&OwnerId>,
    now: Timestamp,
) -> Result<u64, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT owner FROM ledger_owners WHERE expires <= ?1 OR owner = ?2")?;
    let of = params![instant(now), dead.map(OwnerId::as_str)];
    let gone = statement.query_map(of, |row| row.get::<_, String>(0))?;
    let mut assumed = 0;
    for owner in gone.collect::<Result<Vec<_>, _>>()? {
        let sql = format!("SELECT {COLUMNS} FROM ledger_calls WHERE owner = ?1 AND state = 'held'");
        let mut held = conn.prepare_cached(&sql)?;
        let held = held.query_map([&owner], |row| Ok(read(row)))?;
        for call in held.collect::<Result<Vec<_>, _>>()? {
            let call = call?;
            turn(conn, &call, CallState::Assumed, call.worst, Usage::default())?;
            assumed += 1;
        }
        conn.prepare_cached("DELETE FROM ledger_owners WHERE owner = ?1")?.execute([&owner])?;
    }
    Ok(assumed)
}

/// The owners whose leases have not ended.
pub(super) fn owners(conn: &Connection) -> Result<Vec<OwnerId>, Fault> {
    let mut statement = conn.prepare_cached("SELECT owner FROM ledger_owners ORDER BY owner")?;
    let owners = statement.query_map([], |row| row.get::<_, String>(0))?;
    let owner = |text: Result<String, rusqlite::Error>| {
        let damaged =
            |error| StoreError::Damaged(format!("an owner of reservations in the ledger: {error}"));
        Ok(OwnerId::new(text?).map_err(damaged)?)
    };
    owners.map(owner).collect()
}

/// How many calls stand at each state, with the sums of what they have spent or hold.
pub(super) fn tally(
    conn: &Connection,
    run: Option<&RunId>,
) -> Result<BTreeMap<CallState, (u64, Sums)>, Fault> {
    let sum =
        |column: &str| format!("sum(CASE state WHEN 'held' THEN worst_{column} ELSE {column} END)");
    let sql = format!(
        "SELECT state, count(*), {}, {}, {} FROM ledger_calls WHERE ?1 IS NULL OR run = ?1 \
         GROUP BY state",
        sum("usd"),
        sum("tokens"),
        sum("requests")
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([run.map(RunId::as_str)], |row| {
        let sum = |at| row.get::<_, Option<i64>>(at).map(|sum| sum.unwrap_or(0).unsigned_abs());
        let sums = Sums { usd: sum(2)?, tokens: sum(3)?, requests: sum(4)? };
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs(), sums))
    })?;
    let mut tally = BTreeMap::new();
    for row in rows {
        let (state, count, sums) = row?;
        let known = CallState::from_name(&state).ok_or_else(|| {
            StoreError::Damaged(format!("a call in the ledger has the state `{state}`"))
        })?;
        tally.insert(known, (count, sums));
    }
    Ok(tally)
}

/// Calls in the order of their reservations' ids.
pub(super) fn list(
    conn: &Connection,
    run: Option<&RunId>,
    after: Option<&HoldId>,
    limit: usize,
) -> Result<Vec<CallRecord>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM ledger_calls WHERE (?1 IS NULL OR run = ?1) \
         AND (?2 IS NULL OR (owner, number) > (?2, ?3)) ORDER BY owner, number LIMIT ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(
        params![
            run.map(RunId::as_str),
            after.map(|hold| hold.owner.as_str()),
            after.map(|hold| hold.number.cast_signed()),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ],
        |row| Ok(read(row)),
    )?;
    found.map(|call| call.map_err(Fault::from)?).collect()
}

/// Forgets calls that were reserved before `before` and have ended.
pub(crate) fn forget(conn: &Connection, before: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM ledger_calls WHERE at < ?1 AND state <> 'held'")?
        .execute([instant(before)])?;
    Ok(())
}

fn find(conn: &Connection, hold: &HoldId) -> Result<Option<CallRecord>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM ledger_calls WHERE owner = ?1 AND number = ?2");
    let found = conn
        .prepare_cached(&sql)?
        .query_row(params![hold.owner.as_str(), hold.number.cast_signed()], |row| Ok(read(row)))
        .optional()?;
    found.transpose()
}

/// Moves a call to `state`, with what it has spent.
fn turn(
    conn: &Connection,
    call: &CallRecord,
    state: CallState,
    spent: Amounts,
    usage: Usage,
) -> Result<(), Fault> {
    let told = (usage != Usage::default()).then(|| to_json(&usage, "what a call has used"));
    conn.prepare_cached(
        "UPDATE ledger_calls SET state = ?3, usd = ?4, tokens = ?5, requests = ?6, usage = ?7 \
         WHERE owner = ?1 AND number = ?2",
    )?
    .execute(params![
        call.hold.owner.as_str(),
        call.hold.number.cast_signed(),
        state.as_str(),
        spent.usd.map(money),
        amount(spent.tokens),
        amount(spent.requests),
        told.transpose()?,
    ])?;
    let runs = chain(conn, call.payer.run.as_ref())?;
    let scopes = call.payer.scopes(runs.iter().skip(1).map(|budget| &budget.run));
    let none = Sums::default();
    let (used, held) = match call.state {
        CallState::Held => (none, call.worst.sums()),
        _ => (call.spent.sums(), none),
    };
    let moved = Change { used: [spent.sums(), used], held: [none, held] };
    change(conn, &call.payer, &scopes, call.at, moved)
}

fn read(row: &Row<'_>) -> Result<CallRecord, Fault> {
    let owner: String = row.get(0)?;
    let number = row.get::<_, i64>(1)?.cast_unsigned();
    let damaged = |what: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("call {number} of `{owner}` in the ledger: {what}"))
    };
    let state: String = row.get(3)?;
    let amounts = |at: usize| -> Result<Amounts, rusqlite::Error> {
        let usd = row.get::<_, Option<i64>>(at)?.map(|usd| MicroUsd(usd.unsigned_abs()));
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(Amounts { usd, tokens: count(at + 1)?, requests: count(at + 2)? })
    };
    let payer: Payer = from_json(&row.get::<_, String>(10)?, "who pays for a call")?;
    let usage: Option<String> = row.get(11)?;
    let usage = usage.map(|text| from_json(&text, "what a call has used")).transpose()?;
    Ok(CallRecord {
        hold: HoldId { owner: OwnerId::new(&owner).map_err(|error| damaged(&error))?, number },
        payer,
        at: Timestamp(row.get::<_, i64>(2)?.cast_unsigned()),
        state: CallState::from_name(&state).ok_or_else(|| damaged(&format!("state `{state}`")))?,
        worst: amounts(4)?,
        spent: amounts(7)?,
        usage: usage.unwrap_or_default(),
    })
}

/// An amount as it is summed up: see [`Amounts::sums`].
fn amount(amount: u64) -> i64 {
    amount.min(orchestrator_core::ledger::MOST).cast_signed()
}

fn money(usd: MicroUsd) -> i64 {
    amount(usd.0)
}
