//! Stores and blobs that fail.

use super::*;
use crate::{
    id::{CacheKey, Epoch, OwnerId},
    port::{
        Append, Blobs, CachedResult, Claimant, GroupHold, Lease, Mail, OpenRun, SignalRecord, Store,
    },
};

/// Blobs of which the first few cannot be kept.
struct Failing(Mutex<u32>, MemoryBlobs);

#[async_trait]
impl Blobs for Failing {
    async fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        let left = {
            let mut left = self.0.lock().unwrap();
            let before = *left;
            *left = before.saturating_sub(1);
            before
        };
        if left > 0 {
            return Err(BlobError::Full("write a blob".into()));
        }
        self.1.put(bytes).await
    }

    async fn get(&self, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.1.get(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_puts_the_run_down_and_a_bad_moment_does_not() {
    for (failures, survives) in [(2, true), (3, false)] {
        let store = Arc::new(MemoryStore::default());
        let engine = |blobs: Arc<dyn Blobs>| {
            Engine::builder()
                .store(store.clone())
                .blobs(blobs)
                .clock(Arc::new(Virtual(tokio::time::Instant::now())))
                .owner(OwnerId::new("one").unwrap())
                .own_agent("a", Arc::new(Scripted::default()))
                .unwrap()
                .build()
        };
        let failing = Arc::new(Failing(Mutex::new(failures), MemoryBlobs::default()));
        let document = json!({ "name": "w", "tasks": { "t": ask("large", &[]) } });
        let workflow = Arc::new(Workflow::parse(&document).unwrap());
        let handle = engine(failing).start(StartRun::new(workflow)).await.unwrap();
        let run = handle.id().clone();
        match handle.wait().await {
            Ok(report) => assert!(survives && report.status == RunStatus::Succeeded),
            Err(EngineError::Store(StoreError::Full(_))) => {
                assert!(!survives);
                let later = engine(Arc::new(MemoryBlobs::default()));
                let report = later.resume(&run, None).await.unwrap().wait().await.unwrap();
                assert_eq!(report.status, RunStatus::Succeeded);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// What a store does with an append before it says that it cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing.
    Before,
    /// All of it.
    After,
}

/// A store that now and then cannot be reached.
struct Shaky {
    store: Arc<MemoryStore>,
    fault: Fault,
    /// Every which append fails.
    every: usize,
    appends: Mutex<usize>,
}

impl Shaky {
    fn unavailable() -> StoreError {
        StoreError::Unavailable { action: "append".into(), reason: "it took too long".into() }
    }
}

#[async_trait]
impl Store for Shaky {
    async fn append(&self, append: Arc<Append>) -> Result<(), StoreError> {
        let fails = {
            let mut appends = self.appends.lock().unwrap();
            *appends += 1;
            appends.is_multiple_of(self.every)
        };
        if fails && self.fault == Fault::Before {
            return Err(Self::unavailable());
        }
        self.store.append(append).await?;
        if fails { Err(Self::unavailable()) } else { Ok(()) }
    }

    async fn create(&self, first: Append, lease: Lease) -> Result<(), StoreError> {
        self.store.create(first, lease).await?;
        match self.fault {
            Fault::Before => Ok(()),
            Fault::After => Err(Self::unavailable()),
        }
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

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_doubled_by_a_store_that_cannot_say_what_it_did() {
    for fault in [Fault::Before, Fault::After] {
        let world = World::with(Arc::default(), "one", Scripted::default(), |builder| builder);
        let shaky =
            Shaky { store: world.store.clone(), fault, every: 2, appends: Mutex::default() };
        let world = World::with(world.store, "one", Scripted::default(), |builder| {
            builder.store(Arc::new(shaky))
        });
        let handle = world
            .start(json!({
                "one": ask("x", &[]),
                "two": ask("turns a b", &["one"]),
                "three": ask("x", &["two"]),
            }))
            .await;
        let run = handle.id().clone();
        assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
        assert_eq!(world.asked().len(), 3);
        assert_eq!(world.count(&run, "turn-recorded").await, 2);
        assert_eq!(
            crate::run::Run::replay(&world.log(&run).await).unwrap().status(),
            RunStatus::Succeeded
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_puts_the_run_down_and_whoever_waits_for_it() {
    let one = json!({ "name": "one", "tasks": { "one": ask("x", &[]) } });
    let call = json!({ "name": "w", "tasks": { "call": { "workflow": "one" } } });
    for document in [one.clone(), call] {
        let world = World::new();
        let away = Shaky {
            store: world.store.clone(),
            fault: Fault::Before,
            every: 1,
            appends: Mutex::default(),
        };
        let world = World::with(world.store, "one", Scripted::default(), |builder| {
            builder.store(Arc::new(away))
        });
        let library = json!({ "one": one });
        let handle = world.start_with(document, library).await;
        let run = handle.id().clone();
        let lost = handle.wait().await;
        assert!(matches!(lost, Err(EngineError::Store(StoreError::Unavailable { .. }))));
        let later = World::over(world.store.clone(), "one");
        let report = later.engine.resume(&run, None).await.unwrap().wait().await.unwrap();
        assert_eq!(report.status, RunStatus::Succeeded);
    }
}
