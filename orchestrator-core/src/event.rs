//! What happened in a run: the records that its log is made of.
//!
//! An event is a fact; it is never changed and never removed. Fields may be added with a default;
//! anything else is a new [`VERSION`] with a reader for the old one.

mod parts;

pub use parts::{
    Allowance, ArtifactRef, Ask, AskKind, CacheHit, Content, Message, NextAttempt, Reply,
    SentMessage, SkipReason, Turn, Verdict,
};

use crate::{
    agent::AgentSpec,
    effect::Question,
    error::Failure,
    estimate::RunEstimate,
    id::{
        AgentName, AttemptNumber, BlobId, Epoch, MessageNumber, ProjectId, RunId, Sequence,
        TaskName, TenantId, TurnNumber,
    },
    money::MicroUsd,
    permission::PermissionRule,
    port::{Feedback, LogLine},
    run::{Behaviour, RunStatus},
    task::{Binding, TaskSpec},
    time::Timestamp,
    usage::Spend,
    workflow::Workflow,
    workspace::{
        Checkpoint, EvidenceRef, Landed, Opened, PullRequestRef, Refusal, WorkFacts, WorkRecord,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The version of the records that this build writes.
pub const VERSION: u32 = 5;

/// The oldest version of the records that this build reads.
pub const OLDEST_VERSION: u32 = 1;

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its place, from 1, without gaps.
    pub seq: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The run exists. Always the first event of a log.
    RunCreated(Box<RunCreated>),
    /// An agent was given the task.
    AttemptStarted {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The fencing token that the attempt's writes must name.
        epoch: Epoch,
        /// Who works on it.
        agent: AgentName,
        /// The child run that it is, where the task is a workflow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<RunId>,
    },
    /// The attempt's agent named the session in which it works, so that it can go on there.
    SessionKnown {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The agent's own name for it.
        session: String,
    },
    /// A turn of the attempt is done: a model's answer or a tool's result.
    TurnRecorded {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The turn.
        turn: Box<Turn>,
    },
    /// The attempt did not repeat what the journal holds; its turns from here on are forgotten.
    JournalCut {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The first turn that does not count any more.
        from: TurnNumber,
    },
    /// The attempt had something to say.
    AttemptLogged {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// What it said.
        lines: Vec<LogLine>,
        /// Lines that were not kept because the attempt said too much.
        #[serde(default)]
        dropped: u64,
    },
    /// The attempt's answer was accepted; the task has succeeded.
    AttemptSucceeded {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Its output.
        output: Content,
        /// What it spent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spend: Vec<Spend>,
        /// Files that it made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<ArtifactRef>,
        /// Where the result was made, when it was taken from the cache.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cached: Option<Box<CacheHit>>,
    },
    /// The attempt failed. With neither `next` nor `ask` the task has failed with it.
    AttemptFailed {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Why.
        failure: Failure,
        /// When and with whom it is tried again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Box<NextAttempt>>,
        /// What a person is asked before anything follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask: Option<Box<Ask>>,
    },
    /// The attempt's own place is ready.
    WorkspaceOpened {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The place.
        opened: Box<Opened>,
    },
    /// A state of the attempt's place was recorded as a commit.
    CheckpointMade {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The commit.
        checkpoint: Box<Checkpoint>,
    },
    /// The attempt's agent is done and its answer fits: what it has made is one commit. From here
    /// on the agent is not asked again for it.
    WorkRecorded {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The output.
        output: Content,
        /// What it spent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spend: Vec<Spend>,
        /// Files that it made besides.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<ArtifactRef>,
        /// The commit and what is in it.
        work: Box<WorkRecord>,
    },
    /// The checks ran on the commit.
    EvidenceRecorded {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// What they gave.
        evidence: Box<EvidenceRef>,
        /// What a judge spent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spend: Vec<Spend>,
    },
    /// The work is on a branch.
    WorkLanded {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Which branch, and as which commit.
        landed: Box<Landed>,
    },
    /// A pull request is open for the work. What comes of it is in the queue of its branch, since the
    /// run may have ended by then.
    PullRequestOpened {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Which.
        request: Box<PullRequestRef>,
    },
    /// The work does not go together with what is on the branch.
    LandingRefused {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Why not.
        refusal: Box<Refusal>,
    },
    /// The list of a `for-each` task is known; its items are tasks `NAME:0`, `NAME:1` and so on.
    TaskExpanded {
        /// The task.
        task: TaskName,
        /// How many items there are.
        count: u32,
        /// The items: a list.
        items: Content,
    },
    /// A task that manages has added tasks to the run.
    TasksAdded {
        /// The task.
        by: TaskName,
        /// What it added.
        tasks: Vec<TaskSpec>,
        /// Who may do what, best first.
        bindings: Vec<Binding>,
        /// The agents that the bindings name and the run did not know.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        agents: Vec<AgentSpec>,
    },
    /// The engine found out that a condition of the task is true, from values outside the log.
    ConditionMet {
        /// The task.
        task: TaskName,
        /// Which condition.
        question: Question,
    },
    /// The task may start, but not before an instant.
    TaskDelayed {
        /// The task.
        task: TaskName,
        /// The instant.
        until: Timestamp,
    },
    /// A person is asked: for an approval, or by the attempt under way.
    PersonAsked {
        /// The task.
        task: TaskName,
        /// What.
        ask: Box<Ask>,
    },
    /// What was asked has been answered, or nobody answered in time.
    PersonAnswered {
        /// The task.
        task: TaskName,
        /// What a person said.
        reply: Reply,
        /// What is allowed by that for the rest of the run, to the agent that asked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allows: Vec<PermissionRule>,
    },
    /// A message was sent to the agent at work on the task.
    MessageSent {
        /// The task.
        task: TaskName,
        /// The message.
        message: Box<Message>,
    },
    /// The agent at work has a message, and is not given it again.
    MessageDelivered {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The message.
        number: MessageNumber,
    },
    /// The task has succeeded without an attempt of its own: an approval was given, a person gave
    /// the result, or all items of a `for-each` ended well enough.
    TaskSucceeded {
        /// The task.
        task: TaskName,
        /// What it left; of a `for-each` task it is made of its items' outputs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Content>,
    },
    /// The task was done in another run, and its result holds here.
    TaskCarried {
        /// The task.
        task: TaskName,
        /// The run that did it.
        from: RunId,
        /// Who did it there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentName>,
        /// How many attempts it took there.
        attempts: u32,
        /// What it left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Content>,
        /// Files that it made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<ArtifactRef>,
        /// What it made in a worktree, and what proves that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<WorkFacts>>,
    },
    /// The task's attempt under way must stop, and the task ends with this failure.
    StopRequested {
        /// The task.
        task: TaskName,
        /// `cancelled` when a person asked for it, `timed_out` when time was up.
        failure: Failure,
    },
    /// The task will not run.
    TaskSkipped {
        /// The task.
        task: TaskName,
        /// Why not.
        reason: SkipReason,
    },
    /// The task was stopped before it ended, or before it began.
    TaskCancelled {
        /// The task.
        task: TaskName,
    },
    /// The task could not be judged or started; no attempt was made.
    TaskFailed {
        /// The task.
        task: TaskName,
        /// Why.
        failure: Failure,
    },
    /// A judgement sent work back.
    RevisionRequested {
        /// The task that judged.
        by: TaskName,
        /// Which revision that it asks for, from 1.
        number: u32,
        /// What to do differently.
        feedback: Feedback,
        /// The tasks that are open again, in an order that respects needs, the judging one last.
        reopened: Vec<TaskName>,
        /// The task that is told the feedback; the first that is open again when it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<TaskName>,
    },
    /// Everything up to this signal of the run's inbox has been taken.
    SignalTaken {
        /// The signal's number.
        number: u64,
        /// Why it had no effect, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// Somebody asked for nothing more to be started.
    PauseRequested {
        /// Whether what runs was asked to stop at its next turn, rather than to finish.
        now: bool,
    },
    /// The run goes on after a pause.
    RunResumed {},
    /// The run has another budget, or one that it depends on has changed.
    BudgetSet {
        /// The most that the run may cost from now on; as before when it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usd: Option<MicroUsd>,
    },
    /// The run has taken longer than it may.
    RunTimedOut {},
    /// A task with `on-failure: compensate` failed: nothing new is started, and what was done will
    /// be undone.
    CompensationBegan {
        /// The task.
        task: TaskName,
    },
    /// What is undone, in this order; each as a task `NAME:undo`.
    UndoPlanned {
        /// The tasks that succeeded, the last first.
        tasks: Vec<TaskName>,
    },
    /// Another workflow is to be started because the run or one of its tasks ended.
    ChainPlanned {
        /// The task, or the run itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<TaskName>,
        /// The place of the entry in its `then`.
        index: u32,
        /// The id of the new run.
        run: RunId,
    },
    /// The run of that id exists.
    ChainStarted {
        /// Its id.
        run: RunId,
        /// Why it could not be started, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// Somebody asked for the run to stop.
    CancelRequested {
        /// Who or why.
        reason: String,
    },
    /// Another process took the run up after its driver had died.
    RunRecovered {
        /// The epoch of the new driver's lease.
        lease: Epoch,
    },
    /// The run is over. Always the last event of a log, unless work is reopened.
    RunEnded {
        /// How it ended.
        status: RunStatus,
    },
}

/// With what a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunCreated {
    /// Its id.
    pub run: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The project's directory.
    pub directory: PathBuf,
    /// The definition, pinned: changing the file does not change the run.
    pub workflow: Arc<Workflow>,
    /// Where the definition came from: a file, or `template:NAME`.
    pub source: String,
    /// The inputs: an object.
    pub inputs: Arc<Value>,
    /// Who may do what, best first.
    pub bindings: Arc<[Binding]>,
    /// The agents that the bindings name, as they were.
    pub agents: Vec<AgentSpec>,
    /// The most that it may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<MicroUsd>,
    /// The most attempts at once.
    pub max_parallel: u32,
    /// The run that started it as a child and waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// From which run it came in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Every other workflow that it may start, directly or not, by the name that is used for it.
    /// Pinned like the definition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub library: BTreeMap<String, Arc<Workflow>>,
    /// Child runs of another run whose results the children of these tasks take over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub takes_over: BTreeMap<TaskName, RunId>,
    /// What it was expected to use and cost, when somebody asked before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Box<RunEstimate>>,
    /// By which rules it is decided: see [`Behaviour`].
    #[serde(default)]
    pub behaviour: Behaviour,
    /// The cassette that its calls of models are recorded into or answered from. The runs that it
    /// starts have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cassette: Option<CassetteUse>,
    /// Whether its worktrees begin with what the project had not committed when the first was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncommitted: bool,
}

impl RunCreated {
    /// Whether models are not called, so that nothing is spent whatever it tells of costs.
    pub fn is_replay(&self) -> bool {
        matches!(self.cassette, Some(CassetteUse::Replay { .. }))
    }
}

/// What a run does with a cassette, which holds exchanges with models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum CassetteUse {
    /// Every exchange is written into a file.
    Record {
        /// The file.
        file: PathBuf,
        /// What tells the recording from every other; it stands in the file's first line.
        id: String,
    },
    /// Models are not called: their answers come from a recording.
    Replay {
        /// The file that was named.
        file: PathBuf,
        /// Its content when the run began.
        cassette: BlobId,
    },
}

impl CassetteUse {
    /// The blob that it needs.
    pub fn blob(&self) -> Option<&BlobId> {
        match self {
            Self::Record { .. } => None,
            Self::Replay { cassette, .. } => Some(cassette),
        }
    }
}

/// From which run another one came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Origin {
    /// It was started by `then`.
    Then {
        /// The run that ended.
        run: RunId,
    },
    /// It does again what failed.
    Retry {
        /// The run that ended.
        run: RunId,
    },
    /// It goes another way from a point in the history of a run.
    Fork {
        /// That run.
        run: RunId,
        /// Its last event that counts here.
        at: Sequence,
    },
    /// It was brought in from a file.
    Import {},
}

impl Origin {
    /// The run that it came from, when it is known here.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Then { run } | Self::Retry { run } | Self::Fork { run, .. } => Some(run),
            Self::Import {} => None,
        }
    }
}

impl Event {
    /// The stable names of every kind.
    pub const KINDS: [&str; 42] = [
        "run-created",
        "attempt-started",
        "session-known",
        "turn-recorded",
        "journal-cut",
        "attempt-logged",
        "attempt-succeeded",
        "attempt-failed",
        "workspace-opened",
        "checkpoint-made",
        "work-recorded",
        "evidence-recorded",
        "work-landed",
        "pull-request-opened",
        "landing-refused",
        "task-expanded",
        "tasks-added",
        "condition-met",
        "task-delayed",
        "person-asked",
        "person-answered",
        "message-sent",
        "message-delivered",
        "task-succeeded",
        "task-carried",
        "stop-requested",
        "task-skipped",
        "task-cancelled",
        "task-failed",
        "revision-requested",
        "signal-taken",
        "pause-requested",
        "run-resumed",
        "budget-set",
        "run-timed-out",
        "compensation-began",
        "undo-planned",
        "chain-planned",
        "chain-started",
        "cancel-requested",
        "run-recovered",
        "run-ended",
    ];

    /// The stable name of its kind, as in the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated(_) => "run-created",
            Self::AttemptStarted { .. } => "attempt-started",
            Self::SessionKnown { .. } => "session-known",
            Self::TurnRecorded { .. } => "turn-recorded",
            Self::JournalCut { .. } => "journal-cut",
            Self::AttemptLogged { .. } => "attempt-logged",
            Self::AttemptSucceeded { .. } => "attempt-succeeded",
            Self::AttemptFailed { .. } => "attempt-failed",
            Self::WorkspaceOpened { .. } => "workspace-opened",
            Self::CheckpointMade { .. } => "checkpoint-made",
            Self::WorkRecorded { .. } => "work-recorded",
            Self::EvidenceRecorded { .. } => "evidence-recorded",
            Self::WorkLanded { .. } => "work-landed",
            Self::PullRequestOpened { .. } => "pull-request-opened",
            Self::LandingRefused { .. } => "landing-refused",
            Self::TaskExpanded { .. } => "task-expanded",
            Self::TasksAdded { .. } => "tasks-added",
            Self::ConditionMet { .. } => "condition-met",
            Self::TaskDelayed { .. } => "task-delayed",
            Self::PersonAsked { .. } => "person-asked",
            Self::PersonAnswered { .. } => "person-answered",
            Self::MessageSent { .. } => "message-sent",
            Self::MessageDelivered { .. } => "message-delivered",
            Self::TaskSucceeded { .. } => "task-succeeded",
            Self::TaskCarried { .. } => "task-carried",
            Self::StopRequested { .. } => "stop-requested",
            Self::TaskSkipped { .. } => "task-skipped",
            Self::TaskCancelled { .. } => "task-cancelled",
            Self::TaskFailed { .. } => "task-failed",
            Self::RevisionRequested { .. } => "revision-requested",
            Self::SignalTaken { .. } => "signal-taken",
            Self::PauseRequested { .. } => "pause-requested",
            Self::RunResumed { .. } => "run-resumed",
            Self::BudgetSet { .. } => "budget-set",
            Self::RunTimedOut { .. } => "run-timed-out",
            Self::CompensationBegan { .. } => "compensation-began",
            Self::UndoPlanned { .. } => "undo-planned",
            Self::ChainPlanned { .. } => "chain-planned",
            Self::ChainStarted { .. } => "chain-started",
            Self::CancelRequested { .. } => "cancel-requested",
            Self::RunRecovered { .. } => "run-recovered",
            Self::RunEnded { .. } => "run-ended",
        }
    }

    /// The task that it is about, if it is about one.
    pub fn task(&self) -> Option<&TaskName> {
        match self {
            Self::AttemptStarted { task, .. }
            | Self::SessionKnown { task, .. }
            | Self::TurnRecorded { task, .. }
            | Self::JournalCut { task, .. }
            | Self::AttemptLogged { task, .. }
            | Self::AttemptSucceeded { task, .. }
            | Self::AttemptFailed { task, .. }
            | Self::WorkspaceOpened { task, .. }
            | Self::CheckpointMade { task, .. }
            | Self::WorkRecorded { task, .. }
            | Self::EvidenceRecorded { task, .. }
            | Self::WorkLanded { task, .. }
            | Self::PullRequestOpened { task, .. }
            | Self::LandingRefused { task, .. }
            | Self::TaskExpanded { task, .. }
            | Self::ConditionMet { task, .. }
            | Self::TaskDelayed { task, .. }
            | Self::PersonAsked { task, .. }
            | Self::PersonAnswered { task, .. }
            | Self::MessageSent { task, .. }
            | Self::MessageDelivered { task, .. }
            | Self::TaskSucceeded { task, .. }
            | Self::TaskCarried { task, .. }
            | Self::StopRequested { task, .. }
            | Self::TaskSkipped { task, .. }
            | Self::TaskCancelled { task, .. }
            | Self::TaskFailed { task, .. }
            | Self::CompensationBegan { task, .. }
            | Self::TasksAdded { by: task, .. }
            | Self::RevisionRequested { by: task, .. } => Some(task),
            Self::ChainPlanned { task, .. } => task.as_ref(),
            Self::RunCreated(_)
            | Self::SignalTaken { .. }
            | Self::PauseRequested { .. }
            | Self::RunResumed { .. }
            | Self::BudgetSet { .. }
            | Self::RunTimedOut { .. }
            | Self::UndoPlanned { .. }
            | Self::ChainStarted { .. }
            | Self::CancelRequested { .. }
            | Self::RunRecovered { .. }
            | Self::RunEnded { .. } => None,
        }
    }

    /// The blobs that it refers to.
    pub fn blobs(&self) -> Vec<&BlobId> {
        match self {
            Self::AttemptSucceeded { output, artifacts, .. } => {
                output.blob().into_iter().chain(artifacts.iter().map(|a| &a.blob)).collect()
            }
            Self::TaskCarried { output, artifacts, facts, .. } => {
                let output = output.as_ref().and_then(Content::blob);
                let facts = facts.iter().flat_map(|facts| facts.blobs());
                output.into_iter().chain(artifacts.iter().map(|a| &a.blob)).chain(facts).collect()
            }
            Self::WorkRecorded { output, artifacts, work, .. } => {
                let artifacts = artifacts.iter().map(|artifact| &artifact.blob);
                output.blob().into_iter().chain(artifacts).chain(&work.diff).collect()
            }
            Self::EvidenceRecorded { evidence, .. } => evidence.blobs().collect(),
            Self::WorkLanded { landed, .. } => landed.blobs().collect(),
            Self::LandingRefused { refusal, .. } => refusal.blobs().collect(),
            Self::TaskSucceeded { output, .. } => {
                output.as_ref().and_then(Content::blob).into_iter().collect()
            }
            Self::TaskExpanded { items, .. } => items.blob().into_iter().collect(),
            Self::TurnRecorded { turn, .. } => turn.output.blob().into_iter().collect(),
            Self::RunCreated(created) => {
                created.cassette.as_ref().and_then(CassetteUse::blob).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}
