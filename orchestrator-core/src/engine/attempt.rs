//! One attempt: what the agent is told, the bounds it works in, what is made of its answer.

use super::{STOP_GRACE, Shared, accept, desk::Stop, host::Host, schema::Schema};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command},
    error::{ErrorClass, Failure},
    event::ArtifactRef,
    expr,
    id::{ProjectId, RunId, TenantId},
    port::{Agent, Answer, Assignment, CachedResult, StoreError, Work},
    run::{Briefing, Run, Sight},
    task::{CachePolicy, TaskKind},
};
use futures_util::FutureExt;
use serde_json::Value;
use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

/// All that an attempt needs of its run, taken when it starts.
pub(super) struct Plan {
    run: RunId,
    key: AttemptKey,
    kind: TaskKind,
    schema: Option<Arc<Schema>>,
    timeout: Option<Duration>,
    cache: Option<Box<CachePolicy>>,
    sight: Sight,
    briefing: Briefing,
    inputs: Arc<Value>,
    directory: PathBuf,
    tenant: TenantId,
    project: ProjectId,
    /// What the tasks that it adds may refer to, when it manages the others.
    manages: Option<accept::Managed>,
    spec: Arc<AgentSpec>,
    agent: Arc<dyn Agent>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it means for the run.
    pub(super) command: Command,
    /// What may be used again.
    pub(super) cached: Option<Box<CachedResult>>,
}

impl Plan {
    pub(super) fn new(
        run: &Run,
        key: AttemptKey,
        place: usize,
        briefing: Briefing,
        schema: Option<Arc<Schema>>,
        spec: Arc<AgentSpec>,
        agent: Arc<dyn Agent>,
    ) -> Self {
        let (created, task) = (run.created(), run.spec(place));
        Self {
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
        let attempt = self.key.clone();
        let failed = |failure| {
            let attempt = attempt.clone();
            Ok(Ended { command: Command::FailAttempt { attempt, failure }, cached: None })
        };
        let (assignment, salt) = match self.assignment(&host.shared).await {
            Ok(told) => told,
            Err(failure) => return failed(failure),
        };
        let keeps = self.cache.as_deref().filter(|policy| policy.keeps_results());
        let key = keeps.map(|_| super::cache::key(&assignment, salt.as_deref()));
        if let Some(key) = &key
            && let Some(hit) = host.shared.recall(key).await
        {
            return Ok(Ended { command: hit.finish(attempt), cached: None });
        }
        let accepted = match self.answer(&host, &assignment).await {
            Ok(accepted) => accepted,
            Err(failure) => return failed(failure),
        };
        let accept::Accepted { answer, added } = accepted;
        let (spend, added) = (answer.spend, added.map(Box::new));
        let output = host.shared.keep_value(answer.output).await?;
        let mut artifacts = Vec::with_capacity(answer.artifacts.len());
        for artifact in answer.artifacts {
            artifacts.push(ArtifactRef {
                blob: host.shared.keep_bytes(&artifact.bytes).await?,
                name: artifact.name,
                media_type: artifact.media_type,
                bytes: artifact.bytes.len() as u64,
            });
        }
        let cached = keeps.zip(key).map(|(policy, key)| {
            let at = host.shared.clock.now();
            Box::new(host.keepsake(key, at, policy.ttl, &output, &artifacts))
        });
        let command =
            Command::FinishAttempt { attempt, output, spend, artifacts, cached: None, added };
        Ok(Ended { command, cached })
    }

    async fn answer(
        &self,
        host: &Host,
        assignment: &Assignment,
    ) -> Result<accept::Accepted, Failure> {
        let shared = &host.shared;
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
            ended = &mut work => return self.accept(shared, ended),
            () = host.desk.stopped() => {
                (ErrorClass::Cancelled, "the attempt was stopped".to_owned())
            }
            () = overdue => {
                host.desk.stop(Stop::Now);
                let limit = crate::time::format_duration(self.timeout.unwrap_or_default());
                (ErrorClass::TimedOut, format!("the attempt took longer than its limit of {limit}"))
            }
        };
        let grace = shared.clock.now().after(STOP_GRACE);
        tokio::select! {
            biased;
            // What was finished in time to be recorded is paid for, so it is kept.
            ended = work => match self.accept(shared, ended) {
                Ok(answer) => Ok(answer),
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
    async fn assignment(&self, shared: &Shared) -> Result<(Assignment, Option<String>), Failure> {
        let blind = |reason: String| {
            Failure::new(ErrorClass::Internal, format!("cannot see what the task needs: {reason}"))
        };
        let loaded = shared.load_all(self.sight.blobs()).await?;
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
