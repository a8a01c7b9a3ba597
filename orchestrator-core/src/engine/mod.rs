//! The tokio driver: it loads and appends, waits, calls the ports, supervises and shuts down.
//!
//! Every decision is [`Run`](crate::run::Run)'s. A driver task a run carries commands to it, makes
//! the events durable, and only then performs the effects. A run that only waits has no driver: it
//! is parked, and taken up from its log when something comes for it. One keeper an engine renews
//! the leases, looks for mail and wakes what is due.

mod accept;
mod attempt;
mod builder;
mod cache;
mod checkpoint;
mod children;
mod commit;
mod content;
mod decide;
mod desk;
mod driver;
mod effects;
mod error;
mod evaluate;
mod feedback;
mod gate;
mod host;
mod journal;
mod judge;
mod keeper;
mod people;
mod recover;
mod registry;
mod report;
mod rest;
mod schema;
mod seat;
mod start;
mod system;
#[cfg(test)]
mod tests;
mod watched;
mod work;

pub use builder::EngineBuilder;
pub use error::EngineError;
pub use report::{RunHandle, RunReport, TaskReport};
pub use system::{SystemClock, SystemIds};

use crate::{
    agent::AgentSpec,
    event::Recorded,
    id::{AgentName, OwnerId, RunId},
    port::{Agent, Blobs, Clock, Ids, Lease, Observer, Reckoner, Store, Workspaces},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// How long a lease lasts unless it is renewed, which happens three times as often.
pub const LEASE_TTL: Duration = Duration::from_secs(30);

/// How long an attempt that was told to stop may take before it is dropped.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// How often it is looked for mail unless the builder is told otherwise.
const MAIL: Duration = Duration::from_millis(100);

/// How often a place is measured unless the builder is told otherwise.
const MEASURE: Duration = Duration::from_secs(10);

/// How many times longer than measuring a place took it is left alone at least.
const MEASURE_REST: u32 = 20;

/// How often a parent looks at children that another engine drives.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// How many parked runs are loaded at once.
const REVIVALS: usize = 64;

/// Drives runs. A cheap handle: clones share one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// Tells whether the holder of a lease cannot be at work any more.
type Judge = Box<dyn Fn(&Lease) -> bool + Send + Sync>;

/// What all drivers of an engine share.
pub(crate) struct Shared {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    values: content::Values,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    owner: OwnerId,
    observers: Vec<Arc<dyn Observer>>,
    agents: BTreeMap<AgentName, (Arc<AgentSpec>, Arc<dyn Agent>)>,
    /// Whether the holder of a lease cannot be at work any more.
    is_dead: Judge,
    /// The specifications of the agents, to choose from.
    specs: BTreeMap<AgentName, AgentSpec>,
    reckoner: Option<Arc<dyn Reckoner>>,
    workspaces: Option<Arc<dyn Workspaces>>,
    /// Where the project is, if it may be elsewhere than a run says.
    directory: Option<PathBuf>,
    /// How often places are measured in which attempts work.
    measure_every: Duration,
    /// True once the engine was told to put its work down.
    interrupted: watch::Sender<bool>,
    gate: gate::SharedGate,
    runs: registry::Registry,
    /// Up to where it was looked for mail, and how often that is done.
    mail: AtomicU64,
    mail_every: Duration,
    revivals: Semaphore,
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

    /// Puts every run down where it is: attempts are told to stop, nothing more is started, leases
    /// are given back. The runs stay open and can be resumed. Nothing is started after this.
    pub fn interrupt(&self) {
        self.shared.interrupted.send_replace(true);
    }

    /// How many runs are driven, and how many are parked because they only wait.
    pub fn runs(&self) -> (usize, usize) {
        self.shared.runs.counts()
    }

    /// Waits until no run is driven: each has ended, only waits, or was put down. Runs that others
    /// have started count too, such as those that follow by `then`.
    pub async fn idle(&self) {
        self.shared.runs.idle().await;
    }
}

impl Shared {
    fn tell(&self, run: &RunId, events: &[Recorded]) {
        for observer in &self.observers {
            observer.recorded(run, events);
        }
    }
}
