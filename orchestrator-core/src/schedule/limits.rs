//! The limits that runs share, and who gets a free place: fair between runs, and deterministic.
//!
//! A place that gets free is kept for a waiting run, which is woken; whoever asks in between does
//! not get it. Kept for whom: of the runs whose attempt could start now, the one with the fewest
//! attempts under way, then the one with the most urgent task, then by id.

mod kinds;
#[cfg(test)]
mod tests;

use super::{
    Gate, HeldUp, LimitScope, Want,
    groups::{GroupClaim, Groups},
};
use crate::{
    error::ErrorClass,
    id::{AgentName, ProjectId, ProviderName, RunId},
    policy::BreakerPolicy,
    port::GroupHold,
    time::Timestamp,
};
use kinds::Kinds;
use std::collections::{BTreeMap, BTreeSet};

/// How many attempts may be under way at once; none is no limit, and 0 counts as 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitPolicy {
    /// In all.
    pub global: Option<u32>,
    /// Of each project.
    pub per_project: Option<u32>,
    /// On a provider.
    pub providers: BTreeMap<ProviderName, u32>,
    /// By an agent.
    pub agents: BTreeMap<AgentName, u32>,
}

/// What attempts of all runs share: limits, breakers, concurrency groups.
///
/// Every `Vec<RunId>` that comes back names the runs to wake, in order. A woken run asks again for
/// everything of its own that was held up, until it is held up again or nothing is left; then
/// [`pass`](Self::pass) is called for it.
///
/// A task with a group gets the group first and its places then; since nobody who has places waits
/// for a group, no two can wait for each other. Nobody has a place of one limit while waiting for
/// another. So that a task which needs places of several limits is not passed over for ever, one
/// place of each is left free for the one that was passed over too often at each of them.
#[derive(Debug, Clone)]
pub struct Limits {
    kinds: Kinds,
    runs: BTreeMap<RunId, RunShare>,
    groups: Groups,
    /// The latest instant that was told.
    now: Timestamp,
}

/// What a run has and waits for.
#[derive(Debug, Clone, Default)]
struct RunShare {
    /// Attempts under way and places kept, of all kinds.
    load: u32,
    /// By kind; few, in no order.
    shares: Vec<Share>,
}

#[derive(Debug, Clone)]
struct Share {
    kind: usize,
    under_way: u32,
    /// Places that are kept for it.
    kept: u32,
    /// How urgent the task is that waits, if one does.
    waits: Option<i128>,
}

impl RunShare {
    fn of(&mut self, kind: usize) -> &mut Share {
        let place = self.shares.iter().position(|share| share.kind == kind).unwrap_or_else(|| {
            self.shares.push(Share { kind, under_way: 0, kept: 0, waits: None });
            self.shares.len() - 1
        });
        &mut self.shares[place]
    }

    fn kept(&self, kind: usize) -> u32 {
        self.shares.iter().find(|share| share.kind == kind).map_or(0, |share| share.kept)
    }
}

impl Limits {
    /// Limits with nothing under way.
    pub fn new(policy: LimitPolicy, breaker: BreakerPolicy) -> Self {
        Self {
            kinds: Kinds::new(policy, breaker),
            runs: BTreeMap::new(),
            groups: Groups::default(),
            now: Timestamp::default(),
        }
    }

    /// These limits as a gate, at an instant.
    pub fn at(&mut self, now: Timestamp) -> Admission<'_> {
        Admission { limits: self, now }
    }

    /// Lets the attempt start and counts it until [`end`](Self::end), or remembers its run as
    /// waiting for what holds it up.
    ///
    /// # Errors
    /// What holds it up. For an account that waits for a person the breaker's instant is the last
    /// one that there is.
    pub fn admit(&mut self, want: &Want<'_>, now: Timestamp) -> Result<(), HeldUp> {
        self.now = self.now.max(now);
        let kind = self.kinds.intern(want.project, want.agent, want.provider);
        let claim = want.group.map(|group| GroupClaim {
            project: want.project.clone(),
            group: group.into(),
            run: want.run.clone(),
            task: want.task.clone(),
        });
        let has_kept = self.runs.get(want.run).is_some_and(|run| run.kept(kind) > 0);
        if let Some(until) = self.kinds.refused_until(kind, self.now) {
            // It may take long: others of the group come first.
            if let Some(claim) = &claim {
                self.groups.put_off(claim, kind);
            }
            self.wait(want, kind);
            return Err(HeldUp::Breaker { provider: want.provider.clone(), until });
        }
        if let Some(claim) = &claim
            && let Err(holder) = self.groups.want(claim, want.urgency, kind)
        {
            let (run, task) = holder.unzip();
            return Err(HeldUp::Group { group: claim.group.clone(), run, task });
        }
        if !has_kept && self.kinds.is_promised(kind) {
            self.wait(want, kind);
            return Err(HeldUp::Breaker { provider: want.provider.clone(), until: self.now });
        }
        if !has_kept && let Some((scope, name, most)) = self.kinds.full(kind, self.now) {
            self.wait(want, kind);
            return Err(HeldUp::Limit { scope, name, most });
        }
        if let Some(claim) = &claim {
            self.groups.started(claim);
        }
        let run = self.runs.entry(want.run.clone()).or_default();
        let share = run.of(kind);
        share.under_way += 1;
        if has_kept {
            share.kept -= 1;
            self.kinds.unkeep(kind);
        } else {
            self.kinds.passed_over(kind, &(run.load, want.urgency, want.run.clone()));
            self.reload(want.run, 1);
        }
        self.kinds.take(kind, self.now);
        Ok(())
    }

    /// An admitted attempt has ended, or was not started after all: its places are free.
    pub fn end(
        &mut self,
        project: &ProjectId,
        run: &RunId,
        agent: &AgentName,
        provider: &ProviderName,
    ) -> Vec<RunId> {
        let kind = self.kinds.intern(project, agent, provider);
        let share = self.runs.get_mut(run).map(|run| run.of(kind));
        let Some(share) = share.filter(|share| share.under_way > 0) else {
            return Vec::new();
        };
        share.under_way -= 1;
        self.kinds.leave(kind);
        self.reload(run, -1);
        self.tidy(run);
        self.settle()
    }

    /// The run has handled a wake: what was kept for it and it did not use goes to others.
    pub fn pass(&mut self, run: &RunId) -> Vec<RunId> {
        self.groups.pass(run);
        let mut unused = 0;
        for share in self.runs.get_mut(run).into_iter().flat_map(|run| &mut run.shares) {
            for _ in 0..std::mem::take(&mut share.kept) {
                self.kinds.unkeep(share.kind);
                unused += 1;
            }
        }
        if unused == 0 {
            return Vec::new();
        }
        self.reload(run, -unused);
        self.tidy(run);
        self.settle()
    }

    /// The run is gone from this engine, with all that it has and waits for. Its groups are among
    /// the [idle](Self::idle_groups) ones.
    pub fn forget(&mut self, run: &RunId) -> Vec<RunId> {
        self.groups.forget(run);
        let Some(share) = self.runs.remove(run) else {
            return Vec::new();
        };
        for entry in share.shares {
            (0..entry.under_way).for_each(|_| self.kinds.leave(entry.kind));
            (0..entry.kept).for_each(|_| self.kinds.unkeep(entry.kind));
            if let Some(urgency) = entry.waits {
                self.kinds.drop_out(entry.kind, &(share.load, urgency, run.clone()));
            }
        }
        self.settle()
    }

    /// An attempt on the provider succeeded.
    pub fn succeeded(&mut self, provider: &ProviderName) -> Vec<RunId> {
        self.kinds.provider(provider).breaker.succeeded();
        self.settle()
    }

    /// An attempt on the provider failed. `transient` and `overloaded` speak against it, `auth`
    /// stops the account, whatever the provider has answered speaks for it; the rest, such as
    /// `cancelled` and `crashed`, says nothing.
    pub fn failed(
        &mut self,
        provider: &ProviderName,
        class: ErrorClass,
        now: Timestamp,
    ) -> Vec<RunId> {
        self.now = self.now.max(now);
        let state = self.kinds.provider(provider);
        match class {
            ErrorClass::Transient | ErrorClass::Overloaded => state.breaker.failed(self.now),
            ErrorClass::Auth => {
                state.breaker.abandoned();
                state.stopped = true;
            }
            ErrorClass::RateLimited
            | ErrorClass::QuotaExhausted
            | ErrorClass::Billing
            | ErrorClass::ContextOverflow
            | ErrorClass::InvalidRequest
            | ErrorClass::Refused
            | ErrorClass::BadOutput
            | ErrorClass::ToolFailed
            | ErrorClass::CheckFailed
            | ErrorClass::NoProgress => state.breaker.succeeded(),
            ErrorClass::OverBudget
            | ErrorClass::TimedOut
            | ErrorClass::Crashed
            | ErrorClass::Incompatible
            | ErrorClass::Unsafe
            | ErrorClass::Cancelled
            | ErrorClass::Internal => state.breaker.abandoned(),
        }
        self.settle()
    }

    /// Nothing starts on the provider until [`resume_account`](Self::resume_account).
    pub fn stop_account(&mut self, provider: &ProviderName) {
        self.kinds.provider(provider).stopped = true;
    }

    /// A person has seen to the account.
    pub fn resume_account(&mut self, provider: &ProviderName) -> Vec<RunId> {
        self.kinds.provider(provider).stopped = false;
        self.settle()
    }

    /// When [`probe`](Self::probe) is to be called: a breaker lets an attempt through then for which
    /// somebody waits.
    pub fn next_probe(&self) -> Option<Timestamp> {
        self.kinds.next_probe(self.now)
    }

    /// It is `now`: who may try a provider whose breaker was open.
    pub fn probe(&mut self, now: Timestamp) -> Vec<RunId> {
        self.now = self.now.max(now);
        self.settle()
    }

    /// Groups to give back to the store, each once. To be done before what is
    /// [wanted](Self::wanted_groups).
    pub fn idle_groups(&mut self) -> Vec<GroupClaim> {
        self.groups.take_idle()
    }

    /// Groups to ask the store for, each once; the answer goes to
    /// [`grant_group`](Self::grant_group). Where the store failed, answer that it is busy.
    pub fn wanted_groups(&mut self) -> Vec<GroupClaim> {
        self.groups.take_wanted()
    }

    /// The store's answer.
    pub fn grant_group(&mut self, claim: &GroupClaim, hold: GroupHold) -> Vec<RunId> {
        let woken = self.groups.answered(claim, hold);
        woken.iter().for_each(|run| self.groups.woken(run));
        woken.into_iter().collect()
    }

    /// The attempt has ended and the store has the group back; who comes next is among the
    /// [wanted](Self::wanted_groups).
    pub fn release_group(&mut self, claim: &GroupClaim) {
        self.groups.released(claim);
    }

    /// Wants the groups again that somebody else had; to be called now and then, since nobody tells
    /// when another engine gives one back.
    pub fn retry_groups(&mut self) {
        self.groups.retry();
    }

    /// The run waits for a place of that kind.
    fn wait(&mut self, want: &Want<'_>, kind: usize) {
        let run = self.runs.entry(want.run.clone()).or_default();
        let load = run.load;
        let share = run.of(kind);
        let position = |urgency| (load, urgency, want.run.clone());
        match share.waits {
            Some(urgency) if urgency <= want.urgency => return,
            Some(urgency) => {
                self.kinds.requeue(kind, &position(urgency), position(want.urgency));
            }
            None => self.kinds.queue(kind, position(want.urgency)),
        }
        share.waits = Some(want.urgency);
    }

    /// The run has so many more attempts under way or kept; where it waits, its place in the queue
    /// changes.
    fn reload(&mut self, id: &RunId, by: i32) {
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        let before = run.load;
        run.load = before.saturating_add_signed(by);
        for share in &run.shares {
            if let Some(urgency) = share.waits {
                let position = |load| (load, urgency, id.clone());
                self.kinds.requeue(share.kind, &position(before), position(run.load));
            }
        }
    }

    /// Forgets what says nothing of the run any more.
    fn tidy(&mut self, id: &RunId) {
        if let Some(run) = self.runs.get_mut(id) {
            run.shares
                .retain(|share| share.under_way > 0 || share.kept > 0 || share.waits.is_some());
            if run.shares.is_empty() {
                self.runs.remove(id);
            }
        }
    }

    /// Keeps places for those who wait until none is left that anybody could use; whom to wake.
    fn settle(&mut self) -> Vec<RunId> {
        let (mut wake, mut woken) = (Vec::new(), BTreeSet::new());
        while let Some((kind, position)) = self.kinds.next(self.now) {
            self.kinds.drop_out(kind, &position);
            self.kinds.passed_over(kind, &position);
            self.kinds.keep(kind);
            let (_, _, id) = position;
            let share = self.runs.entry(id.clone()).or_default().of(kind);
            share.waits = None;
            share.kept += 1;
            self.reload(&id, 1);
            self.groups.woken(&id);
            if woken.insert(id.clone()) {
                wake.push(id);
            }
        }
        wake
    }
}

/// [`Limits`] at an instant.
#[derive(Debug)]
pub struct Admission<'l> {
    limits: &'l mut Limits,
    now: Timestamp,
}

impl Gate for Admission<'_> {
    fn admit(&mut self, want: &Want<'_>) -> Result<(), HeldUp> {
        self.limits.admit(want, self.now)
    }
}
