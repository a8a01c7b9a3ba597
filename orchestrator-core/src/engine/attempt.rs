//! One attempt: what the agent is told, the bounds it works in, what is made of its answer.

use super::{STOP_GRACE, Shared, host::Host};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command},
    error::{ErrorClass, Failure},
    event::{ArtifactRef, Content},
    expr,
    id::{BlobId, RunId, TaskName},
    port::{Agent, Answer, Assignment, BlobError, Feedback, StoreError, Upstream, Work},
    run::Run,
    task::{TaskKind, TaskSpec, TaskStatus},
    usage::Spend,
    workflow::Workflow,
};
use futures_util::FutureExt;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::watch;

/// All that an attempt needs of its run, taken when it starts.
pub(super) struct Plan {
    run: RunId,
    key: AttemptKey,
    place: usize,
    workflow: Arc<Workflow>,
    inputs: Arc<Value>,
    directory: std::path::PathBuf,
    /// The tasks that it may refer to, with what expressions see of them but the output.
    seen: Vec<Seen>,
    feedback: Vec<Feedback>,
    spec: Arc<AgentSpec>,
    agent: Arc<dyn Agent>,
}

struct Seen {
    name: TaskName,
    status: TaskStatus,
    output: Option<Content>,
    fields: Value,
    /// Whether the task needs it directly.
    need: bool,
}

impl Plan {
    pub(super) fn new(
        run: &Run,
        key: AttemptKey,
        place: usize,
        spec: Arc<AgentSpec>,
        agent: Arc<dyn Agent>,
    ) -> Self {
        let created = run.created();
        let task = &created.workflow.tasks[place];
        let direct: Vec<usize> = run.graph().needs(place).collect();
        let mut places = direct.clone();
        for name in referred(task) {
            if let Some(place) = run.place(&name)
                && !places.contains(&place)
            {
                places.push(place);
            }
        }
        let seen = places
            .into_iter()
            .filter_map(|place| {
                let view = run.task(place)?;
                Some(Seen {
                    name: view.spec().name.clone(),
                    status: view.status(),
                    output: view.output().cloned(),
                    fields: view.as_seen(Value::Null),
                    need: direct.contains(&place),
                })
            })
            .collect();
        Self {
            run: created.run.clone(),
            key,
            place,
            workflow: created.workflow.clone(),
            inputs: created.inputs.clone(),
            directory: created.directory.clone(),
            seen,
            feedback: run.task(place).map(|t| t.feedback().to_vec()).unwrap_or_default(),
            spec,
            agent,
        }
    }

    fn task(&self) -> &TaskSpec {
        &self.workflow.tasks[self.place]
    }

    /// Does the attempt; the command tells the run what came of it.
    ///
    /// # Errors
    /// What the attempt made cannot be kept: the run has to be put down, since going on without it
    /// would lose what was paid for or ask for it again.
    pub(super) async fn perform(
        self,
        host: Host,
        stop: watch::Sender<bool>,
    ) -> Result<Command, StoreError> {
        let attempt = self.key.clone();
        Ok(match self.answer(&host, &stop).await {
            Err(failure) => Command::FailAttempt { attempt, failure },
            Ok(answer) => {
                let (output, spend, artifacts) = keep(&host.shared, answer).await?;
                Command::FinishAttempt { attempt, output, spend, artifacts }
            }
        })
    }

    async fn answer(&self, host: &Host, stop: &watch::Sender<bool>) -> Result<Answer, Failure> {
        let assignment = self.assignment(&host.shared).await?;
        // A panic in an agent is that attempt's failure, not the engine's.
        let mut work = AssertUnwindSafe(self.agent.perform(&assignment, host)).catch_unwind();
        let timeout = assignment.timeout;
        let overdue = async {
            match timeout {
                Some(limit) => host.shared.clock.until(host.shared.clock.now().after(limit)).await,
                None => std::future::pending().await,
            }
        };
        let mut stopped = host.stop.clone();
        let (class, why) = tokio::select! {
            biased;
            ended = &mut work => return self.accept(ended),
            _ = stopped.wait_for(|stop| *stop) => {
                (ErrorClass::Cancelled, "the attempt was stopped".to_owned())
            }
            () = overdue => {
                stop.send_replace(true);
                let limit = crate::time::format_duration(timeout.unwrap_or_default());
                (ErrorClass::TimedOut, format!("the attempt took longer than its limit of {limit}"))
            }
        };
        let grace = host.shared.clock.now().after(STOP_GRACE);
        tokio::select! {
            biased;
            // What was finished in time to be recorded is paid for, so it is kept.
            ended = work => match self.accept(ended) {
                Ok(answer) => Ok(answer),
                Err(failure) => Err(Failure { class, message: why, ..failure }),
            },
            () = host.shared.clock.until(grace) => Err(Failure::new(class, why)),
        }
    }

    fn accept(
        &self,
        ended: Result<Result<Answer, Failure>, Box<dyn std::any::Any + Send>>,
    ) -> Result<Answer, Failure> {
        let answer = ended.map_err(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Failure::new(ErrorClass::Internal, format!("the agent panicked: {said}"))
        })??;
        if !Content::admits(&answer.output) {
            let message = format!("the output is nested deeper than {} levels", Content::MAX_DEPTH);
            return Err(Failure::new(ErrorClass::BadOutput, message).spent(answer.spend));
        }
        let Some(schema) = &self.task().output else {
            return Ok(answer);
        };
        let checked = jsonschema::validator_for(schema)
            .map_err(|error| format!("the output schema is not valid: {error}"))
            .and_then(|validator| {
                validator.validate(&answer.output).map_err(|error| {
                    let at = error.instance_path().to_string();
                    format!("the output does not fit its schema at `{at}`: {error}")
                })
            });
        match checked {
            Ok(()) => Ok(answer),
            Err(message) => Err(Failure::new(ErrorClass::BadOutput, message).spent(answer.spend)),
        }
    }

    async fn assignment(&self, shared: &Shared) -> Result<Assignment, Failure> {
        let mut needs = BTreeMap::new();
        let mut tasks = Map::new();
        for seen in &self.seen {
            let output = match &seen.output {
                None => Value::Null,
                Some(content) => load(shared, content).await?,
            };
            let mut fields = seen.fields.clone();
            if let Value::Object(fields) = &mut fields {
                fields.insert("output".into(), output.clone());
            }
            tasks.insert(seen.name.to_string(), fields);
            if seen.need {
                needs.insert(seen.name.clone(), Upstream { status: seen.status, output });
            }
        }
        let task = self.task();
        let work = {
            let scope = expr::scope((*self.inputs).clone(), tasks);
            let fill = |text: &str| {
                expr::fill(text, &scope).map_err(|error| {
                    Failure::new(ErrorClass::InvalidRequest, format!("cannot fill in: {error}"))
                })
            };
            match &task.kind {
                TaskKind::Agent { prompt, .. } => Work::Prompt(fill(prompt)?),
                TaskKind::Command { command } => {
                    Work::Command(command.iter().map(|text| fill(text)).collect::<Result<_, _>>()?)
                }
            }
        };
        let mut assignment =
            Assignment::new(self.run.clone(), self.key.task.clone(), self.spec.clone(), work);
        assignment.attempt = self.key.attempt;
        assignment.epoch = self.key.epoch;
        assignment.inputs = self.inputs.clone();
        assignment.needs = needs;
        assignment.output_schema = task.output.clone();
        assignment.feedback = self.feedback.clone();
        assignment.project = self.directory.clone();
        assignment.timeout = task.timeout;
        Ok(assignment)
    }
}

/// The tasks that the texts of `task` refer to.
fn referred(task: &TaskSpec) -> Vec<String> {
    let texts: Vec<&str> = match &task.kind {
        TaskKind::Agent { prompt, .. } => vec![prompt],
        TaskKind::Command { command } => command.iter().map(String::as_str).collect(),
    };
    let mut names = Vec::new();
    for text in texts.into_iter().filter(|text| text.contains("{{")) {
        for path in expr::paths(text).unwrap_or_default() {
            if let ["tasks", name, ..] = path[..] {
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn blob_failure(error: &BlobError) -> Failure {
    Failure::new(ErrorClass::Transient, format!("cannot use a blob: {error}"))
}

async fn load(shared: &Shared, content: &Content) -> Result<Value, Failure> {
    match content {
        Content::Inline(value) => Ok(value.clone()),
        Content::Blob { id, .. } => {
            let bytes = shared.blobs.get(id).await.map_err(|error| blob_failure(&error))?;
            serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(ErrorClass::Internal, format!("blob {id} is not JSON: {error}"))
            })
        }
    }
}

/// How often a blob that could not be kept is tried again, and how long is waited before each.
const BLOB_TRIES: u32 = 3;
const BLOB_PAUSE: Duration = Duration::from_millis(200);

/// Keeps bytes as a blob, through a bad moment of the disk.
async fn put(shared: &Shared, bytes: &[u8]) -> Result<BlobId, StoreError> {
    let mut tries = 1;
    loop {
        match shared.blobs.put(bytes).await {
            Ok(id) => return Ok(id),
            Err(_) if tries < BLOB_TRIES => {
                tries += 1;
                shared.clock.until(shared.clock.now().after(BLOB_PAUSE)).await;
            }
            Err(BlobError::Full(action)) => return Err(StoreError::Full(action)),
            Err(BlobError::Unavailable { action, reason }) => {
                return Err(StoreError::Unavailable { action, reason });
            }
            Err(error) => return Err(StoreError::Damaged(error.to_string())),
        }
    }
}

/// Keeps what is large as blobs.
async fn keep(
    shared: &Shared,
    answer: Answer,
) -> Result<(Content, Vec<Spend>, Vec<ArtifactRef>), StoreError> {
    let text = answer.output.to_string();
    let output = if text.len() <= Content::INLINE_LIMIT {
        Content::Inline(answer.output)
    } else {
        let id = put(shared, text.as_bytes()).await?;
        Content::Blob { id, bytes: text.len() as u64 }
    };
    let mut artifacts = Vec::with_capacity(answer.artifacts.len());
    for artifact in answer.artifacts {
        artifacts.push(ArtifactRef {
            blob: put(shared, &artifact.bytes).await?,
            name: artifact.name,
            media_type: artifact.media_type,
            bytes: artifact.bytes.len() as u64,
        });
    }
    Ok((output, answer.spend, artifacts))
}
