//! Runs that a run starts: children, whose ends it waits for, and those that follow it.

use super::{EngineError, Shared, driver::Input};
use crate::{
    command::{AttemptKey, Command},
    error::{ErrorClass, Failure},
    event::{CassetteUse, Content, Event, Origin},
    expr,
    id::{ProjectId, RunId, Sequence, TaskName, TenantId},
    port::{Signal, StoreError, Upstream},
    run::{Run, RunStatus, Sight, StartRun},
    task::{TaskKind, TaskStatus, Then, ThenOn},
    workflow::{Problem, Workflow},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// How deep runs may start runs, as children and by `then` together: a workflow that starts itself
/// comes to an end.
const MAX_GENERATIONS: usize = 32;

/// How often the store is tried that cannot be reached, and how long is waited before each further
/// try.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// A child whose end is waited for.
#[derive(Debug, Clone)]
pub(super) struct Ward {
    pub(super) attempt: AttemptKey,
    pub(super) place: usize,
    pub(super) child: RunId,
    pub(super) takes_over: Option<RunId>,
}

impl Ward {
    /// Whether `run` still waits for it.
    pub(super) fn is_awaited(&self, run: &Run) -> bool {
        run.task(self.place).is_some_and(|task| task.child() == Some(&self.child))
    }
}

/// What a run hands on to the runs that it starts.
struct Legacy {
    run: RunId,
    tenant: TenantId,
    project: ProjectId,
    directory: PathBuf,
    library: BTreeMap<String, Arc<Workflow>>,
    cassette: Option<CassetteUse>,
    uncommitted: bool,
    /// The run from which this one came, if one started it.
    before: Option<RunId>,
}

impl Legacy {
    fn of(run: &Run) -> Self {
        let created = run.created();
        Self {
            run: created.run.clone(),
            tenant: created.tenant.clone(),
            project: created.project.clone(),
            directory: created.directory.clone(),
            library: created.library.clone(),
            cassette: created.cassette.clone(),
            uncommitted: created.uncommitted,
            before: before(created.parent.as_ref(), created.origin.as_ref()),
        }
    }

    /// What a run of `workflow` is started with, its inputs made of `with`.
    async fn start(
        &self,
        shared: &Shared,
        workflow: &str,
        with: &Map<String, Value>,
        sight: &Sight,
    ) -> Result<StartRun, Failure> {
        let wrong = |message: String| Failure::new(ErrorClass::InvalidRequest, message);
        let definition = self.library.get(workflow).ok_or_else(|| {
            wrong(format!("the workflow `{workflow}` was not pinned when the run began"))
        })?;
        self.check_generations(shared).await?;
        let loaded = shared.load_sight(sight).await?;
        let scope =
            sight.scope(&loaded).map_err(|reason| Failure::new(ErrorClass::Internal, reason))?;
        let mut given = Map::new();
        for (name, value) in with {
            let filled = expr::fill_value(value, &scope)
                .map_err(|error| wrong(format!("the input `{name}` of `{workflow}`: {error}")))?;
            given.insert(name.clone(), filled);
        }
        let inputs = definition.bind_inputs(&given).map_err(|problems| {
            let all: Vec<String> = problems.iter().map(Problem::to_string).collect();
            wrong(format!("the inputs of `{workflow}`: {}", all.join("; ")))
        })?;
        let mut start = StartRun::new(definition.clone());
        start.inputs = inputs;
        start.source = workflow.to_owned();
        start.tenant = self.tenant.clone();
        start.project = self.project.clone();
        start.directory = self.directory.clone();
        start.library = self.library.clone();
        start.cassette = self.cassette.clone();
        start.uncommitted = self.uncommitted;
        Ok(start)
    }

    /// Refuses a run that would be too many generations away from one that a person started.
    async fn check_generations(&self, shared: &Shared) -> Result<(), Failure> {
        let mut next = self.before.clone();
        let mut generations = 2;
        while let Some(run) = next {
            generations += 1;
            if generations > MAX_GENERATIONS {
                let message = format!("more than {MAX_GENERATIONS} runs would start each other");
                return Err(Failure::new(ErrorClass::InvalidRequest, message));
            }
            // A run that was cleaned up is as good as the first.
            let first = shared.store.events(&run, Sequence(0), 1).await.unwrap_or_default();
            next = first.into_iter().next().and_then(|recorded| match recorded.event {
                Event::RunCreated(created) => {
                    before(created.parent.as_ref(), created.origin.as_ref())
                }
                _ => None,
            });
        }
        Ok(())
    }
}

fn before(parent: Option<&RunId>, origin: Option<&Origin>) -> Option<RunId> {
    let chained = origin.and_then(|origin| match origin {
        Origin::Then { run } => Some(run),
        Origin::Retry { .. } | Origin::Fork { .. } | Origin::Import {} => None,
    });
    parent.or(chained).cloned()
}

/// What is to be done for a child.
pub(super) struct Errand {
    ward: Ward,
    legacy: Legacy,
    workflow: String,
    with: Map<String, Value>,
    sight: Sight,
}

impl Errand {
    pub(super) fn new(run: &Run, ward: &Ward) -> Self {
        let (workflow, with) = match &run.spec(ward.place).kind {
            TaskKind::Workflow { workflow, with } => (workflow.clone(), (**with).clone()),
            TaskKind::Agent { .. } | TaskKind::Command { .. } | TaskKind::Approval { .. } => {
                (String::new(), Map::new())
            }
        };
        let (legacy, sight) = (Legacy::of(run), run.sight(ward.place));
        Self { ward: ward.clone(), legacy, workflow, with, sight }
    }

    /// Creates the child, or looks what has become of it. A child that is driven tells its end by
    /// itself; one that nobody drives is driven here.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn attend(self, shared: &Arc<Shared>) -> Result<Vec<Command>, StoreError> {
        patiently(shared, || self.try_to_attend(shared)).await
    }

    async fn try_to_attend(&self, shared: &Arc<Shared>) -> Result<Vec<Command>, StoreError> {
        let child = &self.ward.child;
        if shared.runs.contains(child) {
            return Ok(Vec::new());
        }
        match shared.store.events(child, Sequence(0), 1).await {
            Err(StoreError::NoSuchRun(_)) => self.bring_up(shared).await,
            Err(error) => Err(error),
            Ok(_) => attach(shared, child).await,
        }
    }

    async fn bring_up(&self, shared: &Arc<Shared>) -> Result<Vec<Command>, StoreError> {
        let failed = |failure: Failure| {
            Ok(vec![Command::FailAttempt { attempt: self.ward.attempt.clone(), failure }])
        };
        let prepared = self.legacy.start(shared, &self.workflow, &self.with, &self.sight).await;
        let mut start = match prepared {
            Ok(start) => start,
            Err(failure) => return failed(failure),
        };
        start.parent = Some(self.legacy.run.clone());
        if let Some(old) = &self.ward.takes_over {
            match shared.load(old).await {
                // Other inputs may lead to other results.
                Ok(old) if *old.created().inputs != start.inputs => {}
                Ok(old) => {
                    start.takes_over = old.unfinished_children();
                    start.seed = old.carry(&start.workflow, &|_| true);
                }
                Err(EngineError::Store(error @ StoreError::Unavailable { .. })) => {
                    return Err(error);
                }
                // What cannot be taken over is done again.
                Err(error) => tracing::warn!(run = %old, %error, "nothing is taken over"),
            }
        }
        let child = self.ward.child.clone();
        match shared.start(Some(child.clone()), start).await {
            Ok(_) => Ok(Vec::new()),
            Err(EngineError::Store(StoreError::RunExists(_))) => attach(shared, &child).await,
            Err(EngineError::Store(error)) => Err(error),
            Err(error) => failed(Failure::new(ErrorClass::InvalidRequest, error.to_string())),
        }
    }
}

/// Sees to a child that exists.
async fn attach(shared: &Arc<Shared>, child: &RunId) -> Result<Vec<Command>, StoreError> {
    match shared.take_up(child, None).await {
        Ok(_) => Ok(Vec::new()),
        Err(EngineError::Ended { .. }) => match shared.load(child).await {
            Ok(child) => shared.end_of(&child).await.map(|end| vec![end]),
            Err(error) => unusable(child, &error),
        },
        // Whoever drives it tells; until then it is looked at from time to time.
        Err(EngineError::Store(StoreError::LeaseHeld { .. })) => Ok(Vec::new()),
        Err(error @ EngineError::MissingAgent { .. }) => {
            tracing::warn!(run = %child, %error, "a child waits for an engine that can drive it");
            Ok(Vec::new())
        }
        Err(EngineError::Store(error)) => Err(error),
        Err(error) => unusable(child, &error),
    }
}

fn unusable(child: &RunId, error: &EngineError) -> Result<Vec<Command>, StoreError> {
    match error {
        EngineError::Store(error) => Err(error.clone()),
        error => Ok(vec![Command::EndChild {
            run: child.clone(),
            status: RunStatus::Failed,
            output: Content::Inline(Value::Null),
            reason: Some(error.to_string()),
        }]),
    }
}

impl Shared {
    /// How `child` ended, for its parent.
    ///
    /// # Errors
    /// What it leaves cannot be kept.
    async fn end_of(&self, child: &Run) -> Result<Command, StoreError> {
        let failed = child.tasks().find(|task| task.status() == TaskStatus::Failed);
        let mut reason =
            failed.and_then(|task| Some(format!("`{}`: {}", task.name(), task.error()?.message)));
        let mut status = child.status();
        let gathered = self.gathered(child).await.and_then(|output| {
            let message = format!("the output is nested deeper than {} levels", Content::MAX_DEPTH);
            let deep = || Failure::new(ErrorClass::BadOutput, message);
            Content::admits(&output).then_some(output).ok_or_else(deep)
        });
        let output = match gathered {
            Ok(output) => self.keep_value(output).await?,
            Err(failure) => {
                (status, reason) = (RunStatus::Failed, Some(failure.message));
                Content::Inline(Value::Null)
            }
        };
        Ok(Command::EndChild { run: child.id().clone(), status, output, reason })
    }

    /// What a run leaves: of one last task the output, of several an object by their names.
    async fn gathered(&self, run: &Run) -> Result<Value, Failure> {
        let sight = run.output_sight();
        let loaded = self.load_all(sight.blobs()).await?;
        let mut parts =
            sight.needs(&loaded).map_err(|reason| Failure::new(ErrorClass::Internal, reason))?;
        if parts.len() == 1 {
            return Ok(parts
                .pop_first()
                .map(|(_, left)| Arc::unwrap_or_clone(left.output))
                .unwrap_or_default());
        }
        let part = |left: Upstream| Arc::unwrap_or_clone(left.output);
        Ok(parts.into_iter().map(|(name, left)| (name.to_string(), part(left))).collect())
    }

    /// Tells the parent of `child` that it has ended: here at once, elsewhere by its inbox. When
    /// neither works the parent finds out when it looks again.
    pub(super) async fn tell_parent(self: &Arc<Self>, child: &Run) {
        let Some(parent) = child.created().parent.clone() else {
            return;
        };
        if self.runs.contains(&parent) {
            match self.end_of(child).await {
                Ok(end) => {
                    if self.deliver(&parent, Input::Command(Box::new(end))) {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%parent, %error, "what a child left is not kept"),
            }
        }
        let signal = Signal::ChildEnded { run: child.id().clone() };
        if let Err(error) = send(self, &parent, signal).await {
            tracing::warn!(%parent, %error, "a parent could not be told of the end of its child");
        }
    }
}

/// Puts `signal` into the inbox of `run`; one that does not exist needs none.
///
/// # Errors
/// The store failed, several times.
pub(super) async fn send(
    shared: &Arc<Shared>,
    run: &RunId,
    signal: Signal,
) -> Result<Vec<Command>, StoreError> {
    patiently(shared, || async {
        match shared.signal(run, signal.clone()).await {
            Ok(()) | Err(StoreError::NoSuchRun(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Tries again while the store cannot be reached.
pub(super) async fn patiently<T, F>(shared: &Shared, act: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 1;
    loop {
        match act().await {
            Err(StoreError::Unavailable { .. }) if tries < TRIES => {
                tries += 1;
                shared.clock.until(shared.clock.now().after(PAUSE)).await;
            }
            outcome => return outcome,
        }
    }
}

/// A run that `then` starts.
pub(super) struct Chain {
    run: RunId,
    legacy: Legacy,
    then: Then,
    sight: Sight,
}

impl Chain {
    pub(super) fn new(
        run: &Run,
        id: RunId,
        workflow: String,
        with: Map<String, Value>,
        task: Option<TaskName>,
    ) -> Self {
        let then = Then { on: ThenOn::default(), workflow, with };
        let place = task.and_then(|task| run.place(task.as_str()));
        let sight = run.sight_of_end(place, &then);
        Self { run: id, legacy: Legacy::of(run), then, sight }
    }

    /// Sees to it that the run exists, and drives it.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn start(self, shared: &Arc<Shared>) -> Result<Vec<Command>, StoreError> {
        let failure = patiently(shared, || self.try_to_start(shared)).await?;
        Ok(vec![Command::EndChain { run: self.run, failure }])
    }

    async fn try_to_start(&self, shared: &Arc<Shared>) -> Result<Option<Failure>, StoreError> {
        let Then { workflow, with, .. } = &self.then;
        let mut start = match self.legacy.start(shared, workflow, with, &self.sight).await {
            Ok(start) => start,
            Err(failure) => return Ok(Some(failure)),
        };
        start.origin = Some(Origin::Then { run: self.legacy.run.clone() });
        match shared.start(Some(self.run.clone()), start).await {
            Ok(_) => Ok(None),
            Err(EngineError::Store(StoreError::RunExists(_))) => {
                // A crash came between; who drives it by now may do so.
                if let Err(error) = shared.take_up(&self.run, None).await {
                    tracing::debug!(run = %self.run, %error, "a run that follows is left alone");
                }
                Ok(None)
            }
            Err(EngineError::Store(error)) => Err(error),
            Err(error) => Ok(Some(Failure::new(ErrorClass::InvalidRequest, error.to_string()))),
        }
    }
}
