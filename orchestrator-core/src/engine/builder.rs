//! Putting an engine together.

use super::{
    Engine, MAIL, MEASURE, REVIVALS, Shared, SystemClock, SystemIds, content::Values,
    gate::SharedGate, registry::Registry,
};
use crate::{
    agent::{AgentSpec, Role},
    id::{AgentName, InvalidId, OwnerId, ProviderName},
    memory::{MemoryBlobs, MemoryStore},
    policy::BreakerPolicy,
    port::{Agent, Blobs, Clock, Ids, Lease, Observer, Reckoner, Store, Workspaces},
    schedule::{LimitPolicy, Limits},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// Puts an [`Engine`] together. Store and blobs are in memory, clock and ids the system's, unless
/// they are given.
#[derive(Default)]
pub struct EngineBuilder {
    store: Option<Arc<dyn Store>>,
    blobs: Option<Arc<dyn Blobs>>,
    clock: Option<Arc<dyn Clock>>,
    ids: Option<Arc<dyn Ids>>,
    owner: Option<OwnerId>,
    observers: Vec<Arc<dyn Observer>>,
    agents: BTreeMap<AgentName, (Arc<AgentSpec>, Arc<dyn Agent>)>,
    is_dead: Option<super::Judge>,
    limits: LimitPolicy,
    breaker: BreakerPolicy,
    mail_every: Option<Duration>,
    reckoner: Option<Arc<dyn Reckoner>>,
    workspaces: Option<Arc<dyn Workspaces>>,
    directory: Option<PathBuf>,
    measure_every: Option<Duration>,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("owner", &self.owner)
            .field("agents", &self.agents.keys())
            .finish_non_exhaustive()
    }
}

impl EngineBuilder {
    /// Where events and rows are kept.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Where large things are kept.
    #[must_use]
    pub fn blobs(mut self, blobs: Arc<dyn Blobs>) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// Who tells the time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who makes ids and draws numbers.
    #[must_use]
    pub fn ids(mut self, ids: Arc<dyn Ids>) -> Self {
        self.ids = Some(ids);
        self
    }

    /// In whose name leases are held. Default: the process id.
    #[must_use]
    pub fn owner(mut self, owner: OwnerId) -> Self {
        self.owner = Some(owner);
        self
    }

    /// One more observer.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Who tells that the holder of a lease cannot be at work any more, so that its runs, and the
    /// children of runs that are resumed, are taken over before the lease has expired. Default:
    /// nobody does.
    #[must_use]
    pub fn dead_when(mut self, judge: impl Fn(&Lease) -> bool + Send + Sync + 'static) -> Self {
        self.is_dead = Some(Box::new(judge));
        self
    }

    /// How often the engine looks whether another process has signalled one of its runs. Default:
    /// ten times a second. What is signalled through a [`RunHandle`](super::RunHandle) does not
    /// wait for it.
    #[must_use]
    pub fn mail_every(mut self, period: Duration) -> Self {
        self.mail_every = Some(period);
        self
    }

    /// How many attempts may be under way at once, over all runs. What an agent's own
    /// specification says holds too. Default: no limit.
    #[must_use]
    pub fn limits(mut self, limits: LimitPolicy) -> Self {
        self.limits = limits;
        self
    }

    /// When a provider that fails is left alone for a while.
    #[must_use]
    pub fn breaker(mut self, breaker: BreakerPolicy) -> Self {
        self.breaker = breaker;
        self
    }

    /// Who knows what attempts have spent whose driver died. Default: nobody; then what they did not
    /// record themselves is not counted in their runs.
    #[must_use]
    pub fn reckoner(mut self, reckoner: Arc<dyn Reckoner>) -> Self {
        self.reckoner = Some(reckoner);
        self
    }

    /// Who gives attempts a place of their own, and proves and lands what they make there. Default:
    /// nobody; then a task that declares a workspace fails with `invalid_request` before anything is
    /// spent.
    #[must_use]
    pub fn workspaces(mut self, workspaces: Arc<dyn Workspaces>) -> Self {
        self.workspaces = Some(workspaces);
        self
    }

    /// Where the project of all runs is now: they work there wherever it was when they were started,
    /// since it may have been moved or copied with its store. Default: where each was started.
    #[must_use]
    pub fn directory(mut self, directory: PathBuf) -> Self {
        self.directory = Some(directory);
        self
    }

    /// How often the place of an attempt is measured that has a quota, while the attempt works there.
    /// Where measuring takes long it is done less often, so that it never takes more than a
    /// twentieth of the time. Default: every 10 seconds, by the engine's clock.
    #[must_use]
    pub fn measure_every(mut self, period: Duration) -> Self {
        self.measure_every = Some(period);
        self
    }

    /// One more agent; one of the same name is replaced.
    #[must_use]
    pub fn agent(mut self, spec: AgentSpec, agent: Arc<dyn Agent>) -> Self {
        let spec = AgentSpec { steerable: agent.steerable(), ..spec };
        self.agents.insert(spec.name.clone(), (Arc::new(spec), agent));
        self
    }

    /// One more agent, by its name alone: its role is `dev` and its provider `own`.
    ///
    /// # Errors
    /// [`InvalidId`] when the name breaks its rule.
    pub fn own_agent(self, name: &str, agent: impl Agent + 'static) -> Result<Self, InvalidId> {
        let spec = AgentSpec::new(AgentName::new(name)?, Role::Dev, ProviderName::new("own")?);
        Ok(self.agent(spec, Arc::new(agent)))
    }

    /// The engine.
    pub fn build(self) -> Engine {
        let ids = self.ids.unwrap_or_else(|| Arc::new(SystemIds));
        let owner = self.owner.unwrap_or_else(|| {
            // Digits and a colon always make a valid owner.
            OwnerId::new(format!("pid:{}:{}", std::process::id(), ids.draw()))
                .unwrap_or_else(|_| unreachable!("digits make a valid owner"))
        });
        let specs: BTreeMap<AgentName, AgentSpec> =
            self.agents.iter().map(|(name, (spec, _))| (name.clone(), (**spec).clone())).collect();
        let mut limits = self.limits;
        for spec in specs.values() {
            if let Some(own) = spec.max_parallel {
                let most = limits.agents.entry(spec.name.clone()).or_insert(own);
                *most = own.min(*most);
            }
        }
        let shared = Shared {
            store: self.store.unwrap_or_else(|| Arc::new(MemoryStore::default())),
            blobs: self.blobs.unwrap_or_else(|| Arc::new(MemoryBlobs::default())),
            values: Values::default(),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            ids,
            owner,
            observers: self.observers,
            agents: self.agents,
            is_dead: self.is_dead.unwrap_or_else(|| Box::new(|_| false)),
            specs,
            reckoner: self.reckoner,
            workspaces: self.workspaces,
            directory: self.directory,
            measure_every: self.measure_every.unwrap_or(MEASURE).max(Duration::from_millis(1)),
            interrupted: watch::Sender::new(false),
            gate: SharedGate::new(Limits::new(limits, self.breaker)),
            runs: Registry::default(),
            mail: AtomicU64::new(0),
            mail_every: self.mail_every.unwrap_or(MAIL).max(Duration::from_millis(1)),
            revivals: Semaphore::new(REVIVALS),
        };
        Engine { shared: Arc::new(shared) }
    }
}
