//! Concurrency groups: at most one task of a group at a time, across runs, engines and restarts.
//!
//! The store has the last word on who holds a group. Here it is known what this engine's runs wait
//! for, so that each is asked for by one task at a time and nobody is forgotten.

use crate::{
    id::{ProjectId, RunId, TaskName},
    port::GroupHold,
};
use std::collections::{BTreeMap, BTreeSet};

/// A task that wants, or has, a concurrency group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupClaim {
    /// The project; groups of different projects are different groups.
    pub project: ProjectId,
    /// The group.
    pub group: String,
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
}

type Key = (ProjectId, String);
type Claimant = (RunId, TaskName);

/// | state | `want` of another | `answered` held | `answered` busy | `released` |
/// |---|---|---|---|---|
/// | free | asked | – | – | – |
/// | asked | waits | held, wake it | busy; it waits | next is asked, or free |
/// | held | waits | – | – | next is asked, or free |
/// | busy | waits; asked on `retry` | – | – | – |
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Free,
    /// The store is asked for this claimant, of that urgency.
    Asked(i128, Claimant),
    /// A task of this engine has it. Until its attempt has started it must go on wanting it, as one
    /// of these kinds of attempts at least.
    Held {
        by: Claimant,
        started: bool,
        wanted: Vec<usize>,
    },
    /// The store says that this task has it.
    Busy(Claimant),
}

#[derive(Debug, Clone)]
struct Group {
    state: State,
    /// The most urgent first.
    waiting: BTreeSet<(i128, RunId, TaskName)>,
}

/// The groups that somebody wants or has.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Key, Group>,
    /// Groups that runs hold without having started.
    unstarted: BTreeMap<RunId, BTreeSet<Key>>,
    wanted: Vec<GroupClaim>,
    idle: Vec<GroupClaim>,
}

fn claim_of(key: &Key, claimant: &Claimant) -> GroupClaim {
    let ((project, group), (run, task)) = (key.clone(), claimant.clone());
    GroupClaim { project, group, run, task }
}

fn split(claim: &GroupClaim) -> (Key, Claimant) {
    let GroupClaim { project, group, run, task } = claim.clone();
    ((project, group), (run, task))
}

impl Groups {
    /// Whether the claimant has the group, and goes on wanting it as that kind of attempt; it waits
    /// for it otherwise.
    ///
    /// # Errors
    /// Who has it, when that is known.
    pub(super) fn want(
        &mut self,
        claim: &GroupClaim,
        urgency: i128,
        kind: usize,
    ) -> Result<(), Option<Claimant>> {
        let (key, claimant) = split(claim);
        let group = self
            .groups
            .entry(key.clone())
            .or_insert_with(|| Group { state: State::Free, waiting: BTreeSet::new() });
        let holder = match &mut group.state {
            State::Held { by, wanted, .. } if *by == claimant => {
                if !wanted.contains(&kind) {
                    wanted.push(kind);
                }
                return Ok(());
            }
            State::Asked(_, by) if *by == claimant => return Err(None),
            State::Held { by, .. } | State::Busy(by) => Some(by.clone()),
            State::Asked(..) | State::Free => None,
        };
        group.waiting.insert((urgency, claimant.0, claimant.1));
        if group.state == State::Free {
            self.next(&key);
        }
        Err(holder)
    }

    /// The attempt of the claimant has started.
    pub(super) fn started(&mut self, claim: &GroupClaim) {
        let (key, claimant) = split(claim);
        if let Some(Group { state: State::Held { by, started, .. }, .. }) =
            self.groups.get_mut(&key)
            && *by == claimant
        {
            *started = true;
            self.has_no_unstarted(&claimant.0, &key);
        }
    }

    /// The claimant cannot start as that kind of attempt for another reason, which may last. Unless
    /// it wants the group as another kind, with another agent say, others may have it first.
    pub(super) fn put_off(&mut self, claim: &GroupClaim, kind: usize) {
        let (key, claimant) = split(claim);
        if let Some(Group { state: State::Held { by, wanted, .. }, .. }) = self.groups.get_mut(&key)
            && *by == claimant
        {
            wanted.retain(|wanted| *wanted != kind);
        }
    }

    /// The claimant holds the group in vain: it goes to others.
    fn give_back(&mut self, claim: &GroupClaim) {
        let (key, claimant) = split(claim);
        if let Some(Group { state: State::Held { by, started: false, .. }, .. }) =
            self.groups.get(&key)
            && *by == claimant
        {
            self.idle.push(claim.clone());
            self.has_no_unstarted(&claimant.0, &key);
            self.next(&key);
        }
    }

    /// The store's answer; whom to wake.
    pub(super) fn answered(&mut self, claim: &GroupClaim, hold: GroupHold) -> Option<RunId> {
        let (key, claimant) = split(claim);
        let group = self.groups.get_mut(&key);
        let Some(group) =
            group.filter(|group| matches!(&group.state, State::Asked(_, by) if *by == claimant))
        else {
            // Nobody waits for this answer any more.
            if hold == GroupHold::Held {
                self.idle.push(claim.clone());
            }
            return None;
        };
        match hold {
            GroupHold::Held => {
                let run = claimant.0.clone();
                group.state = State::Held { by: claimant, started: false, wanted: Vec::new() };
                self.unstarted.entry(run.clone()).or_default().insert(key);
                Some(run)
            }
            GroupHold::Busy { run, task } => {
                if let State::Asked(urgency, (run, task)) =
                    std::mem::replace(&mut group.state, State::Busy((run, task)))
                {
                    group.waiting.insert((urgency, run, task));
                }
                None
            }
        }
    }

    /// The claimant does not have the group any more; the store knows.
    pub(super) fn released(&mut self, claim: &GroupClaim) {
        let (key, claimant) = split(claim);
        if let Some(group) = self.groups.get(&key)
            && let State::Held { by, .. } | State::Asked(_, by) = &group.state
            && *by == claimant
        {
            self.has_no_unstarted(&claimant.0, &key);
            self.next(&key);
        }
    }

    /// Asks again for what others had.
    pub(super) fn retry(&mut self) {
        let busy = self.groups.iter().filter(|(_, group)| matches!(group.state, State::Busy(_)));
        let busy: Vec<Key> = busy.map(|(key, _)| key.clone()).collect();
        busy.iter().for_each(|key| self.next(key));
    }

    /// The run is about to be woken: what it holds without having started it must want again.
    pub(super) fn woken(&mut self, run: &RunId) {
        for key in self.unstarted.get(run).into_iter().flatten() {
            if let Some(Group { state: State::Held { wanted, .. }, .. }) = self.groups.get_mut(key)
            {
                wanted.clear();
            }
        }
    }

    /// The run has handled its wake: what it holds and does not want goes to others.
    pub(super) fn pass(&mut self, run: &RunId) {
        let keys: Vec<Key> = self.unstarted.get(run).into_iter().flatten().cloned().collect();
        for key in keys {
            if let Some(Group { state: State::Held { by, wanted, .. }, .. }) = self.groups.get(&key)
                && wanted.is_empty()
            {
                let claim = claim_of(&key, by);
                self.give_back(&claim);
            }
        }
    }

    /// The run is gone.
    pub(super) fn forget(&mut self, run: &RunId) {
        self.unstarted.remove(run);
        self.wanted.retain(|claim| claim.run != *run);
        let mut open = Vec::new();
        for (key, group) in &mut self.groups {
            group.waiting.retain(|(_, waiting, _)| waiting != run);
            match &group.state {
                State::Held { by, .. } if by.0 == *run => {
                    self.idle.push(claim_of(key, by));
                    open.push(key.clone());
                }
                State::Asked(_, by) if by.0 == *run => open.push(key.clone()),
                State::Busy(_) if group.waiting.is_empty() => open.push(key.clone()),
                _ => {}
            }
        }
        open.iter().for_each(|key| self.next(key));
    }

    pub(super) fn take_wanted(&mut self) -> Vec<GroupClaim> {
        std::mem::take(&mut self.wanted)
    }

    pub(super) fn take_idle(&mut self) -> Vec<GroupClaim> {
        std::mem::take(&mut self.idle)
    }

    /// Asks for the group for whoever comes next, or forgets the group.
    fn next(&mut self, key: &Key) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let Some((urgency, run, task)) = group.waiting.pop_first() else {
            self.groups.remove(key);
            return;
        };
        let claimant = (run, task);
        self.wanted.push(claim_of(key, &claimant));
        group.state = State::Asked(urgency, claimant);
    }

    fn has_no_unstarted(&mut self, run: &RunId, key: &Key) {
        if let Some(keys) = self.unstarted.get_mut(run) {
            keys.remove(key);
            if keys.is_empty() {
                self.unstarted.remove(run);
            }
        }
    }
}
