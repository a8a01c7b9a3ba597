//! The tokio driver: it loads and appends, waits, calls the ports, supervises and shuts down.
//!
//! Every decision is [`Run`]'s. A driver task a run carries commands to it, makes
//! the events durable, and only then performs the effects.

mod attempt;
mod builder;
mod driver;
mod host;
mod report;
mod system;
#[cfg(test)]
mod tests;

pub use builder::EngineBuilder;
pub use report::{RunHandle, RunReport, TaskReport};
pub use system::{SystemClock, SystemIds};

use crate::command::Moment;
use crate::{
    agent::{self, AgentSpec},
    event::Content,
    id::{AgentName, Epoch, OwnerId, RunId, Sequence, TaskName},
    port::{Agent, Append, Blobs, Clock, Ids, Lease, Observer, Store, StoreError},
    run::{ReplayError, Run, StartRun},
    task::Binding,
    workflow::{INPUT_TYPE, Problem, did_you_mean},
};
use driver::Driver;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// How long a lease lasts unless it is renewed, which happens three times as often.
pub const LEASE_TTL: Duration = Duration::from_secs(30);

/// How long an attempt that was told to stop may take before it is dropped.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// A run that could not be started, resumed or driven to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The definition is wrong.
    #[error("the workflow has {} problem(s), the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<Problem>),
    /// Nobody can do a task.
    #[error(
        "the task `{task}` asks for the agent `{wanted}`, which is neither an agent nor a role here"
    )]
    UnknownAgent {
        /// The task.
        task: TaskName,
        /// The name or role that it asks for.
        wanted: String,
        /// Who it may have meant.
        suggestion: Option<String>,
    },
    /// A run in the store asks for an agent that this engine does not have.
    #[error("run `{run}` needs the agent `{agent}`, which is not set up any more")]
    MissingAgent {
        /// The run.
        run: RunId,
        /// The agent.
        agent: AgentName,
    },
    /// The run is over.
    #[error("run `{run}` has ended: {status}")]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        status: crate::run::RunStatus,
    },
    /// The store refused or failed. What was acknowledged is safe; the run can be resumed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log of the run does not make sense.
    #[error("cannot replay run `{run}`")]
    Replay {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        source: ReplayError,
    },
    /// The engine failed in a way that it should not.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Drives runs. A cheap handle: clones share one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) owner: OwnerId,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) agents: BTreeMap<AgentName, (Arc<AgentSpec>, Arc<dyn Agent>)>,
    /// True once the engine was told to put its work down.
    pub(crate) interrupted: watch::Sender<bool>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("owner", &self.shared.owner)
            .field("agents", &self.shared.agents.keys())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine to be put together: store and blobs in memory unless told otherwise.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The agents that it has.
    pub fn agents(&self) -> impl Iterator<Item = &AgentSpec> {
        self.shared.agents.values().map(|(spec, _)| spec.as_ref())
    }

    /// Who would do each task of `start`, best first.
    ///
    /// # Errors
    /// [`EngineError::UnknownAgent`] for the first task that nobody can do.
    pub fn bind(&self, start: &StartRun) -> Result<Vec<Binding>, EngineError> {
        let specs: BTreeMap<AgentName, AgentSpec> = self
            .shared
            .agents
            .iter()
            .map(|(name, (spec, _))| (name.clone(), (**spec).clone()))
            .collect();
        let mut known: BTreeMap<&str, Vec<AgentName>> = BTreeMap::new();
        let mut bindings = Vec::with_capacity(start.workflow.tasks.len());
        for task in &start.workflow.tasks {
            let wanted = task.wanted();
            let agents = known.entry(wanted).or_insert_with(|| agent::select(wanted, &specs));
            if agents.is_empty() {
                let names = specs.values().flat_map(|s| [s.name.as_str(), s.role.as_str()]);
                return Err(EngineError::UnknownAgent {
                    task: task.name.clone(),
                    wanted: wanted.to_owned(),
                    suggestion: did_you_mean(wanted, names),
                });
            }
            bindings.push(Binding { task: task.name.clone(), agents: agents.clone() });
        }
        Ok(bindings)
    }

    /// Creates a run and drives it in the background. When this returns, the run is durable.
    ///
    /// # Errors
    /// An invalid workflow, an unknown agent, or a failure of the store.
    pub async fn start(&self, start: StartRun) -> Result<RunHandle, EngineError> {
        let mut problems = start.workflow.check();
        if !Content::admits(&start.inputs) {
            let message =
                format!("the inputs are nested deeper than {} levels", Content::MAX_DEPTH);
            problems.push(Problem::new(INPUT_TYPE, "/inputs", message));
        }
        if !problems.is_empty() {
            return Err(EngineError::Invalid(problems));
        }
        let bindings = self.bind(&start)?;
        let mut agents: Vec<AgentSpec> = Vec::new();
        for name in bindings.iter().flat_map(|binding| &binding.agents) {
            if !agents.iter().any(|spec| spec.name == *name)
                && let Some((spec, _)) = self.shared.agents.get(name)
            {
                agents.push((**spec).clone());
            }
        }
        let now = self.shared.clock.now();
        let moment = Moment { now, draw: self.shared.ids.draw() };
        let id = self.shared.ids.run_id(now);
        let (mut run, events) = Run::create(id.clone(), start, bindings, agents, moment)
            .map_err(EngineError::Internal)?;
        let lease = Lease {
            owner: self.shared.owner.clone(),
            epoch: Epoch(1),
            expires: now.after(LEASE_TTL),
        };
        let first = Append {
            run: id,
            epoch: lease.epoch,
            expected: Sequence(0),
            rows: run.take_rows(),
            events: events.clone(),
        };
        self.shared.store.create(first, lease.clone()).await?;
        self.shared.tell(run.id(), &events);
        Ok(self.drive(run, lease.epoch))
    }

    /// Takes up a run that nobody drives, and drives it in the background. Attempts that were under
    /// way when its driver died are started again; what had ended is not.
    ///
    /// `over` names the epoch of a lease whose holder is known to be dead.
    ///
    /// # Errors
    /// The run is over, is driven by somebody else, does not exist, or needs an agent that is not
    /// here; or the store failed.
    pub async fn resume(&self, id: &RunId, over: Option<Epoch>) -> Result<RunHandle, EngineError> {
        let run = self.load(id).await?;
        if run.status().is_final() {
            return Err(EngineError::Ended { run: id.clone(), status: run.status() });
        }
        for name in run.created().bindings.iter().flat_map(|binding| &binding.agents) {
            if !self.shared.agents.contains_key(name) {
                return Err(EngineError::MissingAgent { run: id.clone(), agent: name.clone() });
            }
        }
        let now = self.shared.clock.now();
        let expires = now.after(LEASE_TTL);
        let lease = self.shared.store.claim(id, &self.shared.owner, now, expires, over).await?;
        // Its last driver may have written between the first look and the claim.
        let mut run = self.load(id).await?;
        if run.status().is_final() {
            self.shared.store.release(id, lease.epoch).await?;
            return Err(EngineError::Ended { run: id.clone(), status: run.status() });
        }
        let expected = run.seq();
        let moment = Moment { now, draw: self.shared.ids.draw() };
        let recover = crate::command::Command::Recover { lease: lease.epoch };
        let events = run
            .handle(recover, moment)
            .map_err(|rejected| EngineError::Internal(rejected.to_string()))?;
        let append = Append {
            run: id.clone(),
            epoch: lease.epoch,
            expected,
            rows: run.take_rows(),
            events: events.clone(),
        };
        self.shared.store.append(append).await?;
        self.shared.tell(id, &events);
        Ok(self.drive(run, lease.epoch))
    }

    /// The run as its log tells it.
    ///
    /// # Errors
    /// It does not exist, its log makes no sense, or the store failed.
    pub async fn load(&self, id: &RunId) -> Result<Run, EngineError> {
        const BATCH: usize = 10_000;
        let mut events = Vec::new();
        loop {
            let after = events.last().map(|e: &crate::event::Recorded| e.seq).unwrap_or_default();
            let batch = self.shared.store.events(id, after, BATCH).await?;
            let last = batch.len() < BATCH;
            events.extend(batch);
            if last {
                break;
            }
        }
        Run::replay(&events).map_err(|source| EngineError::Replay { run: id.clone(), source })
    }

    /// Puts every run down where it is: attempts are told to stop, nothing more is started, leases
    /// are given back. The runs stay open and can be resumed. Nothing is started after this.
    pub fn interrupt(&self) {
        self.shared.interrupted.send_replace(true);
    }

    fn drive(&self, run: Run, epoch: Epoch) -> RunHandle {
        let (inbox, incoming) = mpsc::unbounded_channel();
        let id = run.id().clone();
        let driver = Driver::new(self.shared.clone(), run, epoch, inbox.clone(), incoming);
        RunHandle::new(id, inbox, tokio::spawn(driver.drive()))
    }
}

impl Shared {
    pub(crate) fn tell(&self, run: &RunId, events: &[crate::event::Recorded]) {
        for observer in &self.observers {
            observer.recorded(run, events);
        }
    }
}
