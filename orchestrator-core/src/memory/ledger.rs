//! The ledger in memory.

use super::{MemoryStore, store::Kept};
use crate::{
    id::{OwnerId, RunId},
    ledger::{Amounts, Payer, Rule, RunBudget, Scope, Standing, Sums, decide, limits_of},
    port::{CallRecord, CallState, HoldId, Ledger, LedgerError, Reserve, Settlement},
    time::Timestamp,
    usage::Usage,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

/// What has been spent and what is held, by scope and period.
#[derive(Debug, Default)]
pub(super) struct Books {
    sums: BTreeMap<(Scope, Timestamp), Entry>,
    calls: BTreeMap<HoldId, Call>,
    owners: BTreeMap<OwnerId, Timestamp>,
    restarts: BTreeSet<(Scope, Timestamp)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    used: Sums,
    held: Sums,
}

#[derive(Debug)]
struct Call {
    record: CallRecord,
    scopes: Vec<Scope>,
}

impl Books {
    fn sums(&self, scope: &Scope, since: Timestamp) -> (Sums, Sums) {
        let from = (scope.clone(), scope.period(since));
        let periods = self.sums.range(from..).take_while(|((of, _), _)| of == scope);
        periods.fold(Default::default(), |(used, held), (_, entry)| {
            (Sums::plus(used, entry.used), Sums::plus(held, entry.held))
        })
    }

    /// Moves what a call has in the sums from its present state to `state`.
    fn turn(&mut self, hold: &HoldId, state: CallState, spent: Amounts, usage: Usage) {
        let Some(call) = self.calls.get_mut(hold) else { return };
        let record = &mut call.record;
        let share = |record: &CallRecord| match record.state {
            CallState::Held => Entry { held: record.worst.sums(), ..Entry::default() },
            _ => Entry { used: record.spent.sums(), ..Entry::default() },
        };
        let before = share(record);
        (record.state, record.spent, record.usage) = (state, spent, usage);
        let after = share(record);
        for scope in &call.scopes {
            let entry = self.sums.entry((scope.clone(), scope.period(record.at))).or_default();
            entry.used = entry.used.minus(before.used).plus(after.used);
            entry.held = entry.held.minus(before.held).plus(after.held);
        }
    }

    fn expire(&mut self, dead: Option<&OwnerId>, now: Timestamp) -> u64 {
        let is_gone = |owner: &OwnerId, end: Timestamp| end <= now || Some(owner) == dead;
        let gone = self.owners.iter().filter(|(owner, end)| is_gone(owner, **end));
        let gone: Vec<OwnerId> = gone.map(|(owner, _)| owner.clone()).collect();
        if gone.is_empty() {
            return 0;
        }
        self.owners.retain(|owner, _| !gone.contains(owner));
        let held = self.calls.iter().filter(|(hold, call)| {
            call.record.state == CallState::Held && gone.contains(&hold.owner)
        });
        let held: Vec<_> = held.map(|(hold, call)| (hold.clone(), call.record.worst)).collect();
        for (hold, worst) in &held {
            self.turn(hold, CallState::Assumed, *worst, Usage::default());
        }
        held.len() as u64
    }
}

impl Books {
    /// Forgets the sums of a run and its tasks.
    pub(super) fn forget_run(&mut self, run: &RunId) {
        self.sums.retain(|(scope, _), _| match scope {
            Scope::Run(of) | Scope::Task(of, _) => of != run,
            _ => true,
        });
    }

    /// Calls that are of no task, and have cost something or may have.
    pub(super) fn outside(&self) -> impl Iterator<Item = &CallRecord> {
        let ended =
            |record: &&CallRecord| matches!(record.state, CallState::Settled | CallState::Assumed);
        let calls = self.calls.values().map(|call| &call.record);
        calls.filter(|record| record.payer.task.is_none()).filter(ended)
    }

    /// Forgets calls that were reserved before `before` and have ended.
    pub(super) fn forget_calls(&mut self, before: Timestamp) {
        self.calls
            .retain(|_, call| call.record.at >= before || call.record.state == CallState::Held);
    }
}

impl Kept {
    /// The run and the runs above it, with their budgets.
    fn chain(&self, run: Option<&RunId>) -> Vec<RunBudget> {
        let mut chain: Vec<RunBudget> = Vec::new();
        let mut next = run.cloned();
        while let Some(run) = next.take()
            && chain.iter().all(|above| above.run != run)
        {
            let row = self.runs.get(&run).map(|stored| &stored.row);
            next = row.and_then(|row| row.parent.clone());
            chain.push(RunBudget { run, usd: row.and_then(|row| row.budget) });
        }
        chain
    }

    fn standings(&self, payer: &Payer, rules: &[Rule], now: Timestamp) -> Vec<Standing> {
        let limits = limits_of(rules, payer, &self.chain(payer.run.as_ref()));
        let standing = |limit: crate::ledger::Limit| {
            let restarts = self.books.restarts.iter().filter(|(of, _)| *of == limit.scope);
            let from = limit.counts_from(now, restarts.map(|(_, at)| *at));
            let (used, held) = self.books.sums(&limit.scope, from);
            Standing { limit, used, held }
        };
        limits.into_iter().map(standing).collect()
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn reserve(&self, request: Arc<Reserve>) -> Result<Vec<Standing>, LedgerError> {
        let mut kept = self.kept();
        let (hold, now) = (&request.hold, request.now);
        kept.books.expire(None, now);
        let lease = kept.books.owners.entry(hold.owner.clone()).or_insert(request.expires);
        *lease = (*lease).max(request.expires);
        let standings = kept.standings(&request.payer, &request.rules, now);
        if kept.books.calls.contains_key(hold) {
            return Ok(standings);
        }
        decide(&standings, &request.worst, now).map_err(LedgerError::Refused)?;
        let chain = kept.chain(request.payer.run.as_ref());
        let scopes = request.payer.scopes(chain.iter().skip(1).map(|budget| &budget.run));
        for scope in &scopes {
            let entry = kept.books.sums.entry((scope.clone(), scope.period(now))).or_default();
            entry.held = entry.held.plus(request.worst.sums());
        }
        let record = CallRecord {
            hold: hold.clone(),
            payer: request.payer.clone(),
            at: now,
            state: CallState::Held,
            worst: request.worst,
            spent: Amounts::NONE,
            usage: Usage::default(),
        };
        kept.books.calls.insert(hold.clone(), Call { record, scopes });
        Ok(standings)
    }

    async fn settle(&self, hold: &HoldId, end: Settlement) -> Result<(), LedgerError> {
        let mut kept = self.kept();
        let Some(call) = kept.books.calls.get(hold) else {
            return Err(LedgerError::NoSuchHold(hold.clone()));
        };
        let record = &call.record;
        if let Some((state, spent)) = end.follows(record.state, record.worst) {
            kept.books.turn(hold, state, spent, end.usage());
        }
        Ok(())
    }

    async fn renew(&self, owner: &OwnerId, expires: Timestamp) -> Result<(), LedgerError> {
        self.kept().books.owners.insert(owner.clone(), expires);
        Ok(())
    }

    async fn expire(&self, dead: Option<&OwnerId>, now: Timestamp) -> Result<u64, LedgerError> {
        Ok(self.kept().books.expire(dead, now))
    }

    async fn owners(&self) -> Result<Vec<OwnerId>, LedgerError> {
        Ok(self.kept().books.owners.keys().cloned().collect())
    }

    async fn restart_window(&self, scope: &Scope, at: Timestamp) -> Result<(), LedgerError> {
        self.kept().books.restarts.insert((scope.clone(), at));
        Ok(())
    }

    async fn standings(
        &self,
        payer: &Payer,
        rules: &[Rule],
        now: Timestamp,
    ) -> Result<Vec<Standing>, LedgerError> {
        Ok(self.kept().standings(payer, rules, now))
    }

    async fn sums(&self, scope: &Scope, since: Timestamp) -> Result<(Sums, Sums), LedgerError> {
        Ok(self.kept().books.sums(scope, since))
    }

    async fn tally(
        &self,
        run: Option<&RunId>,
    ) -> Result<BTreeMap<CallState, (u64, Sums)>, LedgerError> {
        let kept = self.kept();
        let calls = kept.books.calls.values().map(|call| &call.record);
        let mut tally: BTreeMap<CallState, (u64, Sums)> = BTreeMap::new();
        for call in calls.filter(|call| run.is_none() || call.payer.run.as_ref() == run) {
            let (count, sums) = tally.entry(call.state).or_default();
            *count += 1;
            *sums = sums.plus(match call.state {
                CallState::Held => call.worst.sums(),
                _ => call.spent.sums(),
            });
        }
        Ok(tally)
    }

    async fn calls(
        &self,
        run: Option<&RunId>,
        after: Option<&HoldId>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, LedgerError> {
        let kept = self.kept();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let calls = kept.books.calls.range::<HoldId, _>((start, Bound::Unbounded));
        let calls = calls.map(|(_, call)| &call.record);
        let of_run = calls.filter(|record| run.is_none() || record.payer.run.as_ref() == run);
        Ok(of_run.take(limit).cloned().collect())
    }
}
