//! Starting runs, loading them, taking them up.

use super::{
    Engine, EngineError, LEASE_TTL, Shared,
    driver::{Driver, Input},
    registry::{Delivery, Listener, Place},
    report::RunHandle,
    watched::Watched,
};
use crate::{
    agent::{self, AgentSpec},
    command::{Command, Moment},
    event::Content,
    graph::Graph,
    id::{AgentName, Epoch, RunId, Sequence},
    port::{Append, Lease, Signal, StoreError},
    run::{Run, RunStatus, StartRun},
    task::{Binding, TaskSpec},
    workflow::{INPUT_TYPE, Problem, did_you_mean},
};
use std::{collections::BTreeMap, sync::Arc};

/// How many ids are made until one is new.
const ID_TRIES: usize = 16;

/// Who does what, and the agents that are named there.
pub(super) struct Bound {
    pub(super) bindings: Vec<Binding>,
    pub(super) agents: Vec<AgentSpec>,
}

impl Shared {
    /// Who would do each of `tasks`, best first.
    ///
    /// # Errors
    /// [`EngineError::UnknownAgent`] for the first task that nobody can do.
    pub(super) fn bind(&self, tasks: &[TaskSpec]) -> Result<Bound, EngineError> {
        let mut known: BTreeMap<&str, Vec<AgentName>> = BTreeMap::new();
        let mut bindings = Vec::with_capacity(tasks.len());
        for task in tasks {
            let mut binding = Binding::new(task.name.clone(), Vec::new());
            if let Some(wanted) = task.wanted() {
                binding.agents = self.who(task, wanted, &mut known)?;
            }
            if let Some(wanted) = task.compensate.as_deref().and_then(|kind| kind.wanted()) {
                binding.undo = self.who(task, wanted, &mut known)?;
            }
            if let Some(judge) = task.checks.as_deref().and_then(|checks| checks.judge.as_deref()) {
                binding.judges = self.who(task, judge, &mut known)?;
            }
            bindings.push(binding);
        }
        let named = known.into_values().flatten().collect::<std::collections::BTreeSet<_>>();
        let agents = named.iter().filter_map(|name| Some((*self.agents.get(name)?.0).clone()));
        Ok(Bound { agents: agents.collect(), bindings })
    }

    fn who<'t>(
        &self,
        task: &'t TaskSpec,
        wanted: &'t str,
        known: &mut BTreeMap<&'t str, Vec<AgentName>>,
    ) -> Result<Vec<AgentName>, EngineError> {
        if let Some(agents) = known.get(wanted) {
            return Ok(agents.clone());
        }
        let agents = agent::select(wanted, &self.specs);
        if agents.is_empty() {
            let names = self.specs.values().flat_map(|s| [s.name.as_str(), s.role.as_str()]);
            return Err(EngineError::UnknownAgent {
                task: task.name.clone(),
                wanted: wanted.to_owned(),
                suggestion: did_you_mean(wanted, names),
            });
        }
        known.insert(wanted, agents.clone());
        Ok(agents)
    }

    /// Creates a run and drives it. `None` when this engine has a run with that id already.
    ///
    /// # Errors
    /// An invalid workflow, an unknown agent, or a failure of the store.
    pub(super) async fn start(
        self: &Arc<Self>,
        id: Option<RunId>,
        start: StartRun,
    ) -> Result<Option<(RunId, Listener)>, EngineError> {
        let checked = start.workflow.checked();
        let mut problems = Vec::new();
        if !Content::admits(&start.inputs) {
            let message =
                format!("the inputs are nested deeper than {} levels", Content::MAX_DEPTH);
            problems.push(Problem::new(INPUT_TYPE, "/inputs", message));
        }
        let graph = match checked {
            Ok(graph) if problems.is_empty() => graph,
            checked => {
                problems.splice(..0, checked.err().unwrap_or_default());
                return Err(EngineError::Invalid(problems));
            }
        };
        let Bound { bindings, agents } = self.bind(&start.workflow.tasks)?;
        let now = self.clock.now();
        let parent = start.parent.clone();
        let (id, place) = match id {
            Some(id) => match self.runs.reserve(&id, parent.as_ref()) {
                Some(place) => (id, place),
                None => return Ok(None),
            },
            // Of many ids of one instant two may be the same.
            None => (0..ID_TRIES)
                .find_map(|_| {
                    let id = self.ids.run_id(now);
                    let place = self.runs.reserve(&id, parent.as_ref())?;
                    Some((id, place))
                })
                .ok_or_else(|| EngineError::Internal("no new id could be made".into()))?,
        };
        let mut watched = Watched::new(self, &id);
        let created = self.put_into_store(&id, start, graph, bindings, agents).await;
        let (run, epoch) = created.inspect_err(|error| watched.give_up(error))?;
        watched.relieve();
        let listener = self.drive(run, epoch, place)?;
        Ok(Some((id, listener)))
    }

    async fn put_into_store(
        self: &Arc<Self>,
        id: &RunId,
        start: StartRun,
        graph: Graph,
        bindings: Vec<Binding>,
        agents: Vec<AgentSpec>,
    ) -> Result<(Run, Epoch), EngineError> {
        let moment = Moment { now: self.clock.now(), draw: self.ids.draw() };
        let epoch = Epoch(1);
        self.runs.admit(id, epoch, start.parent.as_ref());
        let (mut run, events) = {
            let mut pass = self.gate.pass(moment.now);
            Run::create_on(graph, id.clone(), start, bindings, agents, moment, &mut pass)
                .map_err(EngineError::Internal)?
        };
        let expires = moment.now.after(LEASE_TTL);
        let lease = Lease { owner: self.owner.clone(), epoch, expires };
        let expected = Sequence(0);
        let rows = run.take_rows();
        let first = Append { run: id.clone(), epoch, expected, rows, events };
        self.create(&first, &lease).await?;
        self.tell(id, &first.events);
        Ok((run, epoch))
    }

    /// Drives `run` in the background.
    pub(super) fn drive(
        self: &Arc<Self>,
        run: Run,
        epoch: Epoch,
        place: Place,
    ) -> Result<Listener, EngineError> {
        let listener = self.runs.listen(run.id()).ok_or_else(|| {
            EngineError::Internal(format!("run `{}` has lost its place", run.id()))
        })?;
        place.status.send_replace(run.status());
        self.keep();
        tokio::spawn(Driver::new(self.clone(), run, epoch, place, Box::default()).drive());
        Ok(listener)
    }

    /// Takes up a run that nobody drives. `None` when this engine has it already.
    ///
    /// # Errors
    /// See [`Engine::resume`].
    pub(super) async fn take_up(
        self: &Arc<Self>,
        id: &RunId,
        over: Option<Epoch>,
    ) -> Result<Option<Listener>, EngineError> {
        let Some(place) = self.runs.reserve(id, None) else {
            return Ok(None);
        };
        let mut watched = Watched::new(self, id);
        let claimed = self.claim(id, over).await;
        let (run, epoch) = claimed.inspect_err(|error| watched.give_up(error))?;
        watched.relieve();
        self.runs.admit(id, epoch, run.created().parent.as_ref());
        // What came while nobody drove it.
        let _ = place.inbox.send(Input::Mail);
        self.drive(run, epoch, place).map(Some)
    }

    async fn claim(&self, id: &RunId, over: Option<Epoch>) -> Result<(Run, Epoch), EngineError> {
        let now = self.clock.now();
        let expires = now.after(LEASE_TTL);
        let lease = match self.store.claim(id, &self.owner, now, expires, over).await {
            Err(StoreError::LeaseHeld { lease, .. }) if (self.is_dead)(&lease) => {
                self.store.claim(id, &self.owner, now, expires, Some(lease.epoch)).await?
            }
            claimed => claimed?,
        };
        self.runs.admit(id, lease.epoch, None);
        match self.recover(id, lease.epoch).await {
            Ok(run) => Ok((run, lease.epoch)),
            Err(error) => {
                if let Err(error) = self.store.release(id, lease.epoch).await {
                    tracing::warn!(run = %id, %error, "the lease could not be given back");
                }
                Err(error)
            }
        }
    }

    /// The run, with what its last driver left under way counted as lost.
    async fn recover(&self, id: &RunId, epoch: Epoch) -> Result<Run, EngineError> {
        let mut run = self.load(id).await?;
        if run.status().is_final() {
            return Err(EngineError::Ended { run: id.clone(), status: run.status() });
        }
        let bindings = &run.created().bindings;
        for name in bindings.iter().flat_map(|binding| binding.agents.iter().chain(&binding.judges))
        {
            if !self.agents.contains_key(name) {
                return Err(EngineError::MissingAgent { run: id.clone(), agent: name.clone() });
            }
        }
        let mut spent = BTreeMap::new();
        if let Some(reckoner) = &self.reckoner {
            for attempt in run.attempts_under_way() {
                let lines = reckoner.spent(id, &attempt).await?;
                spent.insert(attempt.task, lines);
            }
        }
        let expected = run.seq();
        let moment = Moment { now: self.clock.now(), draw: self.ids.draw() };
        let events = {
            let mut pass = self.gate.pass(moment.now);
            run.handle(Command::Recover { lease: epoch, spent }, moment, &mut pass)
                .map_err(|rejected| EngineError::Internal(rejected.to_string()))?
        };
        let rows = run.take_rows();
        let append = Arc::new(Append { run: id.clone(), epoch, expected, rows, events });
        self.append(&append).await?;
        self.tell(id, &append.events);
        Ok(run)
    }

    /// The run as its log tells it.
    ///
    /// # Errors
    /// It does not exist, its log makes no sense, or the store failed.
    pub(super) async fn load(&self, id: &RunId) -> Result<Run, EngineError> {
        const BATCH: usize = 10_000;
        let mut events = Vec::new();
        loop {
            let after = events.last().map(|e: &crate::event::Recorded| e.seq).unwrap_or_default();
            let batch = self.store.events(id, after, BATCH).await?;
            let last = batch.len() < BATCH;
            events.extend(batch);
            if last {
                break;
            }
        }
        let mut run = Run::replay(&events)
            .map_err(|source| EngineError::Replay { run: id.clone(), source })?;
        if let Some(directory) = &self.directory {
            run.work_in(directory.clone());
        }
        Ok(run)
    }

    /// Puts `input` into the inbox of `run`, and takes the run up when it is parked. False when this
    /// engine does not have it.
    pub(super) fn deliver(self: &Arc<Self>, run: &RunId, input: Input) -> bool {
        match self.runs.deliver(run, input) {
            Delivery::Unknown => false,
            Delivery::Done => true,
            Delivery::Revive(revived) => {
                tokio::spawn(Driver::revive(self.clone(), run.clone(), *revived));
                true
            }
        }
    }

    /// Puts a signal into the inbox of `run` for good, and tells its driver if that is here.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn signal(
        self: &Arc<Self>,
        run: &RunId,
        signal: Signal,
    ) -> Result<(), StoreError> {
        self.store.signal(run, signal, self.clock.now()).await?;
        self.deliver(run, Input::Mail);
        Ok(())
    }
}

impl Engine {
    /// Who would do each task of `start`, best first.
    ///
    /// # Errors
    /// [`EngineError::UnknownAgent`] for the first task that nobody can do.
    pub fn bind(&self, start: &StartRun) -> Result<Vec<Binding>, EngineError> {
        self.shared.bind(&start.workflow.tasks).map(|bound| bound.bindings)
    }

    /// Creates a run and drives it in the background. When this returns, the run is durable.
    ///
    /// # Errors
    /// An invalid workflow, an unknown agent, or a failure of the store.
    pub async fn start(&self, start: StartRun) -> Result<RunHandle, EngineError> {
        self.start_as(None, start).await
    }

    /// The same under an id that the caller has chosen: starting twice starts one.
    ///
    /// # Errors
    /// As for [`Engine::start`]; [`StoreError::RunExists`] when there is a run with that id.
    pub async fn start_as(
        &self,
        id: Option<RunId>,
        start: StartRun,
    ) -> Result<RunHandle, EngineError> {
        let named = id.clone();
        match (self.shared.start(id, start).await?, named) {
            (Some((id, listener)), _) => Ok(RunHandle::new(id, self.shared.clone(), listener)),
            (None, Some(id)) => Err(StoreError::RunExists(id).into()),
            (None, None) => Err(EngineError::Internal("a new id is not new".into())),
        }
    }

    /// Takes up a run that nobody drives, and drives it in the background. Attempts that were under
    /// way when its driver died go on with their journals; what had ended is not done again. A run
    /// that is paused is not any more.
    ///
    /// `over` names the epoch of a lease whose holder is known to be dead; see also
    /// [`EngineBuilder::dead_when`](super::EngineBuilder::dead_when).
    ///
    /// # Errors
    /// The run is over, is driven by somebody else, does not exist, or needs an agent that is not
    /// here; or the store failed.
    pub async fn resume(&self, id: &RunId, over: Option<Epoch>) -> Result<RunHandle, EngineError> {
        let listener = match self.shared.take_up(id, over).await? {
            Some(listener) => listener,
            None => self.shared.runs.listen(id).ok_or_else(|| {
                EngineError::Internal(format!("run `{id}` ended while it was taken up"))
            })?,
        };
        let paused = *listener.status.borrow() == RunStatus::Paused;
        let handle = RunHandle::new(id.clone(), self.shared.clone(), listener);
        if paused {
            handle.resume().await?;
        }
        Ok(handle)
    }

    /// The run as its log tells it.
    ///
    /// # Errors
    /// It does not exist, its log makes no sense, or the store failed.
    pub async fn load(&self, id: &RunId) -> Result<Run, EngineError> {
        self.shared.load(id).await
    }
}
