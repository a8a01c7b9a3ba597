//! The log, the leases and the inboxes in memory.

use crate::{
    event::Recorded,
    id::{AttemptNumber, Epoch, OwnerId, RunId, Sequence, TaskName},
    port::{
        Append, AttemptRow, Lease, RunRow, Signal, SignalRecord, SpendRow, Store, StoreError,
        TaskRow,
    },
    time::Timestamp,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    runs: Mutex<BTreeMap<RunId, Stored>>,
}

/// All that is kept of one run.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) row: RunRow,
    pub(super) events: Vec<Recorded>,
    pub(super) tasks: BTreeMap<TaskName, TaskRow>,
    pub(super) attempts: BTreeMap<(TaskName, AttemptNumber), AttemptRow>,
    pub(super) spend: Vec<SpendRow>,
    /// The epoch of the last lease; leases that were given back leave it.
    epoch: Epoch,
    lease: Option<Lease>,
    signals: Vec<SignalRecord>,
}

impl Stored {
    fn end(&self) -> Sequence {
        self.events.last().map(|event| event.seq).unwrap_or_default()
    }

    fn write(&mut self, append: Append) {
        self.events.extend(append.events);
        if let Some(row) = append.rows.run {
            self.row = row;
        }
        self.tasks.extend(append.rows.tasks.into_iter().map(|row| (row.name.clone(), row)));
        self.attempts.extend(
            append.rows.attempts.into_iter().map(|row| ((row.task.clone(), row.number), row)),
        );
        self.spend.extend(append.rows.spend);
    }
}

/// Whether the events continue a log that ends at `expected`.
fn continues(append: &Append) -> Result<(), StoreError> {
    let mut next = append.expected;
    for event in &append.events {
        next = next.next();
        if event.seq != next {
            return Err(StoreError::Conflict {
                run: append.run.clone(),
                expected: event.seq,
                actual: next,
            });
        }
    }
    Ok(())
}

impl MemoryStore {
    pub(super) fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Stored>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        run: &RunId,
        act: impl FnOnce(&mut Stored) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut runs = self.runs();
        let stored = runs.get_mut(run).ok_or_else(|| StoreError::NoSuchRun(run.clone()))?;
        act(stored)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(&self, mut first: Append, lease: Lease) -> Result<(), StoreError> {
        continues(&first)?;
        let mut runs = self.runs();
        if runs.contains_key(&first.run) {
            return Err(StoreError::RunExists(first.run));
        }
        let row = first.rows.run.take().ok_or_else(|| {
            StoreError::Damaged(format!("run `{}` is created without a row", first.run))
        })?;
        let mut stored = Stored {
            row,
            events: Vec::new(),
            tasks: BTreeMap::new(),
            attempts: BTreeMap::new(),
            spend: Vec::new(),
            epoch: lease.epoch,
            lease: Some(lease),
            signals: Vec::new(),
        };
        let run = first.run.clone();
        stored.write(first);
        runs.insert(run, stored);
        Ok(())
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        continues(&append)?;
        let run = append.run.clone();
        self.with(&run.clone(), |stored| {
            if stored.epoch != append.epoch {
                return Err(StoreError::Fenced { run, named: append.epoch, actual: stored.epoch });
            }
            if stored.end() != append.expected {
                let (expected, actual) = (append.expected, stored.end());
                return Err(StoreError::Conflict { run, expected, actual });
            }
            stored.write(append);
            Ok(())
        })
    }

    async fn events(
        &self,
        run: &RunId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.with(run, |stored| {
            let start = stored.events.partition_point(|event| event.seq <= after);
            Ok(stored.events[start..].iter().take(limit).cloned().collect())
        })
    }

    async fn claim(
        &self,
        run: &RunId,
        owner: &OwnerId,
        now: Timestamp,
        expires: Timestamp,
        over: Option<Epoch>,
    ) -> Result<Lease, StoreError> {
        self.with(run, |stored| {
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
        })
    }

    async fn renew(&self, run: &RunId, epoch: Epoch, expires: Timestamp) -> Result<(), StoreError> {
        self.with(run, |stored| match &mut stored.lease {
            Some(lease) if lease.epoch == epoch => {
                lease.expires = expires;
                Ok(())
            }
            _ => {
                let actual = stored.epoch;
                Err(StoreError::Fenced { run: run.clone(), named: epoch, actual })
            }
        })
    }

    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError> {
        if let Some(stored) = self.runs().get_mut(run) {
            stored.lease.take_if(|lease| lease.epoch == epoch);
        }
        Ok(())
    }

    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        Ok(self.runs().get(run).and_then(|stored| stored.lease.clone()))
    }

    async fn signal(&self, run: &RunId, signal: Signal, _at: Timestamp) -> Result<(), StoreError> {
        self.with(run, |stored| {
            let number = stored.signals.len() as u64 + 1;
            stored.signals.push(SignalRecord { number, signal });
            Ok(())
        })
    }

    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError> {
        let runs = self.runs();
        let all = runs.get(run).into_iter().flat_map(|stored| &stored.signals);
        Ok(all.filter(|signal| signal.number > after).cloned().collect())
    }
}
