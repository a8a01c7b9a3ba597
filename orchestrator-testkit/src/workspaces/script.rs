//! What befalls attempts in workspaces in memory, and what was asked of these.

use orchestrator_core::{
    error::Failure,
    id::{CommitId, TaskName, TurnNumber},
    port::Start,
    workspace::Verdict,
};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// The files of a state, by their paths.
pub(super) type Files = BTreeMap<String, String>;

type Judge = dyn Fn(&Files) -> Verdict + Send + Sync;
type Fault = dyn Fn(&Heard) -> Option<Failure> + Send + Sync;

/// What befalls attempts: everything is good and takes no time unless it is said.
#[derive(Clone)]
pub struct Script {
    /// What checks make of a state of the files, also of two that come together.
    pub(super) verdict: Arc<Judge>,
    /// What a call fails with, if it does.
    pub(super) fault: Arc<Fault>,
    /// How long each call takes.
    pub(super) delay: Duration,
}

impl Default for Script {
    fn default() -> Self {
        let verdict = Arc::new(|_: &Files| Verdict::Verified);
        Self { verdict, fault: Arc::new(|_| None), delay: Duration::ZERO }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("delay", &self.delay).finish_non_exhaustive()
    }
}

impl Script {
    /// The same with checks that judge the files so.
    #[must_use]
    pub fn judged(mut self, verdict: impl Fn(&Files) -> Verdict + Send + Sync + 'static) -> Self {
        self.verdict = Arc::new(verdict);
        self
    }

    /// The same with calls that fail so. Each call is asked about before it does anything.
    #[must_use]
    pub fn failing(
        mut self,
        fault: impl Fn(&Heard) -> Option<Failure> + Send + Sync + 'static,
    ) -> Self {
        self.fault = Arc::new(fault);
        self
    }

    /// The same with calls that take so long.
    #[must_use]
    pub fn slow(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A place was asked for.
    Opened {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: u32,
        /// From where.
        start: Start,
    },
    /// A state was to be recorded.
    Checkpoint {
        /// The task.
        task: TaskName,
        /// After which turn.
        turn: Option<TurnNumber>,
    },
    /// The place was to be measured.
    Measured {
        /// The task.
        task: TaskName,
    },
    /// The work was to be recorded.
    Snapshot {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: u32,
    },
    /// A commit was to be checked.
    Checked {
        /// The task.
        task: TaskName,
        /// The commit.
        commit: CommitId,
    },
    /// A commit was to land.
    Landed {
        /// The task.
        task: TaskName,
        /// The commit.
        commit: CommitId,
        /// Whether the engine said that it is verified.
        verified: bool,
    },
    /// A place was let go.
    Closed {
        /// The task.
        task: TaskName,
        /// Whether it stays for people to look at.
        keep: bool,
    },
}

impl Heard {
    /// What was done, in a word.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "open",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Measured { .. } => "measure",
            Self::Snapshot { .. } => "snapshot",
            Self::Checked { .. } => "check",
            Self::Landed { .. } => "land",
            Self::Closed { .. } => "close",
        }
    }

    /// Of which task.
    pub fn task(&self) -> &TaskName {
        match self {
            Self::Opened { task, .. }
            | Self::Checkpoint { task, .. }
            | Self::Measured { task }
            | Self::Snapshot { task, .. }
            | Self::Checked { task, .. }
            | Self::Landed { task, .. }
            | Self::Closed { task, .. } => task,
        }
    }
}
