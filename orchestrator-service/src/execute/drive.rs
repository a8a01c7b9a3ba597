//! Starting runs and taking them up again.

use super::{ExecuteRequest, Execution, Quote, prepare::Prepared, watch::Watch};
use crate::{
    OrchestratorService, ServiceError,
    cassette::{self, Between, Stage},
    clock::now,
    control::refuse_over,
    credentials::{Guarded, GuardedResponses},
    document::Diagnostic,
    owner::Holder,
    platform,
    programs::{Homes, LedgerReckoner},
    query::{Driver, Standing, WAITING, result_branches},
    service::Opened,
    telemetry::Books,
    views::{
        ArtifactView, ControlView, Controlled, FailureView, ResultBranch, ResultView, RunView,
        TaskView,
    },
    work::{Confiner, Places},
};
use orchestrator_core::{
    engine::{Engine, EngineError},
    event::CassetteUse,
    id::{AgentName, RunId, Sequence, TaskName},
    money::MicroUsd,
    port::{Lease, RunRow, Signal, StoreError},
    run::{RunStatus, StartRun},
    task::{TaskSpec, TaskStatus},
    workflow::Workflow,
    workspace::LandMode,
};
use orchestrator_gateway::route::Router;
use orchestrator_workspace::{git::GitError, landing::LandError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What came of the wish to let a run go on.
#[derive(Debug)]
pub enum Resumed {
    /// This process drives it now.
    Driving(Box<Execution>),
    /// The process that drives it has been told.
    Told(ControlView),
}

impl OrchestratorService {
    /// Starts a run. When this returns, the run is durable and under way.
    ///
    /// # Errors
    /// An invalid workflow or input, an unknown agent, missing keys, an unusable store.
    pub async fn execute(&self, request: ExecuteRequest) -> Result<Execution, ServiceError> {
        let quote = self.quote(&request).await?;
        self.start(quote).await
    }

    /// Starts a run that was prepared, as [`OrchestratorService::execute`] does. What was expected of
    /// it is recorded with it.
    ///
    /// # Errors
    /// Missing keys, an unusable store.
    pub async fn start(&self, quote: Quote) -> Result<Execution, ServiceError> {
        let Quote { service, tape, prepared: Prepared { mut start, bound }, .. } = quote;
        if let Some(tape) = tape {
            start.cassette = Some(tape.keep(service.store()?).await?);
        }
        service.begin(start, bound.everybody()).await
    }

    /// Starts what was prepared, with these agents.
    pub(crate) async fn begin(
        &self,
        mut start: StartRun,
        agents: &BTreeSet<AgentName>,
    ) -> Result<Execution, ServiceError> {
        self.judge_places(&start.workflow, &start.library).await?;
        self.pin_branches(&mut start).await?;
        start.uncommitted = self.includes_uncommitted();
        let opened = self.store()?;
        let watch = Watch::new();
        let cassette = start.cassette.clone();
        let unconfined = self.unconfined_note(&start.workflow, &start.library)?;
        let started = async {
            let (engine, note) =
                self.engine(opened, agents, &watch, cassette.as_ref(), Stage::Begins).await?;
            self.keep_secret(&mut start)?;
            let handle = engine.start(start).await.map_err(|error| opened.refused(error))?;
            Ok::<_, ServiceError>((engine, handle, note))
        };
        let (engine, handle, note) =
            started.await.inspect_err(|_| cassette.iter().for_each(cassette::forget))?;
        let notes = note.into_iter().chain(unconfined).collect();
        Ok(Execution::new(self.clone(), opened.clone(), engine, handle, watch, notes))
    }

    /// Takes up a run that was interrupted, paused or put down, or whose process died. A child is
    /// taken up with the run that waits for it.
    ///
    /// # Errors
    /// An unknown run, one that has ended, one that a living process drives, or one whose agents
    /// cannot work here.
    pub async fn resume(&self, run: &str) -> Result<Execution, ServiceError> {
        match self.go_on(run, None).await? {
            Resumed::Driving(execution) => Ok(*execution),
            Resumed::Told(_) => Err(ServiceError::Internal("the run was paused, not idle".into())),
        }
    }

    /// Lets a run go on: one that nobody drives is taken up here, and a paused one that a living
    /// process drives is told so. With `budget` it may cost that much from now on, in all, and what
    /// its budget has stopped is tried again; a living process is told that, too.
    ///
    /// # Errors
    /// As for [`OrchestratorService::resume`].
    pub async fn go_on(
        &self,
        run: &str,
        budget: Option<MicroUsd>,
    ) -> Result<Resumed, ServiceError> {
        let (opened, given) = self.find_run(run).await?;
        refuse_over(&given, "resume")?;
        let granted = match budget {
            Some(usd) => Some(self.ask(opened, &given, Signal::Budget { usd: Some(usd) }).await?),
            None => None,
        };
        let paused = |row: &RunRow| row.status == RunStatus::Paused;
        if let Driver::Alive(lease) = self.driver(opened, &given).await? {
            if paused(&given) {
                return Ok(Resumed::Told(self.unpause(opened, &given).await?));
            }
            if let Some(told) = granted {
                let item = Controlled::of(&given.id, None, &told);
                return Ok(Resumed::Told(ControlView::one("resume", item)));
            }
            return Err(self.driven(&given.id, &lease));
        }
        let row = self.root(opened, &given).await?;
        let over = match self.driver(opened, &row).await? {
            Driver::Alive(lease) => return Err(self.driven(&row.id, &lease)),
            Driver::Nobody(lease) => lease.map(|lease| lease.epoch),
        };
        let created = opened.created(&row.id).await?;
        let this = self.as_for(opened, &created).await?;
        let needed = this.roster()?.needed(&created);
        let (watch, cassette) = (Watch::new(), created.cassette.as_ref());
        let unconfined = self.unconfined_note(&created.workflow, &created.library)?;
        let (engine, note) = this.engine(opened, &needed, &watch, cassette, Stage::GoesOn).await?;
        // Nothing is recorded before all that the run needs is known to be here.
        if paused(&row) {
            self.ask(opened, &row, Signal::Resume {}).await?;
        }
        // A child goes on with its parent, unless it was paused by itself.
        if row.id != given.id && paused(&opened.run(&given.id).await?) {
            self.ask(opened, &given, Signal::Resume {}).await?;
        }
        self.remember(opened, &row.id).await?;
        let handle = engine.resume(&row.id, over).await.map_err(|error| match error {
            EngineError::Store(StoreError::LeaseHeld { run, lease }) => self.driven(&run, &lease),
            error => opened.refused(error),
        })?;
        let notes = note.into_iter().chain(unconfined).collect();
        let execution = Execution::new(self.clone(), opened.clone(), engine, handle, watch, notes);
        Ok(Resumed::Driving(Box::new(execution)))
    }

    /// Lets telemetry know what went before in `run` and the children that it waits for.
    async fn remember(&self, opened: &Opened, run: &RunId) -> Result<(), ServiceError> {
        let Some(telemetry) = self.telemetry_if_any() else { return Ok(()) };
        let mut next = vec![run.clone()];
        while let Some(run) = next.pop() {
            if telemetry.knows(&run) {
                continue;
            }
            // A child that was to be started may not be there yet.
            match opened.events(&run, Sequence(0)).await {
                Ok(events) => next.extend(telemetry.remember(&run, &events)),
                Err(ServiceError::Store { error: StoreError::NoSuchRun(_), .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Refuses a run whose tasks want worktrees where there can be none.
    pub(super) async fn judge_places(
        &self,
        workflow: &Workflow,
        library: &BTreeMap<String, Arc<Workflow>>,
    ) -> Result<(), ServiceError> {
        if tasks(workflow, library).any(TaskSpec::has_worktree) {
            let repository = self.repository().await?;
            repository.head_commit().await?;
            if let Some(operation) = repository.operation().filter(|_| self.includes_uncommitted())
            {
                let path = repository.top().to_owned();
                return Err(GitError::Unfinished { operation, path }.into());
            }
        }
        Ok(())
    }

    /// Names the branch that the project is on now as the target of tasks that land on it without saying
    /// which: whoever switches the checkout while the run goes on does not change where it lands.
    ///
    /// # Errors
    /// No branch is checked out.
    async fn pin_branches(&self, start: &mut StartRun) -> Result<(), ServiceError> {
        let lands_here = |task: &TaskSpec| {
            task.landing().is_some_and(|land| {
                land.target.is_none()
                    && matches!(land.mode, LandMode::Direct | LandMode::PullRequest)
            })
        };
        if !tasks(&start.workflow, &start.library).any(lands_here) {
            return Ok(());
        }
        let branch = self.repository().await?.head().await?.branch.ok_or(LandError::NoTarget)?;
        for workflow in [&mut start.workflow].into_iter().chain(start.library.values_mut()) {
            if workflow.tasks.iter().any(lands_here) {
                for task in &mut Arc::make_mut(workflow).tasks {
                    if lands_here(task)
                        && let Some(land) = &mut task.land
                    {
                        Arc::make_mut(land).target = Some(branch.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// What of a run is not confined that could be.
    fn unconfined_note(
        &self,
        workflow: &Workflow,
        library: &BTreeMap<String, Arc<Workflow>>,
    ) -> Result<Option<String>, ServiceError> {
        match tasks(workflow, library).any(|task| task.workspace.is_some()) {
            true => self.unconfined(),
            false => Ok(None),
        }
    }

    async fn engine(
        &self,
        opened: &Opened,
        agents: &BTreeSet<AgentName>,
        watch: &Watch,
        cassette: Option<&CassetteUse>,
        stage: Stage,
    ) -> Result<(Engine, Option<String>), ServiceError> {
        platform::judge(std::env::consts::OS)?;
        let keys = match self.replayed() {
            Some(_) => BTreeMap::new(),
            None if self.roster()?.runs_programs(agents) => self.every_key().await?,
            None => self.keys_of(agents).await?,
        };
        self.learn_secrets(!keys.is_empty()).await;
        // A child of a dead process is taken over with its parent, not when its lease runs out.
        let me = self.owner().clone();
        let telemetry = self.telemetry_if_any();
        let store = opened.store();
        let mut builder = Engine::builder()
            .dead_when(move |lease| me.look(&lease.owner) == Holder::Dead)
            .store(telemetry.map_or(store.clone(), |telemetry| telemetry.measured(store)))
            .blobs(opened.blobs())
            .owner(self.owner_id()?)
            .directory(self.project().to_owned())
            .observer(watch.observer.clone())
            .reckoner(Arc::new(LedgerReckoner(opened.clone())))
            .workspaces(Arc::new(Places::new(self.clone(), opened.clone())))
            .limits(self.roster()?.limits(self.settings()?.settings()));
        if let Some(period) = self.settings()?.settings().workspaces.measure_every {
            builder = builder.measure_every(period);
        }
        if let Some(telemetry) = telemetry {
            builder = builder.observer(Arc::new(telemetry.clone()));
            let rules = crate::budget::rules(self.settings()?.settings());
            telemetry.attend(Books::new(opened.ledger(), rules)).await;
        }
        let budget = self.budget(opened).await?;
        let between = self.between(opened, agents, cassette, stage)?;
        let note = between.note();
        let access = || self.access(opened, &keys, &between);
        let router = || {
            let roster = self.roster()?;
            let live = || roster.gateway(roster.usable(&keys));
            // What is joined or was kept is no exchange, and would be missing in a cassette.
            let alone = |gateway| Router::new(Arc::new(gateway)).without_joins();
            Ok(match &between {
                Between::Nothing => {
                    let kept = GuardedResponses::new(opened.responses(), self.known().clone());
                    Router::new(Arc::new(live()?.with_budget(budget)))
                        .with_joins(self.joins().clone())
                        .with_responses(Arc::new(kept))
                }
                Between::Recorder { recorder, .. } => {
                    alone(live()?.with_budget(budget).recording(recorder.clone()))
                }
                // No account can be called, and nothing is spent that a budget could stop.
                Between::Player(player) => alone(roster.gateway([])?.replaying(player.clone())),
            })
        };
        let confiner = Confiner::new(self.clone());
        let surroundings = (self.environment(), telemetry, &confiner);
        let versions = self.versions(agents).await?;
        let homes = self.place().state().join("homes");
        builder = builder.observer(Arc::new(Homes::new(homes.clone())));
        self.refuse_too_old(agents).await?;
        let made = self.roster()?.make(agents, surroundings, &homes, router, access)?;
        for (mut spec, agent) in made {
            spec.version = versions.get(&spec.name).cloned();
            builder = builder.agent(spec, Arc::new(Guarded::new(agent, self.known().clone())));
        }
        Ok((builder.build(), note))
    }

    pub(crate) fn owner_id(&self) -> Result<orchestrator_core::id::OwnerId, ServiceError> {
        self.owner().id().ok_or_else(|| {
            ServiceError::Internal("this process has no name that a lease could hold".into())
        })
    }

    pub(crate) fn driven(&self, run: &RunId, lease: &Lease) -> ServiceError {
        match self.owner().look(&lease.owner) {
            Holder::Alive(pid) => ServiceError::Driven { run: run.to_string(), pid },
            Holder::Me => ServiceError::Driven { run: run.to_string(), pid: std::process::id() },
            Holder::Elsewhere | Holder::Dead => ServiceError::DrivenElsewhere {
                run: run.to_string(),
                owner: lease.owner.to_string(),
                seconds: lease.expires.since(now()).as_secs() + 1,
            },
        }
    }

    /// How a run that was driven here has ended, or where it stands.
    pub(super) async fn result(
        &self,
        opened: &Opened,
        id: &RunId,
        interrupted: bool,
    ) -> Result<ResultView, ServiceError> {
        let row = opened.catalog().run(id).await.map_err(|error| opened.failed(error))?;
        let row = row.ok_or_else(|| ServiceError::NoSuchRun(id.to_string()))?;
        let tasks = opened.all_tasks(id).await?;
        let standing = match interrupted {
            true => self.standing_idle(opened, &row, now()).await?,
            false => Standing::ended(&row, now()),
        };
        let asks = match standing.status {
            WAITING => self.asked(opened, std::slice::from_ref(&row)).await?,
            _ => Vec::new(),
        };
        let view = RunView::new(&row, standing.status, standing.until);
        let created = opened.created(id).await?;
        let specs = opened.specs(&created).await?;
        let needed: BTreeSet<&TaskName> = specs.iter().flat_map(|spec| &spec.needs).collect();
        // The report of a task that nothing follows is the run's; else the last one there is.
        let (mut report, mut of_last) = (None, false);
        for task in tasks.iter().filter(|task| task.status == TaskStatus::Succeeded) {
            if let Some(found) = opened.artifacts(&row, task).await?.get("report.md") {
                let last = !needed.contains(&task.name) && task.name.is_plain();
                if last || !of_last {
                    report = Some(ArtifactView::new(task.name.as_str(), found));
                    of_last = last;
                }
            }
        }
        let failed = tasks.iter().find(|task| task.status == TaskStatus::Failed);
        let failure = failed.and_then(|task| task.error.as_ref()).map(FailureView::from);
        Ok(ResultView {
            schema: "orchestrator.result/v1",
            run: id.to_string(),
            status: standing.status.to_owned(),
            failure: failure.filter(|_| row.status == orchestrator_core::run::RunStatus::Failed),
            report,
            asks,
            landed: opened.landed(id, &specs).await?,
            items: tasks.iter().map(|task| TaskView::new(task, &standing)).collect(),
            elapsed_ms: view.elapsed_ms,
            replayed: view.replayed,
            spent: view.spent,
            forecast: opened.forecast(id).await?,
        })
    }
}

/// The tasks of a run's workflow and of all that it may start.
fn tasks<'a>(
    workflow: &'a Workflow,
    library: &'a BTreeMap<String, Arc<Workflow>>,
) -> impl Iterator<Item = &'a TaskSpec> {
    let others = library.values().map(|other| &**other);
    others.chain([workflow]).flat_map(|workflow| &workflow.tasks)
}

impl Opened {
    /// The branches on which a run with these tasks has landed work.
    pub(crate) async fn landed(
        &self,
        run: &RunId,
        tasks: &[TaskSpec],
    ) -> Result<Vec<ResultBranch>, ServiceError> {
        match tasks.iter().any(TaskSpec::has_worktree) {
            true => Ok(result_branches(&self.events(run, Sequence(0)).await?)),
            false => Ok(Vec::new()),
        }
    }

    /// What kept the engine from starting or driving a run.
    pub(super) fn refused(&self, error: EngineError) -> ServiceError {
        match error {
            EngineError::Store(error) => self.failed(error),
            EngineError::Invalid(problems) => ServiceError::Invalid {
                what: "cannot use the workflow".into(),
                diagnostics: problems
                    .into_iter()
                    .map(|p| Diagnostic::new(p.code, p.message).suggest(p.suggestion))
                    .collect(),
            },
            EngineError::UnknownAgent { task, wanted, suggestion } => {
                ServiceError::NobodyFor { task: task.to_string(), wanted, suggestion }
            }
            EngineError::MissingAgent { agent, .. } => {
                ServiceError::NoSuchAgent { name: agent.to_string(), suggestion: None }
            }
            EngineError::Ended { run, status } => ServiceError::RunOver {
                action: "resume",
                run: run.to_string(),
                status: status.to_string(),
            },
            EngineError::Replay { run, source } => {
                self.failed(StoreError::Damaged(format!("cannot replay run `{run}`: {source}")))
            }
            error => ServiceError::Engine(error.to_string()),
        }
    }
}
