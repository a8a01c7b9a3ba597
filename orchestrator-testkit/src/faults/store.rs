//! A store that fails on purpose.

use super::{Fault, Op, Seam, Write};
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
use std::{fmt, sync::Arc};

/// A store behind a [`Seam`].
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    seam: Seam,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("seam", &self.seam).finish_non_exhaustive()
    }
}

impl FaultyStore {
    /// `inner`, every call of which passes `seam`.
    pub fn new(inner: Arc<dyn Store>, seam: Seam) -> Self {
        Self { inner, seam }
    }
}

fn failed(op: Op, fault: Fault) -> StoreError {
    match fault {
        Fault::Full => StoreError::Full(op.to_string()),
        Fault::Unavailable | Fault::Conflict => StoreError::Unavailable {
            action: op.to_string(),
            reason: "a fault was put in on purpose".into(),
        },
    }
}

fn said(append: &Append) -> String {
    let kinds: Vec<&str> = append.events.iter().map(|event| event.event.kind()).collect();
    format!("{}@{} {}", append.run, append.expected, kinds.join(" "))
}

#[async_trait]
impl Store for FaultyStore {
    async fn create(&self, first: Append, lease: Lease) -> Result<(), StoreError> {
        let about = said(&first);
        let act = async |fate| {
            self.inner.create(first.clone(), lease.clone()).await?;
            self.seam.written(Write::Created { first: &first, lease: &lease }, fate).await;
            Ok(())
        };
        self.seam.pass(Op::Create, &about, act, |fault| failed(Op::Create, fault)).await
    }

    async fn append(&self, append: Arc<Append>) -> Result<(), StoreError> {
        let about = said(&append);
        let act = async |fate| {
            self.inner.append(append.clone()).await?;
            self.seam.written(Write::Appended(&append), fate).await;
            Ok(())
        };
        let fail = |fault| match fault {
            Fault::Conflict => StoreError::Conflict {
                run: append.run.clone(),
                expected: append.expected,
                actual: append.expected.next(),
            },
            other => failed(Op::Append, other),
        };
        self.seam.pass(Op::Append, &about, act, fail).await
    }

    async fn events(
        &self,
        run: &RunId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        let about = format!("{run}@{after}");
        let act = |_| self.inner.events(run, after, limit);
        self.seam.pass(Op::Events, &about, act, |fault| failed(Op::Events, fault)).await
    }

    async fn claim(
        &self,
        run: &RunId,
        owner: &OwnerId,
        now: Timestamp,
        expires: Timestamp,
        over: Option<Epoch>,
    ) -> Result<Lease, StoreError> {
        let about = format!("{run} for {owner}");
        let act = async |fate| {
            let lease = self.inner.claim(run, owner, now, expires, over).await?;
            self.seam.written(Write::Claimed { run, lease: &lease }, fate).await;
            Ok(lease)
        };
        self.seam.pass(Op::Claim, &about, act, |fault| failed(Op::Claim, fault)).await
    }

    async fn renew(&self, run: &RunId, epoch: Epoch, expires: Timestamp) -> Result<(), StoreError> {
        let about = format!("{run} epoch {epoch}");
        let act = |_| self.inner.renew(run, epoch, expires);
        self.seam.pass(Op::Renew, &about, act, |fault| failed(Op::Renew, fault)).await
    }

    async fn release(&self, run: &RunId, epoch: Epoch) -> Result<(), StoreError> {
        let about = format!("{run} epoch {epoch}");
        let act = async |fate| {
            self.inner.release(run, epoch).await?;
            self.seam.written(Write::Released { run, epoch }, fate).await;
            Ok(())
        };
        self.seam.pass(Op::Release, &about, act, |fault| failed(Op::Release, fault)).await
    }

    async fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        let act = |_| self.inner.lease(run);
        self.seam.pass(Op::Lease, run.as_str(), act, |fault| failed(Op::Lease, fault)).await
    }

    async fn signal(&self, run: &RunId, signal: Signal, at: Timestamp) -> Result<(), StoreError> {
        let about = format!("{run} {signal:?}");
        let act = async |fate| {
            self.inner.signal(run, signal.clone(), at).await?;
            self.seam.written(Write::Signalled { run, signal: &signal }, fate).await;
            Ok(())
        };
        self.seam.pass(Op::Signal, &about, act, |fault| failed(Op::Signal, fault)).await
    }

    async fn signals(&self, run: &RunId, after: u64) -> Result<Vec<SignalRecord>, StoreError> {
        let about = format!("{run} after {after}");
        let act = |_| self.inner.signals(run, after);
        self.seam.pass(Op::Signals, &about, act, |fault| failed(Op::Signals, fault)).await
    }

    async fn mail(&self, after: u64) -> Result<Mail, StoreError> {
        let about = format!("after {after}");
        let act = |_| self.inner.mail(after);
        self.seam.pass(Op::Mail, &about, act, |fault| failed(Op::Mail, fault)).await
    }

    async fn open_runs(
        &self,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<OpenRun>, StoreError> {
        let about = after.map(ToString::to_string).unwrap_or_default();
        let act = |_| self.inner.open_runs(after, limit);
        self.seam.pass(Op::OpenRuns, &about, act, |fault| failed(Op::OpenRuns, fault)).await
    }

    async fn hold(
        &self,
        group: &str,
        claimant: &Claimant,
        now: Timestamp,
    ) -> Result<GroupHold, StoreError> {
        let about = format!("{group} for {}.{}", claimant.run, claimant.task);
        let act = |_| self.inner.hold(group, claimant, now);
        self.seam.pass(Op::Hold, &about, act, |fault| failed(Op::Hold, fault)).await
    }

    async fn unhold(&self, group: &str, claimant: &Claimant) -> Result<(), StoreError> {
        let about = format!("{group} of {}.{}", claimant.run, claimant.task);
        let act = |_| self.inner.unhold(group, claimant);
        self.seam.pass(Op::Unhold, &about, act, |fault| failed(Op::Unhold, fault)).await
    }

    async fn cached(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<CachedResult>, StoreError> {
        let act = |_| self.inner.cached(key, now);
        self.seam.pass(Op::Cached, key.as_str(), act, |fault| failed(Op::Cached, fault)).await
    }
}
