//! The log, the leases and the inboxes in memory, and what runs share.

use super::{
    ledger::Books,
    stored::{Stored, continues, parts},
};
use crate::{
    event::Recorded,
    id::{CacheKey, Epoch, OwnerId, ProjectId, RunId, Sequence},
    port::{
        Append, CachedResult, Claimant, GroupHold, Lease, Mail, OpenRun, Rows, Signal,
        SignalRecord, Store, StoreError,
    },
    time::Timestamp,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) runs: BTreeMap<RunId, Stored>,
    /// Every run, oldest first.
    pub(super) by_age: BTreeSet<(Timestamp, RunId)>,
    /// Those of them that have not ended.
    open: BTreeSet<(Timestamp, RunId)>,
    /// The number of each run's last signal among the signals of all.
    mail: BTreeMap<u64, RunId>,
    last_mail: u64,
    groups: BTreeMap<(ProjectId, String), Claimant>,
    pub(super) cached: BTreeMap<CacheKey, CachedResult>,
    pub(super) books: Books,
}

impl Kept {
    fn run(&mut self, run: &RunId) -> Result<&mut Stored, StoreError> {
        self.runs.get_mut(run).ok_or_else(|| StoreError::NoSuchRun(run.clone()))
    }

    /// Writes what the run admits.
    fn write(&mut self, run: &RunId, events: Vec<Recorded>, mut rows: Rows) {
        let cached = std::mem::take(&mut rows.cached);
        self.cached.extend(cached.into_iter().map(|result| (result.key.clone(), result)));
        let Some(stored) = self.runs.get_mut(run) else { return };
        let place = |stored: &Stored| (stored.row.created_at, stored.row.status.is_final());
        let (before, was) = (place(stored), stored.age());
        stored.write(events, rows);
        if place(stored) != before {
            let (age, is_open) = (stored.age(), !stored.row.status.is_final());
            self.by_age.remove(&was);
            self.open.remove(&was);
            self.list(age, is_open);
        }
    }

    fn list(&mut self, age: (Timestamp, RunId), is_open: bool) {
        if is_open {
            self.open.insert(age.clone());
        }
        self.by_age.insert(age);
    }

    /// Forgets a run and all that only it has.
    pub(super) fn remove(&mut self, run: &RunId) {
        if let Some(stored) = self.runs.remove(run) {
            let age = stored.age();
            self.by_age.remove(&age);
            self.open.remove(&age);
        }
        self.mail.retain(|_, signalled| signalled != run);
        self.groups.retain(|_, holder| holder.run != *run);
        self.books.forget_run(run);
    }

    /// The runs, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Stored> {
        self.by_age.iter().rev().filter_map(|(_, id)| self.runs.get(id))
    }
}

impl MemoryStore {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(&self, mut first: Append, lease: Lease) -> Result<(), StoreError> {
        continues(&first)?;
        let mut kept = self.kept();
        if kept.runs.contains_key(&first.run) {
            return Err(StoreError::RunExists(first.run));
        }
        let row = first.rows.run.take().ok_or_else(|| {
            StoreError::Damaged(format!("run `{}` is created without a row", first.run))
        })?;
        let stored = Stored::new(row, lease);
        kept.list(stored.age(), !stored.row.status.is_final());
        kept.runs.insert(first.run.clone(), stored);
        kept.write(&first.run, first.events, first.rows);
        Ok(())
    }

    async fn append(&self, append: Arc<Append>) -> Result<(), StoreError> {
        continues(&append)?;
        let mut kept = self.kept();
        kept.run(&append.run)?.admits(&append)?;
        let run = append.run.clone();
        let (events, rows) = parts(append);
        kept.write(&run, events, rows);
        Ok(())
    }

    async fn events(
        &self,
        run: &RunId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.kept().run(run)?.events(after, limit))
    }

    async fn claim(
        &self,
        run: &RunId,
        owner: &OwnerId,
        now: Timestamp,
        expires: Timestamp,
        over: Option<Epoch>,
    ) -> Result<Lease, StoreError> {
        let mut kept = self.kept();
        let stored = kept.run(run)?;
        if let Some(lease) = &stored.lease
            && lease.owner != *owner
            && lease.expires > now
            && over != Some(lease.epoch)
        {
            return Err(StoreError::LeaseHeld { run: run.clone(), lease: lease.clone() });
        }
        let lease = Lease { owner: owner.clone(), epoch: stored.epoch.next(), expires };
        stored.epoch = lease.epoch;
        stored.lease = Some(lease.clone());
        Ok(lease)
    }

    async fn renew(&self, run: &RunId, epoch: Epoch, expires: Timestamp) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let stored = kept.run(run)?;
        match &mut stored.lease {
            Some(lease) if lease.epoch == epoch => {
                lease.expires = expires;
                Ok(())
            }
            _ => {
                let actual = stored.epoch;
                Err(StoreError::Fenced { run: run.clone(), named: epoch, actual })
            }
        }
    }

    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError> {
        if let Some(stored) = self.kept().runs.get_mut(run) {
            stored.lease.take_if(|lease| lease.epoch == epoch);
        }
        Ok(())
    }

    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        Ok(self.kept().runs.get(run).and_then(|stored| stored.lease.clone()))
    }

    async fn signal(&self, run: &RunId, signal: Signal, _at: Timestamp) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let stored = kept.run(run)?;
        stored.signal(signal);
        let before = std::mem::take(&mut stored.last_mail);
        kept.mail.remove(&before);
        kept.last_mail += 1;
        let number = kept.last_mail;
        kept.mail.insert(number, run.clone());
        kept.run(run)?.last_mail = number;
        Ok(())
    }

    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError> {
        let kept = self.kept();
        Ok(kept.runs.get(run).map(|stored| stored.signals(after).to_vec()).unwrap_or_default())
    }

    async fn mail(&self, after: u64) -> Result<Mail, StoreError> {
        let kept = self.kept();
        let new = kept.mail.range((Bound::Excluded(after), Bound::Unbounded));
        let runs = new.map(|(_, run)| run.clone()).collect();
        Ok(Mail { last: kept.last_mail.max(after), runs })
    }

    async fn open_runs(
        &self,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<OpenRun>, StoreError> {
        let kept = self.kept();
        let (start, beyond) = match after.map(|id| (id, kept.runs.get(id))) {
            None => (Bound::Unbounded, None),
            Some((_, Some(stored))) => (Bound::Excluded(stored.age()), None),
            // It is gone: what came after it is told by the ids, which sort by creation.
            Some((id, None)) => (Bound::Unbounded, Some(id)),
        };
        let open = kept.open.range((start, Bound::Unbounded));
        let open = open.filter(|(_, id)| beyond.is_none_or(|gone| id > gone)).take(limit);
        let found = open.filter_map(|(_, id)| kept.runs.get(id)).map(|stored| OpenRun {
            id: stored.row.id.clone(),
            parent: stored.row.parent.clone(),
            lease: stored.lease.clone(),
        });
        Ok(found.collect())
    }

    async fn hold(
        &self,
        group: &str,
        claimant: &Claimant,
        now: Timestamp,
    ) -> Result<GroupHold, StoreError> {
        let mut kept = self.kept();
        let actual = kept.run(&claimant.run)?.epoch;
        if actual != claimant.epoch {
            let (run, named) = (claimant.run.clone(), claimant.epoch);
            return Err(StoreError::Fenced { run, named, actual });
        }
        let key = (claimant.project.clone(), group.to_owned());
        let is_at_work = |holder: &Claimant| {
            kept.runs.get(&holder.run).is_some_and(|run| run.is_driven(holder.epoch, now))
        };
        if let Some(holder) = kept.groups.get(&key)
            && holder != claimant
            && is_at_work(holder)
        {
            let (run, task) = (holder.run.clone(), holder.task.clone());
            return Ok(GroupHold::Busy { run, task });
        }
        kept.groups.insert(key, claimant.clone());
        Ok(GroupHold::Held)
    }

    async fn unhold(&self, group: &str, claimant: &Claimant) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let key = (claimant.project.clone(), group.to_owned());
        if kept.groups.get(&key) == Some(claimant) {
            kept.groups.remove(&key);
        }
        Ok(())
    }

    async fn cached(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<CachedResult>, StoreError> {
        let kept = self.kept();
        let found = kept.cached.get(key);
        Ok(found.filter(|result| result.expires.is_none_or(|at| at > now)).cloned())
    }
}
