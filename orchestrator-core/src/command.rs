//! What is asked of a run. Each is answered by events, or rejected without any.

use crate::{
    agent::AgentSpec,
    effect::Question,
    error::Failure,
    event::{ArtifactRef, CacheHit, Content, Turn},
    id::{AttemptNumber, Epoch, MessageNumber, QuestionNumber, RunId, TaskName, TurnNumber},
    permission::Action,
    port::{LogLine, Signal},
    run::RunStatus,
    task::{Binding, TaskSpec},
    time::Timestamp,
    usage::Spend,
    workspace::{Checkpoint, EvidenceRef, Landed, Opened, PullRequestRef, Refusal, WorkRecord},
};
use std::{collections::BTreeMap, time::Duration};

/// What is asked of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// An attempt has something to say.
    LogAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// What it says.
        lines: Vec<LogLine>,
        /// Lines that were not kept.
        dropped: u64,
    },
    /// An attempt's agent has named its session.
    KnowSession {
        /// Which one.
        attempt: AttemptKey,
        /// The agent's own name for it.
        session: String,
    },
    /// An attempt has done a turn.
    RecordTurn {
        /// Which one.
        attempt: AttemptKey,
        /// The turn.
        turn: Box<Turn>,
    },
    /// An attempt does not repeat its journal: what it holds from `from` on does not count.
    CutJournal {
        /// Which one.
        attempt: AttemptKey,
        /// The first turn that does not count any more.
        from: TurnNumber,
    },
    /// An attempt asks a person: a question, or for permission.
    AskPerson {
        /// Which one.
        attempt: AttemptKey,
        /// A number that nothing else has which the task has asked.
        question: QuestionNumber,
        /// What.
        message: String,
        /// What it wants to do, when it asks for permission.
        action: Option<Box<Action>>,
        /// How long an answer is waited for.
        expires_in: Option<Duration>,
    },
    /// An attempt does not wait for an answer any more.
    WithdrawQuestion {
        /// Which one.
        attempt: AttemptKey,
        /// What it had asked.
        question: QuestionNumber,
    },
    /// The agent of an attempt has a message.
    NoteDelivery {
        /// Which one.
        attempt: AttemptKey,
        /// The message.
        number: MessageNumber,
    },
    /// The place of an attempt is ready.
    OpenWorkspace {
        /// Which one.
        attempt: AttemptKey,
        /// The place.
        opened: Box<Opened>,
    },
    /// A state of an attempt's place was recorded.
    NoteCheckpoint {
        /// Which one.
        attempt: AttemptKey,
        /// The commit.
        checkpoint: Box<Checkpoint>,
    },
    /// The agent of an attempt is done, and what it has made is a commit.
    RecordWork {
        /// Which one.
        attempt: AttemptKey,
        /// Its output.
        output: Content,
        /// What it spent and its journal does not have.
        spend: Vec<Spend>,
        /// Files that it made besides.
        artifacts: Vec<ArtifactRef>,
        /// The commit and what is in it.
        work: Box<WorkRecord>,
    },
    /// The checks of an attempt's commit have run.
    RecordEvidence {
        /// Which one.
        attempt: AttemptKey,
        /// What they gave.
        evidence: Box<EvidenceRef>,
        /// What a judge spent.
        spend: Vec<Spend>,
    },
    /// An attempt's work is on a branch.
    RecordLanding {
        /// Which one.
        attempt: AttemptKey,
        /// Where.
        landed: Box<Landed>,
    },
    /// A pull request is open for an attempt's work.
    RecordPullRequest {
        /// Which one.
        attempt: AttemptKey,
        /// Which request.
        request: Box<PullRequestRef>,
    },
    /// What an attempt has made is not accepted: its checks do not pass, or it does not go together
    /// with what is on the branch.
    RejectWork {
        /// Which one.
        attempt: AttemptKey,
        /// Why, in a line.
        failure: Failure,
        /// What the agent is told that is to mend it.
        feedback: String,
        /// Why it was not let onto its branch, when that is the reason.
        refusal: Option<Box<Refusal>>,
    },
    /// An attempt has an answer that fits.
    FinishAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// Its output.
        output: Content,
        /// What it spent and its journal does not have.
        spend: Vec<Spend>,
        /// Files that it made.
        artifacts: Vec<ArtifactRef>,
        /// Where the result was made, when it was taken from the cache.
        cached: Option<Box<CacheHit>>,
        /// Tasks that it adds to the run.
        added: Option<Box<Added>>,
    },
    /// An attempt has failed.
    FailAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// Why.
        failure: Failure,
    },
    /// An attempt was stopped because its driver goes down or its run is paused; the task goes on
    /// when the run does.
    PutDownAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// Why, and what it had spent.
        failure: Failure,
    },
    /// The child run of an attempt has ended.
    EndChild {
        /// The child.
        run: RunId,
        /// How it ended; never a status that is not final.
        status: RunStatus,
        /// What it left.
        output: Content,
        /// Why it failed, in words.
        reason: Option<String>,
    },
    /// What [`Effect::Evaluate`](crate::effect::Effect::Evaluate) asked for.
    Answer {
        /// The task.
        task: TaskName,
        /// What was asked.
        question: Question,
        /// The answer.
        answer: Result<Evaluated, Failure>,
    },
    /// A run that was to be started by `then` exists, or cannot be started.
    EndChain {
        /// Its id.
        run: RunId,
        /// Why it could not be started, if so.
        failure: Option<Failure>,
    },
    /// Something from the run's inbox.
    Signal {
        /// Its number there.
        number: u64,
        /// What it is.
        signal: Signal,
    },
    /// Time has passed, or a place is free: start what can be.
    Tick,
    /// Stop the run.
    Cancel {
        /// Who or why.
        reason: String,
    },
    /// Take the run up after its driver has died: attempts under way are lost.
    Recover {
        /// The epoch of the new driver's lease.
        lease: Epoch,
        /// What is known of the spending of attempts that are lost, beyond what they recorded
        /// themselves, by their tasks: see [`Reckoner`](crate::port::Reckoner).
        spent: BTreeMap<TaskName, Vec<Spend>>,
    },
}

impl Command {
    /// Takes a run up after its driver has died, when nothing more is known of what was spent.
    pub fn recover(lease: Epoch) -> Self {
        Self::Recover { lease, spent: BTreeMap::new() }
    }
}

/// Tasks that a task which manages adds to its run.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// The tasks.
    pub tasks: Vec<TaskSpec>,
    /// Who may do each, best first.
    pub bindings: Vec<Binding>,
    /// The agents that the bindings name.
    pub agents: Vec<AgentSpec>,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluated {
    /// To a condition.
    Decided(bool),
    /// To a list.
    Listed {
        /// How many items it has.
        count: u32,
        /// The list.
        items: Content,
    },
    /// To a text to be filled in.
    Filled(String),
}

/// An attempt with its fencing token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// The task.
    pub task: TaskName,
    /// Which try.
    pub attempt: AttemptNumber,
    /// The token; a write with any other is stale.
    pub epoch: Epoch,
}

/// What a decision may depend on besides the run itself: inputs, so that replay needs no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The present instant.
    pub now: Timestamp,
    /// A uniformly drawn number.
    pub draw: u64,
}

/// A command that was not carried out; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The attempt is over, or was never started, or the token is an old one.
    #[error("attempt {} of task `{}` is not under way with epoch {}", .0.attempt, .0.task, .0.epoch)]
    Stale(AttemptKey),
    /// Nobody waits for this any more: an answer to an old question, a signal taken before.
    #[error("nobody waits for that any more")]
    Late,
    /// The run has ended.
    #[error("the run has ended")]
    Ended,
    /// A decision contradicts the fold: a bug. Nothing of it may be written, and this value of the
    /// run must be dropped; the log is as good as before.
    #[error("a decision contradicts the log: {0}")]
    Contradiction(String),
}
