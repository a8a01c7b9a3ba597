//! Runs that do nothing but have everything that a store must keep.

use orchestrator_core::{
    agent::{AgentSpec, Role},
    error::{ErrorClass, Failure},
    event::{ArtifactRef, Content, Event, Recorded, RunCreated},
    id::{
        AgentName, AttemptNumber, BlobId, CacheKey, Epoch, OwnerId, ProjectId, ProviderName, RunId,
        Sequence, TaskName, TenantId, WorkflowName,
    },
    money::MicroUsd,
    port::{
        Append, AttemptRow, AttemptStatus, CachedResult, Catalog, Claimant, Lease, Rows, RunRow,
        SpendRow, Store, StoreError, TaskRow,
    },
    run::{Behaviour, RunStatus},
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, TokenCount, Usage},
    workflow::Workflow,
};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A store under test, from both of its sides.
#[derive(Clone)]
pub struct Subject {
    /// The side that the engine writes.
    pub store: Arc<dyn Store>,
    /// The side that people read.
    pub catalog: Arc<dyn Catalog>,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject")
    }
}

/// The id `r_<text>`.
///
/// # Panics
/// When that is not a run id.
pub fn run_id(text: &str) -> RunId {
    RunId::new(format!("r_{text}")).expect("a run id")
}

/// The name of a task.
///
/// # Panics
/// When `text` is not a name.
pub fn name(text: &str) -> TaskName {
    TaskName::new(text).expect("a name")
}

pub(crate) fn agent(text: &str) -> AgentName {
    AgentName::new(text).expect("an agent name")
}

pub(crate) fn owner(text: &str) -> OwnerId {
    OwnerId::new(text).expect("an owner")
}

/// An event that an attempt began.
pub fn started(task: &str, attempt: u32) -> Event {
    Event::AttemptStarted {
        task: name(task),
        attempt: AttemptNumber(attempt),
        epoch: Epoch(1),
        agent: agent("dev"),
        child: None,
    }
}

/// An event that a run succeeded.
pub fn ended() -> Event {
    Event::RunEnded { status: RunStatus::Succeeded }
}

/// An event that an attempt succeeded with its output and a file in these blobs.
pub fn succeeded_with_blobs(task: &str, output: &BlobId, artifact: &BlobId) -> Event {
    Event::AttemptSucceeded {
        task: name(task),
        attempt: AttemptNumber(1),
        output: Content::Blob { id: output.clone(), bytes: 70_000 },
        spend: Vec::new(),
        artifacts: vec![ArtifactRef {
            name: "report.md".into(),
            media_type: "text/markdown".into(),
            blob: artifact.clone(),
            bytes: 12,
        }],
        cached: None,
    }
}

/// One run as its driver sees it: what to write next and under which epoch.
#[derive(Debug, Clone)]
pub struct Driver {
    /// The run.
    pub run: RunId,
    /// The epoch of its lease.
    pub epoch: Epoch,
    /// The last event that is known to be written.
    pub seq: Sequence,
    /// The run's row as last written.
    pub row: RunRow,
}

impl Driver {
    /// A run that is not stored yet, created at `at` milliseconds.
    ///
    /// # Panics
    /// When `id` does not make a run id.
    pub fn new(id: &str, at: u64) -> Self {
        let run = run_id(id);
        let row = RunRow {
            tenant: TenantId::default(),
            project: ProjectId::default(),
            id: run.clone(),
            workflow: WorkflowName::new("audit").expect("a name"),
            version: "1.2.0".into(),
            source: "template:audit".into(),
            status: RunStatus::Running,
            parent: None,
            origin: None,
            created_at: Timestamp(at),
            ended_at: None,
            tasks: 2,
            ended: 0,
            failed: 0,
            usage: Usage::default(),
            cost: Cost::default(),
            budget: Some(MicroUsd(5_000_000)),
            replayed: true,
            seq: Sequence(1),
        };
        Self { run, epoch: Epoch(1), seq: Sequence(0), row }
    }

    /// The lease that [`Driver::create`] gives: `owner-1` until 1,000.
    pub fn lease(&self) -> Lease {
        Lease { owner: owner("owner-1"), epoch: self.epoch, expires: Timestamp(1_000) }
    }

    /// The first append: the creation and the run's row.
    ///
    /// # Panics
    /// Never: the workflow's name is valid.
    pub fn first(&self) -> Append {
        let created = RunCreated {
            run: self.run.clone(),
            tenant: self.row.tenant.clone(),
            project: self.row.project.clone(),
            directory: PathBuf::from("/srv/project"),
            workflow: Arc::new(Workflow::new("audit").expect("a name")),
            source: self.row.source.clone(),
            inputs: Arc::new(json!({ "prompt": "do it" })),
            bindings: Arc::default(),
            agents: vec![AgentSpec::new(
                agent("dev"),
                Role::Dev,
                ProviderName::new("builtin").expect("a name"),
            )],
            budget: None,
            max_parallel: 4,
            parent: self.row.parent.clone(),
            origin: self.row.origin.clone(),
            library: BTreeMap::new(),
            behaviour: Behaviour::default(),
            takes_over: BTreeMap::new(),
            cassette: None,
            uncommitted: false,
            estimate: None,
        };
        let rows = Rows { run: Some(self.row.clone()), ..Rows::default() };
        Append {
            run: self.run.clone(),
            epoch: self.epoch,
            expected: Sequence(0),
            events: vec![Recorded {
                seq: Sequence(1),
                at: self.row.created_at,
                event: Event::RunCreated(Box::new(created)),
            }],
            rows,
        }
    }

    /// Creates the run.
    ///
    /// # Panics
    /// When the store refuses.
    pub async fn create(&mut self, store: &dyn Store) {
        store.create(self.first(), self.lease()).await.expect("create");
        self.seq = Sequence(1);
    }

    /// A stored run, created at `at`.
    ///
    /// # Panics
    /// When the store refuses.
    pub async fn created(store: &dyn Store, id: &str, at: u64) -> Self {
        let mut driver = Self::new(id, at);
        driver.create(store).await;
        driver
    }

    /// The next append, with these events.
    pub fn next(&self, events: Vec<Event>, rows: Rows) -> Append {
        let mut seq = self.seq;
        let events = events
            .into_iter()
            .map(|event| {
                seq = seq.next();
                Recorded { seq, at: Timestamp(self.row.created_at.0 + seq.0), event }
            })
            .collect();
        Append { run: self.run.clone(), epoch: self.epoch, expected: self.seq, events, rows }
    }

    /// Appends these events and rows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn append(
        &mut self,
        store: &dyn Store,
        events: Vec<Event>,
        rows: Rows,
    ) -> Result<(), StoreError> {
        let count = events.len() as u64;
        store.append(Arc::new(self.next(events, rows))).await?;
        self.seq = Sequence(self.seq.0 + count);
        Ok(())
    }

    /// Ends the run with `status`.
    ///
    /// # Panics
    /// When the store refuses.
    pub async fn end(&mut self, store: &dyn Store, status: RunStatus) {
        self.row.status = status;
        self.row.ended_at = Some(Timestamp(self.row.created_at.0 + 50));
        let rows = Rows { run: Some(self.row.clone()), ..Rows::default() };
        self.append(store, vec![Event::RunEnded { status }], rows).await.expect("end");
    }

    /// A row of one of its tasks.
    pub fn task(&self, task: &str, position: u32, status: TaskStatus) -> TaskRow {
        TaskRow {
            run: self.run.clone(),
            name: name(task),
            position,
            status,
            verified: None,
            agent: Some(agent("dev")),
            attempts: 1,
            started_at: Some(Timestamp(10)),
            ended_at: None,
            usage: Usage { input: TokenCount(7), ..Usage::default() },
            cost: Cost::default(),
            error: Some(Failure::new(ErrorClass::TimedOut, "past its limit of 30s")),
            output: Some(Content::Inline(json!({ "steps": ["a", "b\u{0}", "é"] }))),
            items: None,
            held_up: None,
            ask: None,
            more_asks: Vec::new(),
        }
    }

    /// A row of an attempt of one of its tasks, started at `at`.
    pub fn attempt(&self, task: &str, number: u32, by: &str, at: u64) -> AttemptRow {
        AttemptRow {
            run: self.run.clone(),
            task: name(task),
            number: AttemptNumber(number),
            epoch: Epoch(u64::from(number)),
            agent: agent(by),
            status: AttemptStatus::Running,
            started_at: Timestamp(at),
            ended_at: None,
            error: None,
            usage: Usage::default(),
            cost: Cost::default(),
            artifacts: Vec::new(),
            child: None,
            session: None,
            turns: 0,
            cached: None,
        }
    }

    /// Who asks for a concurrency group for one of its tasks.
    pub fn claimant(&self, task: &str) -> Claimant {
        let (project, run) = (self.row.project.clone(), self.run.clone());
        Claimant { project, run, epoch: self.epoch, task: name(task) }
    }

    /// A result of one of its tasks that is kept under a key made of `key`, from 100 milliseconds
    /// on.
    ///
    /// # Panics
    /// When `key` does not make a key.
    pub fn cached(&self, key: &str, task: &str, expires: Option<u64>) -> CachedResult {
        CachedResult {
            key: CacheKey::new(key).expect("a key"),
            project: self.row.project.clone(),
            workflow: self.row.workflow.clone(),
            run: self.run.clone(),
            task: name(task),
            at: Timestamp(100),
            expires: expires.map(Timestamp),
            output: Content::Inline(json!({ "of": self.run, "by": task })),
            artifacts: Vec::new(),
        }
    }
}

/// A line of spending of `driver`'s run: one request, 10 tokens in and 3 out.
///
/// # Panics
/// When a name is not valid.
pub fn spend(driver: &Driver, task: &str, by: &str, model: &str, cost: Option<u64>) -> SpendRow {
    SpendRow {
        run: driver.run.clone(),
        task: name(task),
        attempt: AttemptNumber(1),
        agent: agent(by),
        provider: ProviderName::new("lab").expect("a name"),
        model: model.into(),
        requests: 1,
        usage: Usage { input: TokenCount(10), output: TokenCount(3), ..Usage::default() },
        cost: cost.map(MicroUsd),
        at: driver.row.created_at,
    }
}
