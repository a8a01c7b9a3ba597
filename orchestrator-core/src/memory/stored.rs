//! What is kept of one run.

use super::{
    kept::{KeptAttempt, KeptTask},
    log::Log,
};
use crate::{
    estimate::RunEstimate,
    event::Recorded,
    id::{AttemptNumber, Epoch, RunId, Sequence, TaskName},
    port::{Append, Lease, Rows, RunRow, Signal, SignalRecord, SpendRow, StoreError},
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc};

/// All that is kept of one run.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) row: RunRow,
    log: Log,
    pub(super) tasks: BTreeMap<TaskName, KeptTask>,
    pub(super) attempts: BTreeMap<(TaskName, AttemptNumber), KeptAttempt>,
    pub(super) spend: Vec<SpendRow>,
    pub(super) estimate: Option<RunEstimate>,
    /// The epoch of the last lease; leases that were given back leave it.
    pub(super) epoch: Epoch,
    pub(super) lease: Option<Lease>,
    signals: Vec<SignalRecord>,
    /// The number of its last signal among the signals of all runs; 0 without one.
    pub(super) last_mail: u64,
}

impl Stored {
    /// A run with nothing but its row.
    pub(super) fn new(row: RunRow, lease: Lease) -> Self {
        Self {
            row,
            log: Log::default(),
            tasks: BTreeMap::new(),
            attempts: BTreeMap::new(),
            spend: Vec::new(),
            estimate: None,
            epoch: lease.epoch,
            lease: Some(lease),
            signals: Vec::new(),
            last_mail: 0,
        }
    }

    /// Whether `append` may be written.
    pub(super) fn admits(&self, append: &Append) -> Result<(), StoreError> {
        let run = append.run.clone();
        if self.epoch != append.epoch {
            return Err(StoreError::Fenced { run, named: append.epoch, actual: self.epoch });
        }
        let (expected, actual) = (append.expected, self.log.end());
        if actual != expected {
            return Err(StoreError::Conflict { run, expected, actual });
        }
        Ok(())
    }

    /// Writes what is admitted, but for what runs share.
    pub(super) fn write(&mut self, events: Vec<Recorded>, rows: Rows) {
        self.log.extend(events);
        if let Some(row) = rows.run {
            if row.status.is_final() && !self.row.status.is_final() {
                self.lease = None;
            }
            self.row = row;
        }
        for name in &rows.gone {
            self.tasks.remove(name);
        }
        self.tasks.extend(rows.tasks.into_iter().map(KeptTask::of));
        self.attempts.extend(rows.attempts.into_iter().map(KeptAttempt::of));
        self.spend.extend(rows.spend);
        self.estimate = self.estimate.or(rows.estimate);
    }

    /// The events after `after`, at most `limit`.
    pub(super) fn events(&self, after: Sequence, limit: usize) -> Vec<Recorded> {
        self.log.after(after, limit)
    }

    /// Whether the lease of `epoch` is in force at `now` and the run has not ended.
    pub(super) fn is_driven(&self, epoch: Epoch, now: Timestamp) -> bool {
        let in_force = |lease: &Lease| lease.epoch == epoch && lease.expires > now;
        !self.row.status.is_final() && self.lease.as_ref().is_some_and(in_force)
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        let number = self.signals.len() as u64 + 1;
        self.signals.push(SignalRecord { number, signal });
    }

    pub(super) fn signals(&self, after: u64) -> &[SignalRecord] {
        let start = self.signals.partition_point(|signal| signal.number <= after);
        &self.signals[start..]
    }

    /// Its place among the runs by age.
    pub(super) fn age(&self) -> (Timestamp, RunId) {
        (self.row.created_at, self.row.id.clone())
    }
}

/// The parts of `append`, without a copy where nobody else has it.
pub(super) fn parts(append: Arc<Append>) -> (Vec<Recorded>, Rows) {
    match Arc::try_unwrap(append) {
        Ok(append) => (append.events, append.rows),
        Err(shared) => (shared.events.clone(), shared.rows.clone()),
    }
}

/// Whether the events continue a log that ends at `expected`.
pub(super) fn continues(append: &Append) -> Result<(), StoreError> {
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
