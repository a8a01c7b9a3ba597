//! What is asked of a run. Each is answered by events, or rejected without any.

use crate::{
    error::Failure,
    event::{ArtifactRef, Content},
    id::{AttemptNumber, Epoch, TaskName},
    port::LogLine,
    time::Timestamp,
    usage::Spend,
};

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
    /// An attempt has an answer that fits.
    FinishAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// Its output.
        output: Content,
        /// What it spent.
        spend: Vec<Spend>,
        /// Files that it made.
        artifacts: Vec<ArtifactRef>,
    },
    /// An attempt has failed.
    FailAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// Why.
        failure: Failure,
    },
    /// An attempt was stopped because its driver goes down; the task goes on when the run does.
    PutDownAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// Why, and what it had spent.
        failure: Failure,
    },
    /// Time has passed: start what is due.
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
    },
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
    /// The run has ended.
    #[error("the run has ended")]
    Ended,
}
