//! The limits that the runs of an engine share, and the concurrency groups that all engines of a
//! store share.

use super::{Shared, driver::Input};
use crate::{
    error::ErrorClass,
    id::{AgentName, Epoch, ProjectId, ProviderName, RunId},
    port::{Claimant, GroupHold},
    schedule::{Gate, GroupClaim, HeldUp, Limits, Want},
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Who an attempt counts for.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) project: ProjectId,
    pub(super) agent: AgentName,
    pub(super) provider: ProviderName,
    /// The concurrency group that its task has, with the epoch under which it was taken.
    pub(super) group: Option<(GroupClaim, Epoch)>,
}

/// The limits of an engine.
pub(super) struct SharedGate {
    limits: Mutex<Limits>,
    /// Groups whose attempts have ended, until the store has them back, with the epochs under which
    /// they were taken.
    ended: Mutex<BTreeMap<GroupClaim, Epoch>>,
    /// Groups that the store was asked for and may have given, without having said so.
    doubtful: Mutex<BTreeMap<GroupClaim, Epoch>>,
    /// Told when a group is wanted or was given up.
    pub(super) groups: Notify,
}

/// The gate while a run decides.
pub(super) struct Pass<'g> {
    gate: &'g SharedGate,
    now: Timestamp,
}

impl Gate for Pass<'_> {
    fn admit(&mut self, want: &Want<'_>) -> Result<(), HeldUp> {
        if let Some(group) = want.group
            && self.gate.is_given_back(want, group)
        {
            // The task is tried again before the store has the group back: it has to queue for it.
            let (run, task) = (Some(want.run.clone()), Some(want.task.clone()));
            return Err(HeldUp::Group { group: group.to_owned(), run, task });
        }
        // Locked for this alone: a large run may decide for long.
        let admitted = self.gate.limits().admit(want, self.now);
        if want.group.is_some() && admitted.is_err() {
            self.gate.groups.notify_one();
        }
        admitted
    }
}

impl SharedGate {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits: Mutex::new(limits),
            ended: Mutex::default(),
            doubtful: Mutex::default(),
            groups: Notify::new(),
        }
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, BTreeMap<GroupClaim, Epoch>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubtful(&self) -> MutexGuard<'_, BTreeMap<GroupClaim, Epoch>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the group that `want` had for its last attempt is on its way back to the store.
    fn is_given_back(&self, want: &Want<'_>, group: &str) -> bool {
        let ended = self.ended();
        !ended.is_empty()
            && ended.contains_key(&GroupClaim {
                project: want.project.clone(),
                group: group.to_owned(),
                run: want.run.clone(),
                task: want.task.clone(),
            })
    }

    /// The gate at an instant.
    pub(super) fn pass(&self, now: Timestamp) -> Pass<'_> {
        Pass { gate: self, now }
    }

    /// When a provider may be tried again whose breaker is open.
    pub(super) fn next_probe(&self) -> Option<Timestamp> {
        self.limits().next_probe()
    }
}

impl Shared {
    /// An attempt of `run` has ended: with success, a failure of that class, or before it began.
    pub(super) fn attempt_ended(
        self: &Arc<Self>,
        run: &RunId,
        counted: &Counted,
        ended: Option<Result<(), ErrorClass>>,
    ) {
        self.left(run, counted, ended);
        self.group_ended(counted);
    }

    /// Who was counted leaves the place that it had; its group it keeps.
    pub(super) fn left(
        self: &Arc<Self>,
        run: &RunId,
        counted: &Counted,
        ended: Option<Result<(), ErrorClass>>,
    ) {
        let woken = {
            let mut limits = self.gate.limits();
            let mut woken = match ended {
                Some(Ok(())) => limits.succeeded(&counted.provider),
                Some(Err(class)) => limits.failed(&counted.provider, class, self.clock.now()),
                None => Vec::new(),
            };
            let Counted { project, agent, provider, .. } = counted;
            woken.extend(limits.end(project, run, agent, provider));
            woken
        };
        self.wake(woken);
    }

    /// The attempt that had the group has ended.
    pub(super) fn group_ended(&self, counted: &Counted) {
        if let Some((claim, epoch)) = &counted.group {
            self.gate.ended().insert(claim.clone(), *epoch);
            self.gate.groups.notify_one();
        }
    }

    /// The run has asked again for all that was held up.
    pub(super) fn passed(self: &Arc<Self>, run: &RunId) {
        let woken = self.gate.limits().pass(run);
        self.wake(woken);
    }

    /// The run is gone from this engine.
    pub(super) fn forget(self: &Arc<Self>, run: &RunId) {
        let (woken, idle) = {
            let mut limits = self.gate.limits();
            (limits.forget(run), limits.idle_groups())
        };
        // They were taken under the epoch of now; when the run comes back it has another.
        for claim in idle {
            let epoch = self.runs.epoch(&claim.run);
            self.gate.ended().insert(claim, epoch);
        }
        self.wake(woken);
        self.gate.groups.notify_one();
    }

    /// A person has mended the account.
    pub(super) fn account_mended(self: &Arc<Self>, provider: &ProviderName) {
        let woken = self.gate.limits().resume_account(provider);
        self.wake(woken);
    }

    /// Lets those try whose turn it is at a provider whose breaker was open.
    pub(super) fn probe(self: &Arc<Self>, now: Timestamp) {
        let woken = self.gate.limits().probe(now);
        self.wake(woken);
    }

    fn wake(self: &Arc<Self>, runs: Vec<RunId>) {
        for run in runs {
            if !self.deliver(&run, Input::Wake) {
                // It ended in between: what was kept for it goes on to the next.
                let woken = self.gate.limits().forget(&run);
                self.wake(woken);
            }
        }
    }

    /// Gives back the groups that nobody here has any more, and asks the store for those that are
    /// wanted. `again` asks also for those that somebody elsewhere had the last time.
    pub(super) async fn settle_groups(self: &Arc<Self>, again: bool) {
        let ended = self.gate.ended().clone();
        for (claim, epoch) in ended {
            if self.give_back(&claim, epoch).await {
                self.gate.limits().release_group(&claim);
                self.gate.ended().remove(&claim);
                // It may want the group again.
                self.deliver(&claim.run, Input::Wake);
            }
        }
        let doubtful = self.gate.doubtful().clone();
        for (claim, epoch) in doubtful {
            if self.give_back(&claim, epoch).await {
                self.gate.doubtful().remove(&claim);
            }
        }
        let idle = self.gate.limits().idle_groups();
        for claim in idle {
            let epoch = self.runs.epoch(&claim.run);
            if !self.give_back(&claim, epoch).await {
                self.gate.ended().insert(claim, epoch);
            }
        }
        let wanted = {
            let mut limits = self.gate.limits();
            if again {
                limits.retry_groups();
            }
            limits.wanted_groups()
        };
        for claim in wanted {
            let epoch = self.runs.epoch(&claim.run);
            let claimant = claimant(&claim, epoch);
            let now = self.clock.now();
            let woken = match self.store.hold(&claim.group, &claimant, now).await {
                Ok(hold) => {
                    self.gate.doubtful().remove(&claim);
                    self.gate.limits().grant_group(&claim, hold)
                }
                Err(error) => {
                    // It may be held now by a task that does not know and may never ask again.
                    self.gate.doubtful().insert(claim.clone(), epoch);
                    tracing::warn!(group = claim.group, %error, "a group could not be asked for");
                    let (run, task) = (claim.run.clone(), claim.task.clone());
                    self.gate.limits().grant_group(&claim, GroupHold::Busy { run, task })
                }
            };
            self.wake(woken);
        }
    }

    /// Gives a group back to the store. False when that has to be tried again.
    async fn give_back(&self, claim: &GroupClaim, epoch: Epoch) -> bool {
        match self.store.unhold(&claim.group, &claimant(claim, epoch)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(group = claim.group, %error, "a group could not be given back");
                // A run that is gone has lost what it held.
                !self.runs.contains(&claim.run)
            }
        }
    }
}

fn claimant(claim: &GroupClaim, epoch: Epoch) -> Claimant {
    let GroupClaim { project, run, task, .. } = claim.clone();
    Claimant { project, run, epoch, task }
}
