//! Kinds of attempts, by what they count against, with the places that there are for them and the
//! runs that wait for one.

use super::{LimitPolicy, LimitScope};
use crate::{
    id::{AgentName, ProjectId, ProviderName, RunId},
    policy::{Breaker, BreakerPolicy, BreakerState},
    time::Timestamp,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// Where a run stands in a queue: attempts under way or kept, urgency, id. The smallest comes first.
pub(super) type Position = (u32, i128, RunId);

/// How often a kind must have been passed over at each of its places before one of each is left
/// free for it.
const PASSED_OVER: u32 = 16;

/// Attempts that count against the same places.
#[derive(Debug, Clone)]
struct Kind {
    /// The places that are limited, from the widest scope to the narrowest.
    places: Vec<usize>,
    /// How often somebody further back in the order got one of them, for each.
    passed: Vec<u32>,
    provider: usize,
    waiting: BTreeSet<Position>,
}

#[derive(Debug, Clone)]
struct Places {
    scope: LimitScope,
    name: String,
    most: u32,
    /// Taken and kept.
    used: u32,
}

/// A provider's account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) breaker: Breaker,
    /// Until a person has seen to it.
    pub(super) stopped: bool,
    /// How many attempts on it are kept a place for.
    kept: u32,
}

impl Account {
    /// Until when it refuses every attempt.
    fn refuses_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.stopped {
            return Some(Timestamp(u64::MAX));
        }
        self.breaker.refuses_until(now)
    }

    /// Whether the one attempt that it would let through is promised to somebody.
    fn is_promised(&self) -> bool {
        self.kept > 0 && !matches!(self.breaker.state(), BreakerState::Closed { .. })
    }
}

#[derive(Debug, Clone)]
pub(super) struct Kinds {
    policy: LimitPolicy,
    breaker: BreakerPolicy,
    kinds: Vec<Kind>,
    places: Vec<Places>,
    accounts: Vec<Account>,
    kind_of: BTreeMap<(ProjectId, AgentName, ProviderName), usize>,
    places_of: BTreeMap<(LimitScope, String), usize>,
    account_of: BTreeMap<ProviderName, usize>,
    /// Kinds that somebody waits for.
    waited_for: BTreeSet<usize>,
}

impl Kinds {
    pub(super) fn new(policy: LimitPolicy, breaker: BreakerPolicy) -> Self {
        Self {
            policy,
            breaker,
            kinds: Vec::new(),
            places: Vec::new(),
            accounts: Vec::new(),
            kind_of: BTreeMap::new(),
            places_of: BTreeMap::new(),
            account_of: BTreeMap::new(),
            waited_for: BTreeSet::new(),
        }
    }

    /// The number of a kind, the same each time.
    pub(super) fn intern(
        &mut self,
        project: &ProjectId,
        agent: &AgentName,
        provider: &ProviderName,
    ) -> usize {
        let key = (project.clone(), agent.clone(), provider.clone());
        if let Some(kind) = self.kind_of.get(&key) {
            return *kind;
        }
        let limits = [
            (LimitScope::Global, String::new(), self.policy.global),
            (LimitScope::Project, project.to_string(), self.policy.per_project),
            (
                LimitScope::Provider,
                provider.to_string(),
                self.policy.providers.get(provider).copied(),
            ),
            (LimitScope::Agent, agent.to_string(), self.policy.agents.get(agent).copied()),
        ];
        let mut places = Vec::new();
        for (scope, name, most) in limits {
            if let Some(most) = most {
                let next = self.places.len();
                places.push(*self.places_of.entry((scope, name.clone())).or_insert(next));
                if self.places_of.len() > next {
                    self.places.push(Places { scope, name, most: most.max(1), used: 0 });
                }
            }
        }
        let passed = vec![0; places.len()];
        let provider = self.account(provider);
        self.kinds.push(Kind { places, passed, provider, waiting: BTreeSet::new() });
        self.kind_of.insert(key, self.kinds.len() - 1);
        self.kinds.len() - 1
    }

    fn account(&mut self, provider: &ProviderName) -> usize {
        if let Some(account) = self.account_of.get(provider) {
            return *account;
        }
        let breaker = Breaker::new(self.breaker);
        self.accounts.push(Account { breaker, stopped: false, kept: 0 });
        self.account_of.insert(provider.clone(), self.accounts.len() - 1);
        self.accounts.len() - 1
    }

    /// The account of a provider.
    pub(super) fn provider(&mut self, provider: &ProviderName) -> &mut Account {
        let account = self.account(provider);
        &mut self.accounts[account]
    }

    /// Until when the account of that kind refuses every attempt.
    pub(super) fn refused_until(&self, kind: usize, now: Timestamp) -> Option<Timestamp> {
        self.accounts[self.kinds[kind].provider].refuses_until(now)
    }

    /// Whether the account of that kind lets one attempt through, which is promised to somebody.
    pub(super) fn is_promised(&self, kind: usize) -> bool {
        self.accounts[self.kinds[kind].provider].is_promised()
    }

    /// Whether the account of that kind would let a new attempt through.
    fn is_open(&self, kind: usize, now: Timestamp) -> bool {
        self.refused_until(kind, now).is_none() && !self.is_promised(kind)
    }

    /// The first limit that leaves no place for one more of that kind.
    pub(super) fn full(&self, kind: usize, now: Timestamp) -> Option<(LimitScope, String, u32)> {
        let full = &self.places[self.first_full(kind, self.overdue(now))?];
        Some((full.scope, full.name.clone(), full.most))
    }

    fn first_full(&self, kind: usize, overdue: Option<usize>) -> Option<usize> {
        let left_free = overdue.filter(|overdue| *overdue != kind);
        self.kinds[kind].places.iter().copied().find(|at| {
            let left_free = left_free.is_some_and(|kind| self.kinds[kind].places.contains(at));
            let places = &self.places[*at];
            places.most.saturating_sub(places.used) <= u32::from(left_free)
        })
    }

    /// The kind that was passed over most often, too often at each of its places.
    fn overdue(&self, now: Timestamp) -> Option<usize> {
        let passed = |kind: usize| self.kinds[kind].passed.iter().copied().min().unwrap_or(0);
        self.waited_for
            .iter()
            .copied()
            .filter(|kind| self.kinds[*kind].places.len() > 1 && passed(*kind) >= PASSED_OVER)
            .filter(|kind| self.is_open(*kind, now))
            .max_by_key(|kind| (passed(*kind), Reverse(*kind)))
    }

    /// Who comes next of those who wait for what there is a place for.
    pub(super) fn next(&self, now: Timestamp) -> Option<(usize, Position)> {
        let overdue = self.overdue(now);
        let (position, kind) = self
            .waited_for
            .iter()
            .filter(|kind| self.is_open(**kind, now))
            .filter(|kind| self.first_full(**kind, overdue).is_none())
            .filter_map(|kind| Some((self.kinds[*kind].waiting.first()?, *kind)))
            .min()?;
        Some((kind, position.clone()))
    }

    /// A place for that kind goes to somebody at `position`: counts for whom that means to be passed
    /// over.
    pub(super) fn passed_over(&mut self, given: usize, position: &Position) {
        self.kinds[given].passed.fill(0);
        for &kind in &self.waited_for {
            let ahead = self.kinds[kind].waiting.first().is_some_and(|first| first < position);
            if kind == given || !ahead {
                continue;
            }
            for at in 0..self.kinds[kind].places.len() {
                if self.kinds[given].places.contains(&self.kinds[kind].places[at]) {
                    let passed = &mut self.kinds[kind].passed[at];
                    *passed = passed.saturating_add(1);
                }
            }
        }
    }

    /// Adds a run to those who wait.
    pub(super) fn queue(&mut self, kind: usize, position: Position) {
        self.kinds[kind].waiting.insert(position);
        self.waited_for.insert(kind);
    }

    /// Changes where a run that waits stands.
    pub(super) fn requeue(&mut self, kind: usize, before: &Position, position: Position) {
        self.kinds[kind].waiting.remove(before);
        self.kinds[kind].waiting.insert(position);
    }

    /// Takes a run out of those who wait.
    pub(super) fn drop_out(&mut self, kind: usize, position: &Position) {
        let entry = &mut self.kinds[kind];
        entry.waiting.remove(position);
        if entry.waiting.is_empty() {
            entry.passed.fill(0);
            self.waited_for.remove(&kind);
        }
    }

    /// An attempt takes its places.
    pub(super) fn take(&mut self, kind: usize, now: Timestamp) {
        self.use_places(kind, 1);
        let admitted = self.accounts[self.kinds[kind].provider].breaker.admit(now);
        debug_assert_eq!(admitted, Ok(()), "the breaker was asked before");
    }

    /// An attempt leaves its places.
    pub(super) fn leave(&mut self, kind: usize) {
        self.use_places(kind, -1);
    }

    /// Places are kept.
    pub(super) fn keep(&mut self, kind: usize) {
        self.use_places(kind, 1);
        let account = &mut self.accounts[self.kinds[kind].provider];
        account.kept = account.kept.saturating_add(1);
    }

    /// Places are not kept any more.
    pub(super) fn unkeep(&mut self, kind: usize) {
        self.use_places(kind, -1);
        let account = &mut self.accounts[self.kinds[kind].provider];
        account.kept = account.kept.saturating_sub(1);
    }

    fn use_places(&mut self, kind: usize, by: i32) {
        for at in &self.kinds[kind].places {
            let places = &mut self.places[*at];
            places.used = places.used.saturating_add_signed(by);
        }
    }

    /// When the first breaker lets somebody through who waits for it now.
    pub(super) fn next_probe(&self, now: Timestamp) -> Option<Timestamp> {
        let accounts =
            self.waited_for.iter().map(|kind| &self.accounts[self.kinds[*kind].provider]);
        accounts
            .filter(|account| !account.stopped)
            .filter_map(|account| account.breaker.refuses_until(now))
            .min()
    }

    /// Places taken and kept, of all limits, with what is promised.
    #[cfg(test)]
    pub(super) fn used(&self) -> u32 {
        let used = self.places.iter().map(|places| places.used);
        used.chain(self.accounts.iter().map(|account| account.kept)).sum()
    }
}
