//! One attempt: what the agent is told, the bounds it works in, what is made of its answer.

use super::{STOP_GRACE, Shared, accept, desk::Stop, host::Host, schema::Schema, work::Placed};
use crate::{
    agent::AgentSpec,
    command::{Added, AttemptKey, Command},
    error::{ErrorClass, Failure},
    event::{ArtifactRef, Content},
    expr,
    id::{ProjectId, RunId, TenantId},
    port::{Agent, Answer, Assignment, CachedResult, StoreError, Work},
    run::{Briefing, Run, Sight},
    task::{CachePolicy, TaskKind},
    usage::Spend,
};
use futures_util::FutureExt;
use serde_json::Value;
use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

/// All that an attempt needs of its run, taken when it starts.
pub(super) struct Plan {
    pub(super) run: RunId,
    pub(super) key: AttemptKey,
    pub(super) kind: TaskKind,
    schema: Option<Arc<Schema>>,
    pub(super) timeout: Option<Duration>,
    pub(super) cache: Option<Box<CachePolicy>>,
    sight: Sight,
    pub(super) briefing: Briefing,
    pub(super) inputs: Arc<Value>,
    pub(super) directory: PathBuf,
    pub(super) tenant: TenantId,
    pub(super) project: ProjectId,
    /// What the tasks that it adds may refer to, when it manages the others.
    manages: Option<accept::Managed>,
    pub(super) spec: Arc<AgentSpec>,
    agent: Arc<dyn Agent>,
    /// Where it works and what becomes of what it makes there, when it has a place of its own.
    placed: Option<Box<Placed>>,
}

/// An agent with its specification.
pub(super) type Worker = (Arc<AgentSpec>, Arc<dyn Agent>);

/// How the provider of an attempt's agent did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// As the attempt ended.
    AsTheAttempt,
    /// It answered, whatever came then.
    Answered,
    /// It was not asked.
    NotAsked,
}

/// What an agent has left, kept.
pub(super) struct Kept {
    pub(super) output: Content,
    pub(super) spend: Vec<Spend>,
    pub(super) artifacts: Vec<ArtifactRef>,
    pub(super) added: Option<Box<Added>>,
}

/// Keeps what an agent has left.
///
/// # Errors
/// It cannot be kept.
pub(super) async fn keep(shared: &Shared, accepted: accept::Accepted) -> Result<Kept, StoreError> {
    let accept::Accepted { answer, added } = accepted;
    let output = shared.keep_value(answer.output).await?;
    let mut artifacts = Vec::with_capacity(answer.artifacts.len());
    for artifact in answer.artifacts {
        artifacts.push(ArtifactRef {
            blob: shared.keep_bytes(&artifact.bytes).await?,
            name: artifact.name,
            media_type: artifact.media_type,
            bytes: artifact.bytes.len() as u64,
        });
    }
    Ok(Kept { output, spend: answer.spend, artifacts, added: added.map(Box::new) })
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it means for the run.
    pub(super) command: Command,
    /// What may be used again.
    pub(super) cached: Option<Box<CachedResult>>,
    /// How its provider did.
    pub(super) provider: Provider,
}

impl Plan {
    pub(super) fn new(
        run: &Run,
        key: AttemptKey,
        place: usize,
        briefing: Briefing,
        schema: Option<Arc<Schema>>,
        (spec, agent): Worker,
        judge: Option<Worker>,
    ) -> Self {
        let (created, task) = (run.created(), run.spec(place));
        let placed = task
            .workspace
            .as_ref()
            .map(|policy| Box::new(Placed::new(run, place, policy.clone(), judge)));
        Self {
            placed,
            kind: task.kind.clone(),
            schema,
            timeout: task.timeout,
            // A recording holds all that is asked, and a replay asks for all of it.
            cache: task.cache.clone().filter(|_| created.cassette.is_none()),
            sight: run.sight(place),
            briefing,
            inputs: created.inputs.clone(),
            directory: created.directory.clone(),
            tenant: created.tenant.clone(),
            project: created.project.clone(),
            run: created.run.clone(),
            manages: accept::Managed::by(run, place),
            key,
            spec,
            agent,
        }
    }

    /// Does the attempt, and says what came of it.
    ///
    /// # Errors
    /// What the attempt made cannot be kept: the run has to be put down, since going on without it
    /// would lose what was paid for or ask for it again.
    pub(super) async fn perform(self, host: Host) -> Result<Ended, StoreError> {
        let mut this = self;
        match this.placed.take() {
            None => this.perform_here(host).await,
            Some(placed) => this.perform_at(*placed, host).await,
        }
    }

    /// Does the attempt in the project's directory.
    async fn perform_here(self, host: Host) -> Result<Ended, StoreError> {
        let attempt = self.key.clone();
        let failed = |failure| Ok(self.failed(failure, Provider::AsTheAttempt));
        let (assignment, salt) = match self.assignment(&host.shared).await {
            Ok(told) => told,
            Err(failure) => return failed(failure),
        };
        let keeps = self.cache.as_deref().filter(|policy| policy.keeps_results());
        let key = keeps.map(|_| super::cache::key(&assignment, salt.as_deref(), None));
        if let Some(key) = &key
            && let Some(hit) = host.shared.recall(key).await
        {
            let command = hit.finish(attempt);
            return Ok(Ended { command, cached: None, provider: Provider::AsTheAttempt });
        }
        let accepted = match self.answer(&host, &assignment, std::future::pending()).await {
            Ok((accepted, _)) => accepted,
            Err(failure) => return failed(failure),
        };
        let Kept { output, spend, artifacts, added } = keep(&host.shared, accepted).await?;
        let cached = keeps.zip(key).map(|(policy, key)| {
            let at = host.shared.clock.now();
            Box::new(host.keepsake(key, at, policy.ttl, &output, &artifacts))
        });
        let command =
            Command::FinishAttempt { attempt, output, spend, artifacts, cached: None, added };
        Ok(Ended { command, cached, provider: Provider::AsTheAttempt })
    }

    /// The end of the attempt with `failure`.
    pub(super) fn failed(&self, failure: Failure, provider: Provider) -> Ended {
        let attempt = self.key.clone();
        Ended { command: Command::FailAttempt { attempt, failure }, cached: None, provider }
    }

    /// The agent's answer, and whether it came only after the time was up.
    pub(super) async fn answer(
        &self,
        host: &Host,
        assignment: &Assignment,
        beyond: impl Future<Output = Failure> + Send,
    ) -> Result<(accept::Accepted, bool), Failure> {
        let shared = &host.shared;
        let _ = host.directory.set(assignment.directory().to_owned());
        // A panic in an agent is that attempt's failure, not the engine's.
        let mut work = AssertUnwindSafe(self.agent.perform(assignment, host)).catch_unwind();
        let overdue = async {
            match self.timeout {
                Some(limit) => shared.clock.until(shared.clock.now().after(limit)).await,
                None => std::future::pending().await,
            }
        };
        let (class, why) = tokio::select! {
            biased;
            ended = &mut work => return self.accept(shared, ended).map(|answer| (answer, false)),
            () = host.desk.stopped() => {
                (ErrorClass::Cancelled, "the attempt was stopped".to_owned())
            }
            () = overdue => {
                host.desk.stop(Stop::Now);
                let limit = crate::time::format_duration(self.timeout.unwrap_or_default());
                (ErrorClass::TimedOut, format!("the attempt took longer than its limit of {limit}"))
            }
            failure = beyond => {
                host.desk.stop(Stop::Now);
                (failure.class, failure.message)
            }
        };
        let grace = shared.clock.now().after(STOP_GRACE);
        tokio::select! {
            biased;
            // What was finished in time to be recorded is paid for, so it is kept.
            ended = work => match self.accept(shared, ended) {
                Ok(answer) => Ok((answer, class == ErrorClass::TimedOut)),
                Err(failure) => Err(Failure { class, message: why, ..failure }),
            },
            () = shared.clock.until(grace) => Err(Failure::new(class, why)),
        }
    }

    fn accept(
        &self,
        shared: &Shared,
        ended: Result<Result<Answer, Failure>, Box<dyn std::any::Any + Send>>,
    ) -> Result<accept::Accepted, Failure> {
        let answer = ended.map_err(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Failure::new(ErrorClass::Internal, format!("the agent panicked: {said}"))
        })??;
        accept::accept(shared, answer, self.schema.as_deref(), self.manages.as_ref())
    }

    /// What the agent is told, and what else the key of its result is made of.
    pub(super) async fn assignment(
        &self,
        shared: &Shared,
    ) -> Result<(Assignment, Option<String>), Failure> {
        let blind = |reason: String| {
            Failure::new(ErrorClass::Internal, format!("cannot see what the task needs: {reason}"))
        };
        let loaded = shared.load_sight(&self.sight).await?;
        let mut scope: Option<Value> = None;
        let mut fill = |text: &str| -> Result<String, Failure> {
            if !text.contains("{{") {
                return Ok(text.to_owned());
            }
            let scope = match &mut scope {
                Some(scope) => scope,
                none => none.insert(self.sight.scope(&loaded).map_err(blind)?),
            };
            expr::fill(text, scope).map_err(|error| {
                Failure::new(ErrorClass::InvalidRequest, format!("cannot fill in: {error}"))
            })
        };
        let work = match &self.kind {
            TaskKind::Agent { prompt, .. } => Work::Prompt(fill(prompt)?),
            TaskKind::Command { command } => {
                Work::Command(command.iter().map(|text| fill(text)).collect::<Result<_, _>>()?)
            }
            TaskKind::Workflow { .. } | TaskKind::Approval { .. } => {
                let message = "no agent works on a child workflow or an approval";
                return Err(Failure::new(ErrorClass::Internal, message));
            }
        };
        let salt = self.cache.as_ref().and_then(|cache| cache.key.as_deref()).map(fill);
        let salt = salt.transpose()?;
        let (run, task) = (self.run.clone(), self.key.task.clone());
        let mut assignment = Assignment::new(run, task, self.spec.clone(), work);
        let briefing = &self.briefing;
        assignment.attempt = self.key.attempt;
        assignment.epoch = self.key.epoch;
        assignment.inputs = self.inputs.clone();
        assignment.needs = self.sight.needs(&loaded).map_err(blind)?;
        assignment.output_schema = self.schema.as_ref().map(|schema| schema.document().clone());
        assignment.feedback = briefing.feedback.clone();
        assignment.item = self.sight.item(&loaded).map_err(blind)?;
        assignment.session = briefing.session.clone();
        assignment.recorded_turns = u32::try_from(briefing.journal.len()).unwrap_or(u32::MAX);
        assignment.first_attempt = briefing.first_attempt;
        assignment.compact = briefing.compact;
        assignment.project = self.directory.clone();
        assignment.tenant = self.tenant.clone();
        assignment.project_id = self.project.clone();
        assignment.timeout = self.timeout;
        assignment.keep_responses = self.cache.as_ref().and_then(|cache| cache.responses);
        Ok((assignment, salt))
    }
}
