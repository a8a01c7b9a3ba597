//! What was seen, in numbers, and what must have been seen.

use super::{
    Plan, audit::Audited, crew::Crew, plan::Fate, upstream::Bills, watch::Watched, worker::Ended,
};
use anyhow::Result;
use orchestrator_core::{money::MicroUsd, port::CallState};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was seen.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Figures {
    seed: u64,
    /// Calls that were handed out.
    calls: u64,
    /// Processes that were started, killed, and killed while they held something.
    started: u64,
    kills: u64,
    kills_with_holds: u64,
    /// Dead processes that were left to their leases.
    left_to_leases: u64,
    /// Reservations of dead processes that were ended: by their successors, by the parent, and by the
    /// end of their leases when all was over. What lapsed before is among the assumed.
    ended_by_successor: u64,
    ended_by_parent: u64,
    lapsed_in_the_end: u64,
    /// Calls that waited for what others held, as far as their workers lived to tell.
    waited: u64,
    /// Calls that were given up: before they were sent, and after.
    dropped_unsent: u64,
    dropped_sent: u64,
    /// Refusals, by whose limit it was.
    refused: BTreeMap<String, u64>,
    /// Calls that reached the upstream, and those among them that were billed.
    sent: u64,
    billed: u64,
    /// Streams that were cut before their final count, and after it.
    cut_before: u64,
    cut_after: u64,
    hung_up: u64,
    uncounted: u64,
    rejected: u64,
    /// Prompts that were counted before a refusal.
    counted: u64,
    /// Calls by what the ledger says of them in the end.
    settled: u64,
    assumed: u64,
    released: u64,
    /// What the settled calls spent by the ledger and by the bills, in millionths of a dollar.
    settled_usd: u64,
    settled_billed_usd: u64,
    /// Reads of a limit, and the most of one that was taken at once, in thousandths.
    looks: u64,
    peak: u64,
    /// Sums that were compared with their calls.
    sums: u64,
    /// The most that any limit was exceeded by.
    overspend: u64,
    /// Reservations that are held by nobody in the end.
    phantoms: u64,
    seconds: f64,
}

impl Figures {
    pub(crate) fn of(
        plan: &Plan,
        bills: &Bills,
        crew: &Crew,
        watched: &Watched,
        audited: &Audited,
        seconds: f64,
    ) -> Self {
        let bills = bills.lock();
        let fates =
            |is: fn(Fate) -> bool| bills.calls.values().filter(|bill| is(bill.fate)).count() as u64;
        let ended = |is: &dyn Fn(&Ended) -> bool| {
            crew.reports.iter().filter(|report| is(&report.ended)).count() as u64
        };
        let state = |state| audited.states.get(&state).copied().unwrap_or(0);
        let mut refused = BTreeMap::new();
        for report in &crew.reports {
            if let Ended::Refused(why) = &report.ended {
                *refused.entry(whose(why)).or_default() += 1;
            }
        }
        Self {
            seed: plan.seed,
            calls: plan.calls,
            started: crew.started,
            kills: crew.kills,
            kills_with_holds: crew.kills_with_holds,
            left_to_leases: crew.left,
            ended_by_successor: crew.ended_by[0],
            ended_by_parent: crew.ended_by[1],
            lapsed_in_the_end: audited.lapsed,
            waited: crew.reports.iter().filter(|report| report.waited).count() as u64,
            dropped_unsent: ended(&|ended| *ended == Ended::Dropped { sent: false }),
            dropped_sent: ended(&|ended| *ended == Ended::Dropped { sent: true }),
            refused,
            sent: bills.calls.len() as u64,
            billed: fates(Fate::is_billed),
            cut_before: fates(|fate| fate == Fate::CutBefore),
            cut_after: fates(|fate| fate == Fate::CutAfter),
            hung_up: fates(|fate| fate == Fate::HungUp),
            uncounted: fates(|fate| fate == Fate::Uncounted),
            rejected: fates(|fate| !fate.is_billed()),
            counted: bills.counts,
            settled: state(CallState::Settled),
            assumed: state(CallState::Assumed),
            released: state(CallState::Released),
            settled_usd: audited.settled,
            settled_billed_usd: audited.settled_bills,
            looks: watched.looks,
            peak: watched.peak,
            sums: audited.sums,
            overspend: watched.over,
            phantoms: audited.phantoms,
            seconds,
        }
    }

    /// What did not happen although it should: without it the proof would show less than it says.
    pub(crate) fn missing(&self) -> Vec<String> {
        let whose = ["run above all", "run between", "run below", "project", "agent", "account"];
        let refused = whose.map(|whose| (whose, self.refused.get(whose).copied().unwrap_or(0)));
        let least = self.calls / 500;
        let seen = [
            ("kills", self.kills),
            ("kills of processes that held something", self.kills_with_holds),
            ("reservations that a successor ended", self.ended_by_successor),
            ("reservations that the parent ended", self.ended_by_parent),
            ("waits", self.waited),
            ("calls dropped before they were sent", self.dropped_unsent),
            ("calls dropped after they were sent", self.dropped_sent),
            ("streams cut before their count", self.cut_before),
            ("streams cut after their count", self.cut_after),
            ("answers withheld", self.hung_up),
            ("answers not counted", self.uncounted),
            ("calls refused by the upstream", self.rejected),
            ("prompts counted", self.counted),
            ("settled calls", self.settled),
            ("assumed calls", self.assumed),
            ("released calls", self.released),
            ("reads of limits", self.looks),
        ];
        let mut missing: Vec<String> = seen
            .into_iter()
            .filter(|(_, count)| *count < least.max(1))
            .map(|(what, count)| format!("only {count} {what}"))
            .collect();
        if self.refused.is_empty() {
            missing.push("nothing was refused".to_owned());
        }
        // Which limit is met first is up to the machine; over many calls all of them are.
        let is_long = self.calls >= 5_000;
        let lacks = refused.into_iter().filter(|(_, count)| *count == 0 && is_long);
        missing.extend(lacks.map(|(whose, _)| format!("no refusal by a limit of a {whose}")));
        if self.left_to_leases == 0 {
            missing.push("no dead process was left to its lease".to_owned());
        }
        if self.peak < 990 {
            missing.push(format!("no limit was tight: {} ‰ at most", self.peak));
        }
        missing
    }

    /// All of it in a line.
    pub(crate) fn line(&self) -> String {
        let refused: u64 = self.refused.values().sum();
        format!(
            "budget: {} calls over {} kills ({} with calls held): overspend {}, phantom holds {}; \
             {} settled at ${}, billed ${}; {} assumed, {} released, {refused} refused, {} waited, \
             {} dropped, {} cut, {} hung up on; limits read {} times and full to {} ‰, {} sums \
             equal, in {:.0} s",
            self.calls,
            self.kills,
            self.kills_with_holds,
            self.overspend,
            self.phantoms,
            self.settled,
            MicroUsd(self.settled_usd),
            MicroUsd(self.settled_billed_usd),
            self.assumed,
            self.released,
            self.waited,
            self.dropped_unsent + self.dropped_sent,
            self.cut_before + self.cut_after,
            self.hung_up,
            self.looks,
            self.peak,
            self.sums,
            self.seconds
        )
    }

    /// The same and more as JSON.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Of whom the limit is that refused.
fn whose(why: &str) -> String {
    let limit = why.split("`: ").nth(1).unwrap_or(why);
    let Some(rest) = limit.strip_prefix("run `r_t") else {
        let whose = [("project", "project"), ("agent", "agent"), ("provider account", "account")];
        let found = whose.into_iter().find(|(words, _)| limit.starts_with(words));
        return found.map_or_else(|| limit.to_owned(), |(_, whose)| whose.to_owned());
    };
    let id = rest.split('`').next().unwrap_or_default();
    let depth = id.chars().filter(|c| c.is_alphabetic()).count();
    let places = ["run above all", "run between", "run below"];
    places.get(depth).copied().unwrap_or("run").to_owned()
}
