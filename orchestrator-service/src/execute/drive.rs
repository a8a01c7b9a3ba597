//! Starting runs, taking them up again, and stopping them.

use super::{ExecuteRequest, Execution, prepare::Prepared, watch::Watch};
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    document::Diagnostic,
    owner::Holder,
    platform,
    query::{Driver, Standing},
    service::Opened,
    views::{ArtifactView, CancelView, FailureView, ResultView, RunView, TaskView},
};
use orchestrator_core::{
    command::{Command, Moment},
    engine::{Engine, EngineError, LEASE_TTL, SystemIds},
    event::Recorded,
    id::{AgentName, RunId, Sequence},
    port::{Append, Ids, Lease, RunRow, Signal, StoreError},
    run::Run,
    task::TaskStatus,
};

impl OrchestratorService {
    /// Starts a run. When this returns, the run is durable and under way.
    ///
    /// # Errors
    /// An invalid workflow or input, an unknown agent, missing keys, an unusable store.
    pub async fn execute(&self, request: ExecuteRequest) -> Result<Execution, ServiceError> {
        let Prepared { start, bound } = self.prepare(&request)?;
        let opened = self.store()?;
        let watch = Watch::new();
        let engine = self.engine(opened, bound.everybody(), &watch)?;
        let handle = engine.start(start).await.map_err(|error| opened.refused(error))?;
        Ok(Execution::new(self.clone(), opened.clone(), engine, handle, watch))
    }

    /// Takes up a run that was interrupted or whose process died.
    ///
    /// # Errors
    /// An unknown run, one that has ended, one that a living process drives, or one whose agents
    /// cannot work here.
    pub async fn resume(&self, run: &str) -> Result<Execution, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        refuse_over(&row, "resume")?;
        let over = match self.driver(opened, &row).await? {
            Driver::Alive(lease) => return Err(self.driven(&row.id, &lease)),
            Driver::Nobody(lease) => lease.map(|lease| lease.epoch),
        };
        let created = opened.created(&row.id).await?;
        let names: std::collections::BTreeSet<&AgentName> =
            created.bindings.iter().flat_map(|binding| &binding.agents).collect();
        let watch = Watch::new();
        let engine = self.engine(opened, names, &watch)?;
        let handle = engine.resume(&row.id, over).await.map_err(|error| match error {
            EngineError::Store(StoreError::LeaseHeld { run, lease }) => self.driven(&run, &lease),
            error => opened.refused(error),
        })?;
        Ok(Execution::new(self.clone(), opened.clone(), engine, handle, watch))
    }

    /// Asks a run to stop, whoever drives it.
    ///
    /// # Errors
    /// An unknown run or one that has ended.
    pub async fn cancel(&self, run: &str, reason: &str) -> Result<CancelView, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        refuse_over(&row, "cancel")?;
        let status = match self.driver(opened, &row).await? {
            Driver::Alive(_) => {
                let signal = Signal::Cancel { reason: reason.to_owned() };
                let told = opened.log().signal(&row.id, signal, now()).await;
                told.map_err(|error| opened.failed(error))?;
                "cancelling".to_owned()
            }
            Driver::Nobody(lease) => self.cancel_idle(opened, &row.id, lease, reason).await?,
        };
        Ok(CancelView { schema: "orchestrator.cancel/v1", run: row.id.to_string(), status })
    }

    /// Cancels a run that nobody drives: nothing of it is started again.
    async fn cancel_idle(
        &self,
        opened: &Opened,
        id: &RunId,
        lease: Option<Lease>,
        reason: &str,
    ) -> Result<String, ServiceError> {
        let owner = self.owner_id()?;
        let expires = now().after(LEASE_TTL);
        let over = lease.map(|lease| lease.epoch);
        let claimed = opened.log().claim(id, &owner, now(), expires, over).await;
        let lease = claimed.map_err(|error| match error {
            StoreError::LeaseHeld { run, lease } => self.driven(&run, &lease),
            error => opened.failed(error),
        })?;
        let outcome = self.write_cancelled(opened, id, &lease, reason).await;
        let released = opened.log().release(id, lease.epoch).await;
        let status = outcome?;
        released.map_err(|error| opened.failed(error))?;
        Ok(status)
    }

    async fn write_cancelled(
        &self,
        opened: &Opened,
        id: &RunId,
        lease: &Lease,
        reason: &str,
    ) -> Result<String, ServiceError> {
        let events = opened.events(id, Sequence(0)).await?;
        let mut run = Run::replay(&events).map_err(|error| {
            opened.failed(StoreError::Damaged(format!("cannot replay run `{id}`: {error}")))
        })?;
        let expected = run.seq();
        let mut events: Vec<Recorded> = Vec::new();
        // The wish first: what the dead driver left running is then not started again.
        let cancel = Command::Cancel { reason: reason.to_owned() };
        for command in [cancel, Command::Recover { lease: lease.epoch }] {
            let moment = Moment { now: now(), draw: SystemIds.draw() };
            match run.handle(command, moment) {
                Ok(more) => events.extend(more),
                // With nothing left running the wish alone has ended it.
                Err(_) if run.status().is_final() => {}
                Err(rejected) => return Err(ServiceError::Internal(rejected.to_string())),
            }
        }
        if !events.is_empty() {
            let rows = run.take_rows();
            let append = Append { run: id.clone(), epoch: lease.epoch, expected, events, rows };
            opened.log().append(append).await.map_err(|error| opened.failed(error))?;
        }
        Ok(run.status().as_str().to_owned())
    }

    fn engine<'a>(
        &self,
        opened: &Opened,
        agents: impl IntoIterator<Item = &'a AgentName>,
        watch: &Watch,
    ) -> Result<Engine, ServiceError> {
        platform::judge(std::env::consts::OS)?;
        let mut builder = Engine::builder()
            .store(opened.store())
            .blobs(opened.blobs())
            .owner(self.owner_id()?)
            .observer(watch.observer.clone());
        for (spec, agent) in self.roster()?.make(agents, self.environment())? {
            builder = builder.agent(spec, agent);
        }
        Ok(builder.build())
    }

    fn owner_id(&self) -> Result<orchestrator_core::id::OwnerId, ServiceError> {
        self.owner().id().ok_or_else(|| {
            ServiceError::Internal("this process has no name that a lease could hold".into())
        })
    }

    fn driven(&self, run: &RunId, lease: &Lease) -> ServiceError {
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
        let standing = Standing::after_drive(&row, interrupted, now());
        let view = RunView::new(&row, standing.status, standing.until);
        let created = opened.created(id).await?;
        let needed: Vec<_> = created.workflow.tasks.iter().flat_map(|spec| &spec.needs).collect();
        // The report of a task that nothing follows is the run's; else the last one there is.
        let (mut report, mut of_last) = (None, false);
        for task in tasks.iter().filter(|task| task.status == TaskStatus::Succeeded) {
            if let Some(found) = opened.artifacts(&row, task).await?.get("report.md") {
                let last = !needed.contains(&&task.name);
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
            items: tasks.iter().map(|task| TaskView::new(task, &standing)).collect(),
            elapsed_ms: view.elapsed_ms,
            spent: view.spent,
        })
    }
}

fn refuse_over(row: &RunRow, action: &'static str) -> Result<(), ServiceError> {
    if row.status.is_final() {
        let (run, status) = (row.id.to_string(), row.status.to_string());
        return Err(ServiceError::RunOver { action, run, status });
    }
    Ok(())
}

impl Opened {
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
