use super::*;
use crate::{
    error::{ErrorClass, Failure},
    event::{Content, Event, Recorded},
    id::BlobId,
    memory::{MemoryBlobs, MemoryStore},
    port::{
        Answer, Assignment, AttemptHost, BlobError, Catalog, LogLine, LogStream, Page, Signal,
        TaskFilter,
    },
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
    workflow::Workflow,
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Mutex;

/// An agent that does what its prompt says, and notes what it was asked.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Agent for Arc<Scripted> {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        self.asked.lock().unwrap().push(format!("{}: {}", work.task, work.prompt()));
        match work.prompt() {
            "panic" => panic!("on purpose"),
            "hang" => std::future::pending().await,
            "stop when told" => {
                host.cancelled().await;
                Err(Failure::new(ErrorClass::Cancelled, "told to stop"))
            }
            "answer when told" => {
                host.cancelled().await;
                Ok(Answer::text("just in time"))
            }
            "deep" => Ok(Answer::json((0..70).fold(json!(1), |value, _| json!([value])))),
            "flaky" if work.attempt.0 < 3 => Err(Failure::new(ErrorClass::Crashed, "died")),
            "large" => Ok(Answer::text("x".repeat(Content::INLINE_LIMIT))),
            "talk" => {
                for n in 0..6_000 {
                    host.log(LogLine { stream: LogStream::Note, text: format!("line {n}") });
                }
                Ok(Answer::default())
            }
            prompt => Ok(Answer::text(prompt.to_uppercase())),
        }
    }
}

/// A clock that follows tokio's, so that paused tests do not wait.
struct Virtual(tokio::time::Instant);

#[async_trait]
impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    async fn until(&self, at: Timestamp) {
        tokio::time::sleep_until(self.0 + Duration::from_millis(at.0)).await;
    }
}

struct World {
    agent: Arc<Scripted>,
    store: Arc<MemoryStore>,
    engine: Engine,
}

impl World {
    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::default()), "one")
    }

    fn over(store: Arc<MemoryStore>, owner: &str) -> Self {
        let agent = Arc::new(Scripted::default());
        let engine = Engine::builder()
            .store(store.clone())
            .clock(Arc::new(Virtual(tokio::time::Instant::now())))
            .owner(OwnerId::new(owner).unwrap())
            .own_agent("a", agent.clone())
            .unwrap()
            .build();
        Self { agent, store, engine }
    }

    async fn start(&self, tasks: Value) -> RunHandle {
        let document = json!({ "name": "w", "tasks": tasks });
        let workflow = Arc::new(Workflow::parse(&document).unwrap());
        self.engine.start(StartRun::new(workflow)).await.unwrap()
    }

    async fn log(&self, run: &RunId) -> Vec<Recorded> {
        self.store.events(run, Sequence(0), 1_000_000).await.unwrap()
    }

    /// Waits until something in the log of `run` fits.
    async fn until(&self, run: &RunId, fits: impl Fn(&Event) -> bool) {
        while !self.log(run).await.iter().any(|recorded| fits(&recorded.event)) {
            tokio::task::yield_now().await;
        }
    }

    fn asked(&self) -> Vec<String> {
        self.agent.asked.lock().unwrap().clone()
    }
}

fn ask(prompt: &str, needs: &[&str]) -> Value {
    json!({ "agent": "a", "prompt": prompt, "needs": needs })
}

#[tokio::test]
async fn outputs_flow_into_prompts() {
    let world = World::new();
    let report = world
        .start(json!({
            "one": ask("hello", &[]),
            "big": ask("large", &[]),
            "two": ask("<{{ tasks.one.output }}> {{ tasks.one.status }}", &["one", "big"]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(report.output("two"), Some(&json!("<HELLO> SUCCEEDED")));
    assert!(matches!(report.tasks[1].output, Some(Content::Blob { .. })));
    let rows = world.store.tasks(&TaskFilter::default(), &Page::default()).await.unwrap().items;
    assert!(rows.iter().all(|row| row.status == TaskStatus::Succeeded));
    assert_eq!(world.store.lease(&report.run).await.unwrap(), None);
}

#[tokio::test]
async fn an_agent_that_panics_or_misfits_fails_its_task_only() {
    let world = World::new();
    let report = world
        .start(json!({
            "panic": ask("panic", &[]),
            "misfit": { "agent": "a", "prompt": "text", "output": { "type": "object" } },
            "fine": ask("x", &[]),
            "deep": ask("deep", &[]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    let classes: Vec<Option<ErrorClass>> =
        report.tasks.iter().map(|task| task.error.as_ref().map(|error| error.class)).collect();
    let bad = Some(ErrorClass::BadOutput);
    assert_eq!(classes, [Some(ErrorClass::Internal), bad, None, bad]);
    assert_eq!(report.status, RunStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_in_time_and_tried_again() {
    let world = World::new();
    let report = world
        .start(json!({
            "slow": { "agent": "a", "prompt": "hang", "timeout": "1s", "retry": { "max-attempts": 2 } },
            "flaky": ask("flaky", &[]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    assert_eq!(report.tasks[0].error.as_ref().unwrap().class, ErrorClass::TimedOut);
    assert_eq!(report.tasks[1].status, TaskStatus::Succeeded);
    assert_eq!(world.asked().iter().filter(|asked| asked.starts_with("slow")).count(), 2);
}

#[tokio::test]
async fn a_run_is_cancelled_from_here_and_from_elsewhere() {
    for elsewhere in [false, true] {
        let world = World::new();
        let handle = world
            .start(json!({
                "polite": ask("stop when told", &[]),
                "late": ask("answer when told", &[]),
                "next": ask("x", &["polite"]),
            }))
            .await;
        let run = handle.id().clone();
        if elsewhere {
            let signal = Signal::Cancel { reason: "asked".into() };
            world.store.signal(&run, signal, Timestamp(0)).await.unwrap();
        } else {
            handle.cancel("asked");
        }
        let report = handle.wait().await.unwrap();
        let statuses: Vec<TaskStatus> = report.tasks.iter().map(|task| task.status).collect();
        assert_eq!(statuses, [TaskStatus::Cancelled, TaskStatus::Succeeded, TaskStatus::Cancelled]);
        assert_eq!(report.status, RunStatus::Cancelled);
    }
}

#[tokio::test]
async fn an_interrupted_run_goes_on_where_it_was() {
    let world = World::new();
    let handle =
        world.start(json!({ "one": ask("x", &[]), "two": ask("stop when told", &["one"]) })).await;
    let run = handle.id().clone();
    world
        .until(
            &run,
            |event| matches!(event, Event::AttemptStarted { task, .. } if task.as_str() == "two"),
        )
        .await;
    world.engine.interrupt();
    let report = handle.wait().await.unwrap();
    assert!(report.interrupted && report.status == RunStatus::Running);

    let later = World::over(world.store.clone(), "two");
    let handle = later.engine.resume(&run, None).await.unwrap();
    handle.cancel("enough");
    let report = handle.wait().await.unwrap();
    assert_eq!(report.tasks[0].status, TaskStatus::Succeeded);
    assert!(later.asked().iter().all(|asked| asked.starts_with("two")), "{:?}", later.asked());
    assert!(matches!(
        later.engine.resume(&run, None).await,
        Err(EngineError::Ended { status: RunStatus::Cancelled, .. })
    ));
}

#[tokio::test]
async fn a_driver_that_lost_its_lease_stops_and_writes_nothing() {
    let world = World::new();
    let handle = world.start(json!({ "one": ask("answer when told", &[]) })).await;
    let run = handle.id().clone();
    let held = world.store.lease(&run).await.unwrap().unwrap();
    let other = World::over(world.store.clone(), "two");
    assert!(matches!(
        other.engine.resume(&run, None).await,
        Err(EngineError::Store(StoreError::LeaseHeld { .. }))
    ));
    let taken = other.engine.resume(&run, Some(held.epoch)).await.unwrap();
    let before = world.log(&run).await.len();
    handle.cancel("late");
    assert!(matches!(handle.wait().await, Err(EngineError::Store(StoreError::Fenced { .. }))));
    assert_eq!(world.log(&run).await.len(), before);
    taken.cancel("done");
    assert_eq!(taken.wait().await.unwrap().status, RunStatus::Cancelled);
}

#[tokio::test]
async fn what_an_attempt_says_is_kept_within_bounds() {
    let world = World::new();
    let report = world.start(json!({ "talk": ask("talk", &[]) })).await.wait().await.unwrap();
    let (mut kept, mut lost) = (0, 0);
    for recorded in world.log(&report.run).await {
        if let Event::AttemptLogged { lines, dropped, .. } = recorded.event {
            kept += lines.len() as u64;
            lost += dropped;
        }
    }
    assert_eq!((kept, lost), (5_000, 1_000));
}

#[tokio::test]
async fn unknown_agents_are_refused_before_anything_is_stored() {
    let world = World::new();
    let document = json!({ "name": "w", "tasks": { "t": { "agent": "dwv", "prompt": "x" } } });
    let workflow = Arc::new(Workflow::parse(&document).unwrap());
    match world.engine.start(StartRun::new(workflow)).await {
        Err(EngineError::UnknownAgent { suggestion, .. }) => {
            assert_eq!(suggestion.as_deref(), Some("did you mean `dev`?"));
        }
        other => panic!("{other:?}"),
    }
    assert!(world.store.run_ids("", 9).await.unwrap().is_empty());
}

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

#[tokio::test]
async fn blobs_are_found_by_content() {
    let blobs = MemoryBlobs::default();
    let id = blobs.put(b"abc").await.unwrap();
    assert_eq!(
        id.as_str(),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(blobs.get(&id).await.unwrap(), b"abc");
}
