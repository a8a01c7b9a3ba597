//! The end: the ledger against the bills, call by call and sum by sum.

use super::{
    crew::Crew,
    plan::{self, World},
    upstream::{Bill, Bills, Ledger as Billed},
    worker::{Ended, Report},
};
use anyhow::Result;
use orchestrator_core::{
    ledger::{Scope, Sums},
    port::{CallRecord, CallState, Ledger},
    time::Timestamp,
};
use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Audited {
    /// Calls by what the ledger says of them.
    pub(crate) states: BTreeMap<CallState, u64>,
    /// Reservations that were still held when every worker was gone, of processes that were killed.
    pub(crate) lapsed: u64,
    /// Held by nobody after all leases have ended.
    pub(crate) phantoms: u64,
    /// What the settled calls spent by the ledger, and what they were billed.
    pub(crate) settled: u64,
    pub(crate) settled_bills: u64,
    /// Sums that were compared.
    pub(crate) sums: u64,
    pub(crate) failures: Vec<String>,
}

/// Ends every lease as of `late`, and compares.
pub(crate) async fn audit(
    world: &World,
    ledger: &dyn Ledger,
    bills: &super::upstream::Bills,
    crew: &Crew,
    late: Timestamp,
) -> Result<Audited> {
    let mut audited = Audited { lapsed: ledger.expire(None, late).await?, ..Audited::default() };
    let owners = ledger.owners().await?;
    if !owners.is_empty() {
        audited.failures.push(format!("owners are left: {owners:?}"));
    }
    let records = every_call(ledger).await?;
    let calls = by_number(&records, &mut audited);
    compare(world, &calls, bills, crew, &mut audited);
    let mut expected: BTreeMap<Scope, Sums> = BTreeMap::new();
    for record in &records {
        *audited.states.entry(record.state).or_default() += 1;
        audited.phantoms += u64::from(record.state == CallState::Held);
        for scope in world.scopes(&record.payer) {
            let sum = expected.entry(scope).or_default();
            *sum = sum.plus(record.spent.sums());
        }
    }
    for (scope, spent) in expected {
        let (used, held) = ledger.sums(&scope, Timestamp(0)).await?;
        audited.sums += 1;
        if used != spent {
            audited
                .failures
                .push(format!("{scope}: its calls spent {spent:?}, its sum is {used:?}"));
        }
        if !held.is_zero() {
            audited.failures.push(format!("{scope}: {held:?} is held by nobody"));
        }
    }
    let tally = ledger.tally(None).await?;
    let told = tally.get(&CallState::Settled).map_or(0, |(_, sums)| sums.usd);
    if told != audited.settled || told != audited.settled_bills {
        audited.failures.push(format!(
            "the ledger tells {told} of settled calls, which spent {} and were billed {}",
            audited.settled, audited.settled_bills
        ));
    }
    audited.failures.truncate(24);
    Ok(audited)
}

async fn every_call(ledger: &dyn Ledger) -> Result<Vec<CallRecord>> {
    let mut all: Vec<CallRecord> = Vec::new();
    loop {
        let after = all.last().map(|call| call.hold.clone());
        let page = ledger.calls(None, after.as_ref(), 1_000).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The records by the number of their call, which has one at most.
fn by_number<'r>(
    records: &'r [CallRecord],
    audited: &mut Audited,
) -> BTreeMap<u64, &'r CallRecord> {
    let mut calls = BTreeMap::new();
    for record in records {
        let task = record.payer.task.as_ref().map_or("", |task| task.as_str());
        match plan::number_of(task) {
            None => audited.failures.push(format!("{} is of no call", record.hold)),
            Some(number) => {
                if let Some(other) = calls.insert(number, record) {
                    let both = (&other.hold, &record.hold);
                    audited.failures.push(format!("call {number} has two holds: {both:?}"));
                }
            }
        }
    }
    calls
}

fn compare(
    world: &World,
    calls: &BTreeMap<u64, &CallRecord>,
    bills: &Bills,
    crew: &Crew,
    audited: &mut Audited,
) {
    let bills = bills.lock();
    audited.failures.extend(bills.strange.iter().map(|what| format!("not of the plan: {what}")));
    for (number, bill) in &bills.calls {
        if bill.times > 1 {
            audited.failures.push(format!("call {number} was sent {} times", bill.times));
        }
        if !calls.contains_key(number) {
            audited.failures.push(format!("call {number} was sent without a reservation"));
        }
    }
    for (number, record) in calls {
        if record.payer != world.call(*number).payer {
            audited.failures.push(format!("call {number} has another payer: {:?}", record.payer));
        }
        let bill = bills.calls.get(number);
        if let Some(wrong) = judge(record, bill) {
            let (worst, spent) = (record.worst, record.spent);
            audited.failures.push(format!(
                "call {number} {wrong}: held {worst:?}, spent {spent:?}, billed {bill:?}"
            ));
        }
        if record.state == CallState::Settled {
            audited.settled += record.spent.sums().usd;
            audited.settled_bills += bill.map_or(0, |bill| bill.usd);
        }
    }
    for report in &crew.reports {
        if let Some(wrong) = disagree(report, calls, &bills) {
            let found = calls.get(&report.number);
            audited.failures.push(format!("{report:?}: {wrong}: {found:?}"));
        }
    }
}

/// What is wrong with a record, given the bill.
fn judge(record: &CallRecord, bill: Option<&Bill>) -> Option<&'static str> {
    let billed = bill.filter(|bill| bill.fate.is_billed());
    let (usd, tokens) = billed.map_or((0, 0), |bill| (bill.usd, bill.usage.tokens()));
    let (worst, spent) = (record.worst.sums(), record.spent.sums());
    match record.state {
        CallState::Held => Some("is held by nobody"),
        _ if usd > worst.usd || tokens > worst.tokens => Some("was billed more than it held"),
        CallState::Settled if billed.is_none() => Some("is settled and was never billed"),
        CallState::Settled if (spent.usd, spent.tokens, spent.requests) != (usd, tokens, 1) => {
            Some("is settled at another cost than it was billed")
        }
        CallState::Released if billed.is_some() => Some("is released and was billed"),
        CallState::Released if !spent.is_zero() => Some("is released and spent something"),
        CallState::Assumed if spent != worst => Some("is assumed at less than it held"),
        _ => None,
    }
}

/// How the ledger disagrees with what a worker was told.
fn disagree(
    report: &Report,
    calls: &BTreeMap<u64, &CallRecord>,
    bills: &Billed,
) -> Option<&'static str> {
    let record = calls.get(&report.number);
    let state = record.map(|record| record.state);
    let was_sent = bills.calls.contains_key(&report.number);
    match &report.ended {
        Ended::Answered(Some(usd)) => {
            let spent = record.map_or(0, |record| record.spent.sums().usd);
            (state != Some(CallState::Settled) || spent != *usd)
                .then_some("its worker was told another cost")
        }
        Ended::Answered(None) if state != Some(CallState::Assumed) => {
            Some("it was not counted, and is not assumed")
        }
        Ended::Refused(_) if was_sent => Some("it was refused, and sent"),
        Ended::Refused(_) if state.is_some() => Some("it was refused, and holds something"),
        Ended::Dropped { sent: false } if was_sent => Some("it was sent unbeknown to its worker"),
        Ended::Failed | Ended::Answered(None) | Ended::Refused(_) | Ended::Dropped { .. } => None,
    }
}
