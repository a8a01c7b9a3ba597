//! A store whose commits are timed.

use super::{Telemetry, metrics::Instruments};
use async_trait::async_trait;
use orchestrator_core::{
    event::Recorded,
    id::{CacheKey, Epoch, OwnerId, RunId, Sequence},
    port::{
        Append, CachedResult, Claimant, GroupHold, Lease, Mail, OpenRun, Signal, SignalRecord,
        Store, StoreError,
    },
    time::Timestamp,
};
use std::{sync::Arc, time::Instant};

/// Passes everything on, and takes the time of what makes events durable.
pub(super) struct Measured {
    store: Arc<dyn Store>,
    telemetry: Telemetry,
    instruments: Arc<Instruments>,
}

impl Measured {
    pub(super) fn new(
        store: Arc<dyn Store>,
        telemetry: Telemetry,
        instruments: Arc<Instruments>,
    ) -> Self {
        Self { store, telemetry, instruments }
    }

    fn note(&self, since: Instant, result: Result<(), StoreError>) -> Result<(), StoreError> {
        self.instruments.committed(since.elapsed(), result.is_ok());
        result
    }
}

#[async_trait]
impl Store for Measured {
    async fn create(&self, first: Append, lease: Lease) -> Result<(), StoreError> {
        let since = Instant::now();
        self.note(since, self.store.create(first, lease).await)
    }

    async fn append(&self, append: Arc<Append>) -> Result<(), StoreError> {
        let since = Instant::now();
        let written = self.store.append(append.clone()).await;
        if written.is_ok() {
            self.telemetry.written(&append.run, &append.rows);
        }
        self.note(since, written)
    }

    async fn events(
        &self,
        run: &RunId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.store.events(run, after, limit).await
    }

    async fn claim(
        &self,
        run: &RunId,
        owner: &OwnerId,
        now: Timestamp,
        expires: Timestamp,
        over: Option<Epoch>,
    ) -> Result<Lease, StoreError> {
        self.store.claim(run, owner, now, expires, over).await
    }

    async fn renew(&self, run: &RunId, epoch: Epoch, expires: Timestamp) -> Result<(), StoreError> {
        self.store.renew(run, epoch, expires).await
    }

    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError> {
        self.store.release(run, epoch).await
    }

    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        self.store.lease(run).await
    }

    async fn signal(&self, run: &RunId, signal: Signal, at: Timestamp) -> Result<(), StoreError> {
        self.store.signal(run, signal, at).await
    }

    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError> {
        self.store.signals(run, after).await
    }

    async fn mail(&self, after: u64) -> Result<Mail, StoreError> {
        self.store.mail(after).await
    }

    async fn open_runs(
        &self,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<OpenRun>, StoreError> {
        self.store.open_runs(after, limit).await
    }

    async fn hold(
        &self,
        group: &str,
        claimant: &Claimant,
        now: Timestamp,
    ) -> Result<GroupHold, StoreError> {
        self.store.hold(group, claimant, now).await
    }

    async fn unhold(&self, group: &str, claimant: &Claimant) -> Result<(), StoreError> {
        self.store.unhold(group, claimant).await
    }

    async fn cached(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<CachedResult>, StoreError> {
        self.store.cached(key, now).await
    }
}
