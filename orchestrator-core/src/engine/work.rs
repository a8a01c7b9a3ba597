//! An attempt in a place of its own: opened, worked in, recorded, proved and landed. Each step is
//! durable before the next begins, so that whatever ends the engine, the next attempt goes on there.

use super::{
    STOP_GRACE, Shared,
    attempt::{Ended, Kept, Plan, Provider, Worker, keep},
    checkpoint::Checkpoints,
    feedback,
    host::{Host, stopped},
    judge,
};
use crate::{
    command::{AttemptKey, Command},
    error::{ErrorClass, Failure},
    id::{CommitId, TaskName},
    port::{Assignment, Checked, LandRequest, Start, StoreError, WorkspaceOrder, Workspaces},
    run::{Run, WorkDone},
    task::{Priority, TaskKind},
    time::format_duration,
    usage::Spend,
    workspace::{
        ChecksPolicy, Evidence, EvidenceRef, LandPolicy, Landing, Opened, Refusal, Verdict,
        WorkFacts, WorkRecord, WorkspaceKind, WorkspacePolicy,
    },
};
use futures_util::FutureExt;
use serde_json::Value;
use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

/// How long the state of a place may take to be recorded when its attempt was told to stop.
const LAST_STATE: Duration = Duration::from_millis(800);

/// The longest first line of a commit's message, in bytes.
const SUBJECT: usize = 72;

/// Where an attempt works and what becomes of what it makes there.
pub(super) struct Placed {
    policy: Arc<WorkspacePolicy>,
    checks: Option<Arc<ChecksPolicy>>,
    land: Option<LandPolicy>,
    priority: Priority,
    judge: Option<Worker>,
    carried: Vec<CommitId>,
    subject: String,
    /// Whether that is the prompt of the task as it is written, before anything is filled in.
    is_prompt: bool,
}

/// Ways out of a step: the attempt ends, or what was made cannot be kept and the run is put down.
enum Exit {
    Ended(Box<Ended>),
    Unkept(StoreError),
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        Self::Unkept(error)
    }
}

impl Placed {
    pub(super) fn new(
        run: &Run,
        place: usize,
        policy: Arc<WorkspacePolicy>,
        judge: Option<Worker>,
    ) -> Self {
        let task = run.spec(place);
        let is_worktree = policy.kind == WorkspaceKind::Worktree;
        let about = match (&task.description, &task.kind) {
            (Some(about), _) => about.clone(),
            (None, TaskKind::Agent { prompt, .. }) => prompt.clone(),
            (None, TaskKind::Command { command }) => command.join(" "),
            (None, TaskKind::Workflow { .. } | TaskKind::Approval { .. }) => String::new(),
        };
        let is_prompt = task.description.is_none() && matches!(task.kind, TaskKind::Agent { .. });
        Self {
            policy,
            checks: task.checks.clone(),
            land: task.landing(),
            priority: task.priority,
            judge,
            carried: if is_worktree { run.carried_commits() } else { Vec::new() },
            subject: subject(&run.name(place), &about),
            is_prompt,
        }
    }

    fn has_git(&self) -> bool {
        self.policy.kind == WorkspaceKind::Worktree
    }
}

/// The first line of the message of a task's work.
fn subject(task: &TaskName, about: &str) -> String {
    let about = about.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("work");
    feedback::cut(&format!("{task}: {about}"), SUBJECT).to_owned()
}

/// An attempt on its way through the steps.
struct Course<'p> {
    plan: &'p Plan,
    placed: &'p Placed,
    host: &'p Host,
    workspaces: Arc<dyn Workspaces>,
    order: Arc<WorkspaceOrder>,
    /// What the agent is told, once somebody needs it.
    told: Option<Assignment>,
    /// How the agent's provider did so far.
    provider: Provider,
}

impl Plan {
    /// Does the attempt in a place of its own.
    ///
    /// # Errors
    /// As [`Plan::perform`].
    pub(super) async fn perform_at(
        mut self,
        placed: Placed,
        host: Host,
    ) -> Result<Ended, StoreError> {
        let Some(workspaces) = host.shared.workspaces.clone() else {
            let message = format!(
                "the task declares `workspace: {}`, and this engine has no workspaces",
                placed.policy.kind.as_str()
            );
            let failure = Failure::new(ErrorClass::InvalidRequest, message);
            return Ok(self.failed(failure, Provider::NotAsked));
        };
        let done = self.briefing.done.take();
        let order = Arc::new(self.order(&placed));
        let mut course = Course {
            plan: &self,
            placed: &placed,
            host: &host,
            workspaces,
            order,
            told: None,
            provider: Provider::NotAsked,
        };
        let ended = match course.see_through(done).await {
            Ok(ended) => ended,
            Err(Exit::Ended(ended)) => *ended,
            Err(Exit::Unkept(error)) => return Err(error),
        };
        Ok(ended)
    }

    fn order(&self, placed: &Placed) -> WorkspaceOrder {
        let mut order = WorkspaceOrder::new(
            self.run.clone(),
            self.key.task.clone(),
            self.directory.clone(),
            placed.policy.clone(),
        );
        order.attempt = self.key.attempt;
        order.epoch = self.key.epoch;
        order.tenant = self.tenant.clone();
        order.project = self.project.clone();
        order.agent = Some(self.spec.name.clone());
        order.start = self.briefing.start.clone();
        order.carried = placed.carried.clone();
        order
    }
}

impl Course<'_> {
    async fn see_through(&mut self, done: Option<Box<WorkDone>>) -> Result<Ended, Exit> {
        let mut done = match done {
            Some(done) => *done,
            None => self.make().await?,
        };
        if let Some(checks) = self.placed.checks.clone() {
            self.prove(&mut done, &checks).await?;
        }
        self.land(&mut done).await?;
        self.close(done.opened.as_ref(), false).await;
        let WorkDone { output, artifacts, .. } = done;
        Ok(self.finished(Kept { output, spend: Vec::new(), artifacts, added: None }))
    }

    fn finished(&self, kept: Kept) -> Ended {
        let Kept { output, spend, artifacts, added } = kept;
        let attempt = self.plan.key.clone();
        let command =
            Command::FinishAttempt { attempt, output, spend, artifacts, cached: None, added };
        Ended { command, cached: None, provider: self.provider }
    }

    fn fail(&self, failure: Failure) -> Exit {
        Exit::Ended(Box::new(self.plan.failed(failure, self.provider)))
    }

    /// Makes a command durable.
    async fn record(&self, command: Command) -> Result<(), Exit> {
        self.host.send(command).durable().await.map_err(|failure| self.fail(failure))
    }

    /// What the agent is told.
    async fn told(&mut self) -> Result<(Assignment, Option<String>), Exit> {
        self.plan.assignment(&self.host.shared).await.map_err(|failure| self.fail(failure))
    }

    /// The agent works, and what it has made is recorded. Where there is no git, the attempt ends
    /// with its answer.
    async fn make(&mut self) -> Result<WorkDone, Exit> {
        let (plan, host) = (self.plan, self.host);
        let (mut assignment, salt) = self.told().await?;
        // What is made in a worktree is a commit, which no cache has.
        let has_git = self.placed.has_git();
        let keeps = plan.cache.as_deref().filter(|policy| policy.keeps_results() && !has_git);
        let policy = Some(&*self.placed.policy);
        let key = keeps.map(|_| super::cache::key(&assignment, salt.as_deref(), policy));
        if let Some(key) = &key
            && let Some(hit) = host.shared.recall(key).await
        {
            let command = hit.finish(plan.key.clone());
            let provider = Provider::NotAsked;
            return Err(Exit::Ended(Box::new(Ended { command, cached: None, provider })));
        }
        let opened = self.open().await?;
        assignment.workspace = Some(opened.clone());
        self.provider = Provider::AsTheAttempt;
        let (accepted, overdue) = match plan.answer(host, &assignment, self.outgrown(&opened)).await
        {
            Ok(answered) => answered,
            Err(failure) => {
                self.last_state().await;
                return Err(self.fail(failure));
            }
        };
        self.provider = Provider::Answered;
        let kept = keep(&host.shared, accepted).await?;
        if !has_git {
            self.close(Some(&opened), false).await;
            let mut ended = self.finished(kept);
            if let (Some((policy, key)), Command::FinishAttempt { output, artifacts, .. }) =
                (keeps.zip(key), &ended.command)
            {
                let at = host.shared.clock.now();
                ended.cached =
                    Some(Box::new(host.keepsake(key, at, policy.ttl, output, artifacts)));
            }
            return Err(Exit::Ended(Box::new(ended)));
        }
        self.told = Some(assignment);
        let done = self.snapshot(kept, opened).await?;
        if overdue {
            let limit = format_duration(plan.timeout.unwrap_or_default());
            let message = format!(
                "the attempt took longer than its limit of {limit}; what it made is recorded"
            );
            return Err(self.fail(Failure::new(ErrorClass::TimedOut, message)));
        }
        Ok(done)
    }

    async fn open(&mut self) -> Result<Arc<Opened>, Exit> {
        let opening = self.workspaces.open(&self.order, self.host);
        let opened = phase(self.host, None, opening).await.map_err(|failure| self.fail(failure))?;
        let known = matches!(&self.order.start, Start::Resume(before) if *before == opened);
        let opened = Arc::new(opened);
        if !known {
            let (attempt, opened) = (self.plan.key.clone(), Box::new((*opened).clone()));
            self.record(Command::OpenWorkspace { attempt, opened }).await?;
        }
        if self.placed.has_git() {
            let checkpoints = Checkpoints::new(
                self.workspaces.clone(),
                self.order.clone(),
                opened.clone(),
                self.plan.key.clone(),
                self.host.inbox.clone(),
            );
            // It is opened once.
            let _ = self.host.checkpoints.set(checkpoints);
        }
        Ok(opened)
    }

    /// Resolves when the place has grown beyond its quota, while the attempt works there.
    async fn outgrown(&self, opened: &Opened) -> Failure {
        if self.order.policy.quota.is_none() {
            return std::future::pending().await;
        }
        let shared = &self.host.shared;
        let mut rest = shared.measure_every;
        loop {
            let since = shared.clock.now().after(rest);
            shared.clock.until(since).await;
            let began = shared.clock.now();
            match self.workspaces.measure(&self.order, opened).await {
                Ok(()) => {}
                Err(failure) if failure.class == ErrorClass::ToolFailed => return failure,
                Err(failure) => tracing::warn!(%failure, "a place could not be measured"),
            }
            let took = Duration::from_millis(shared.clock.now().0.saturating_sub(began.0));
            rest = shared.measure_every.max(took.saturating_mul(super::MEASURE_REST));
        }
    }

    /// Records the state in which an attempt that failed has left its place.
    async fn last_state(&self) {
        let Some(checkpoints) = self.host.checkpoints.get() else { return };
        let clock = &self.host.shared.clock;
        let limit = match self.host.desk.told() {
            super::desk::Stop::No => STOP_GRACE,
            _ => LAST_STATE,
        };
        let late = clock.until(clock.now().after(limit));
        tokio::select! {
            biased;
            () = checkpoints.last() => {}
            () = late => tracing::warn!("the last state of a place could not be recorded in time"),
        }
    }

    /// Records what the agent has made. It was paid for, so it is done even when the attempt was
    /// told to stop.
    async fn snapshot(&self, kept: Kept, opened: Arc<Opened>) -> Result<WorkDone, Exit> {
        let host = self.host;
        if let Some(checkpoints) = host.checkpoints.get() {
            checkpoints.settle().await;
        }
        let Kept { output, spend, artifacts, .. } = kept;
        let message = match &self.told {
            Some(told) if self.placed.is_prompt => subject(&told.task, told.prompt()),
            _ => self.placed.subject.clone(),
        };
        let taking = self.workspaces.snapshot(&self.order, &opened, &message);
        let snapshot = match caught(AssertUnwindSafe(taking).catch_unwind().await) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => {
                let message = "the worktree has no git, so that nothing can be recorded";
                return Err(self.fail(Failure::new(ErrorClass::Internal, message).spent(spend)));
            }
            Err(failure) => {
                let spend = [failure.spend.clone(), spend].concat();
                return Err(self.fail(failure.spent(spend)));
            }
        };
        let diff = match snapshot.files.is_empty() && snapshot.diff.is_empty() {
            true => None,
            false => Some(host.shared.keep_bytes(snapshot.diff.as_bytes()).await?),
        };
        let count = snapshot.files.len();
        let mut listed = snapshot.files;
        listed.truncate(WorkRecord::LISTED);
        let work = WorkRecord {
            commit: snapshot.commit,
            base: snapshot.base,
            files: u32::try_from(count).unwrap_or(u32::MAX),
            listed,
            diff,
        };
        self.record(Command::RecordWork {
            attempt: self.plan.key.clone(),
            output: output.clone(),
            spend,
            artifacts: artifacts.clone(),
            work: Box::new(work.clone()),
        })
        .await?;
        Ok(WorkDone { output, artifacts, facts: WorkFacts::new(work), opened: Some(opened) })
    }

    /// Runs the checks on what was made, unless that was done.
    async fn prove(&mut self, done: &mut WorkDone, checks: &ChecksPolicy) -> Result<(), Exit> {
        let known = done.facts.evidence.clone();
        let (evidence, found) = match known {
            Some(known) if known.verdict == Verdict::Verified => return Ok(()),
            Some(known) => {
                let evidence = self.recall(&known).await?;
                (evidence, known)
            }
            None => self.check(done, checks).await?,
        };
        let verdict = found.verdict;
        done.facts.evidence = Some(found);
        if verdict == Verdict::Verified {
            return Ok(());
        }
        let failure = Failure::new(ErrorClass::CheckFailed, feedback::summary(&evidence));
        let feedback = feedback::of_evidence(&evidence);
        Err(self.reject(done, failure, feedback, None).await)
    }

    async fn check(
        &mut self,
        done: &WorkDone,
        checks: &ChecksPolicy,
    ) -> Result<(Evidence, EvidenceRef), Exit> {
        let host = self.host;
        let work = &done.facts.work;
        let checking = self.workspaces.check(&self.order, &work.commit, &work.base, checks, host);
        let checked = phase(host, None, checking).await.map_err(|failure| self.fail(failure))?;
        let Checked { mut evidence, outputs } = checked;
        if evidence.commit != work.commit {
            let message =
                format!("commit {} was checked in place of {}", evidence.commit, work.commit);
            return Err(self.fail(Failure::new(ErrorClass::Internal, message)));
        }
        for (check, output) in evidence.checks.iter_mut().zip(&outputs) {
            check.output = Some(host.shared.keep_bytes(output).await?);
        }
        let blobs = evidence.outputs();
        let mut spend = Vec::new();
        if evidence.verdict == Verdict::Verified
            && let Some(judge) = &self.placed.judge
        {
            let (judgement, spent) = self.judge(judge, done, &evidence).await?;
            if !judgement.accepted {
                evidence.verdict = Verdict::NotAccepted;
            }
            evidence.judgement = Some(judgement);
            spend = spent;
        }
        let blob = self.keep_evidence(&evidence).await?;
        let commit = evidence.commit.clone();
        let found = EvidenceRef { blob, verdict: evidence.verdict, commit, outputs: blobs };
        let attempt = self.plan.key.clone();
        let recorded = Box::new(found.clone());
        self.record(Command::RecordEvidence { attempt, evidence: recorded, spend }).await?;
        Ok((evidence, found))
    }

    async fn judge(
        &self,
        judge: &Worker,
        done: &WorkDone,
        evidence: &Evidence,
    ) -> Result<(crate::workspace::Judgement, Vec<Spend>), Exit> {
        let host = self.host;
        let told = match &self.told {
            Some(told) => told.clone(),
            None => match self.plan.assignment(&host.shared).await {
                Ok((told, _)) => told,
                Err(failure) => return Err(self.fail(failure)),
            },
        };
        let diff = match &done.facts.work.diff {
            None => String::new(),
            Some(blob) => match host.shared.fetch(blob).await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(failure) => return Err(self.fail(failure)),
            },
        };
        let (spec, _) = judge;
        let who = (spec.name.clone(), spec.provider.clone());
        host.summon(who, self.provider, self.placed.priority)
            .await
            .map_err(|failure| self.fail(failure))?;
        let opened = done.opened.as_ref();
        let case = judge::Case { told: &told, opened, diff: &diff, evidence };
        judge::ask(self.plan, host, judge, &case).await.map_err(|failure| self.fail(failure))
    }

    /// The document `orchestrator.evidence/v1`, kept.
    async fn keep_evidence(&self, evidence: &Evidence) -> Result<crate::id::BlobId, StoreError> {
        let mut document = serde_json::to_value(evidence).unwrap_or_default();
        if let Value::Object(map) = &mut document {
            map.insert("schema".into(), "orchestrator.evidence/v1".into());
        }
        self.host.shared.keep_bytes(document.to_string().as_bytes()).await
    }

    /// Evidence that an earlier attempt has recorded.
    async fn recall(&self, known: &EvidenceRef) -> Result<Evidence, Exit> {
        let bytes = self.host.shared.fetch(&known.blob).await.map_err(|f| self.fail(f))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("the evidence {} cannot be read: {error}", known.blob);
            self.fail(Failure::new(ErrorClass::Internal, message))
        })
    }

    /// Brings what was made onto its branch, unless that was done or there is nothing to bring.
    async fn land(&mut self, done: &mut WorkDone) -> Result<(), Exit> {
        let facts = &done.facts;
        let Some(policy) = &self.placed.land else { return Ok(()) };
        let is_there = facts.landed.is_some() || facts.requested.is_some();
        if is_there || facts.work.commit == facts.work.base {
            return Ok(());
        }
        let request = LandRequest {
            commit: facts.work.commit.clone(),
            base: facts.work.base.clone(),
            policy: policy.clone(),
            checks: self.placed.checks.as_deref().cloned().unwrap_or_default(),
            verified: facts.is_verified(),
            priority: self.placed.priority,
        };
        let landing = self.workspaces.land(&self.order, &request, self.host);
        let landing =
            phase(self.host, None, landing).await.map_err(|failure| self.fail(failure))?;
        let (failure, refusal) = match landing {
            Landing::Landed(landed) => {
                let attempt = self.plan.key.clone();
                let recorded = Box::new(landed.clone());
                self.record(Command::RecordLanding { attempt, landed: recorded }).await?;
                done.facts.landed = Some(landed);
                return Ok(());
            }
            Landing::Requested(request) => {
                let attempt = self.plan.key.clone();
                let recorded = Box::new(request.clone());
                self.record(Command::RecordPullRequest { attempt, request: recorded }).await?;
                done.facts.requested = Some(request);
                return Ok(());
            }
            Landing::Conflict(conflict) => {
                let message = format!(
                    "the work does not go together with what is on `{}`: conflicts in {}",
                    conflict.target,
                    feedback::cut(&conflict.files.join(", "), 300)
                );
                let told = feedback::of_conflict(&conflict);
                let crate::workspace::Conflict { target, tip, files, .. } = conflict;
                let (evidence, outputs) = (None, Vec::new());
                let refusal = Refusal { target, tip, files, message: told, evidence, outputs };
                (message, refusal)
            }
            Landing::Red { target, tip, evidence } => {
                let message = format!(
                    "the work does not pass together with what is on `{target}`: {}",
                    feedback::summary(&evidence)
                );
                let blob = self.keep_evidence(&evidence).await?;
                let told = feedback::of_red(&target, &evidence);
                let (files, outputs) = (Vec::new(), evidence.outputs());
                let evidence = Some(blob);
                (message, Refusal { target, tip, files, message: told, evidence, outputs })
            }
        };
        let failure = Failure::new(ErrorClass::CheckFailed, failure);
        let told = refusal.message.clone();
        Err(self.reject(done, failure, told, Some(Box::new(refusal))).await)
    }

    /// What was made is sent back.
    async fn reject(
        &self,
        done: &WorkDone,
        failure: Failure,
        feedback: String,
        refusal: Option<Box<Refusal>>,
    ) -> Exit {
        self.close(done.opened.as_ref(), true).await;
        let attempt = self.plan.key.clone();
        let command = Command::RejectWork { attempt, failure, feedback, refusal };
        Exit::Ended(Box::new(Ended { command, cached: None, provider: self.provider }))
    }

    /// Lets go of the place.
    async fn close(&self, opened: Option<&Arc<Opened>>, keep: bool) {
        if let Some(opened) = opened {
            close(&self.host.shared, &*self.workspaces, &self.order, opened, keep).await;
        }
    }
}

/// A place whose attempt was the last of its task.
pub(super) struct Leaving {
    order: WorkspaceOrder,
    opened: Opened,
}

impl Leaving {
    /// The place of `attempt`, when it has one.
    pub(super) fn new(run: &Run, attempt: &AttemptKey, place: usize) -> Option<Self> {
        let (created, policy) = (run.created(), run.spec(place).workspace.clone()?);
        let opened = run.task(place)?.workspace()?.clone();
        let (id, directory) = (created.run.clone(), created.directory.clone());
        let mut order = WorkspaceOrder::new(id, attempt.task.clone(), directory, policy);
        order.attempt = attempt.attempt;
        order.epoch = attempt.epoch;
        order.tenant = created.tenant.clone();
        order.project = created.project.clone();
        order.start = Start::Resume(opened.clone());
        Some(Self { order, opened })
    }

    /// Lets it go, and keeps it for people to look at.
    pub(super) async fn leave(self, shared: &Shared, workspaces: &dyn Workspaces) -> Vec<Command> {
        close(shared, workspaces, &self.order, &self.opened, true).await;
        Vec::new()
    }
}

/// Lets go of a place. What cannot be removed now is left for a later cleaning.
async fn close(
    shared: &Shared,
    workspaces: &dyn Workspaces,
    order: &WorkspaceOrder,
    opened: &Opened,
    keep: bool,
) {
    let closing = workspaces.close(order, opened, keep);
    let clock = &shared.clock;
    let late = clock.until(clock.now().after(STOP_GRACE));
    let closed = tokio::select! {
        biased;
        closed = AssertUnwindSafe(closing).catch_unwind() => caught(closed),
        () = late => Err(Failure::new(ErrorClass::TimedOut, "it took too long")),
    };
    if let Err(failure) = closed {
        let place = opened.directory.display();
        tracing::warn!(%place, %failure, "a workspace could not be let go");
    }
}

/// Does one step, unless the attempt was told to stop or is while it lasts; of that which may be
/// repeated nothing is lost. A panic is the step's failure.
///
/// # Errors
/// What the step failed with; `cancelled` when the attempt must stop, `timed_out` past `limit`.
pub(super) async fn phase<T>(
    host: &Host,
    limit: Option<Duration>,
    step: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    if host.desk.told() != super::desk::Stop::No {
        return Err(stopped());
    }
    let clock = &host.shared.clock;
    let mut step = pin!(AssertUnwindSafe(step).catch_unwind());
    let overdue = async {
        match limit {
            Some(limit) => clock.until(clock.now().after(limit)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        ended = &mut step => return caught(ended),
        () = host.desk.stopped() => {}
        () = overdue => {
            let limit = format_duration(limit.unwrap_or_default());
            let message = format!("it took longer than its limit of {limit}");
            return Err(Failure::new(ErrorClass::TimedOut, message));
        }
    }
    let grace = clock.until(clock.now().after(STOP_GRACE));
    tokio::select! {
        biased;
        ended = step => caught(ended),
        () = grace => Err(stopped()),
    }
}

fn caught<T>(
    ended: Result<Result<T, Failure>, Box<dyn std::any::Any + Send>>,
) -> Result<T, Failure> {
    ended.unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Failure::new(ErrorClass::Internal, format!("a step of the attempt panicked: {said}")))
    })
}
