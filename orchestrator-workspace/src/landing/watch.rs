//! What is told of landing while it goes on.

use orchestrator_core::id::{CommitId, LandingId};

/// Is told how a queue is worked, for whoever watches. Not recorded.
pub trait LandingWatch: Send + Sync {
    /// Something has just been done. Must not block.
    fn step(&self, branch: &str, step: &LandingStep);
}

/// What has just been done with a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LandingStep {
    /// Somebody works on it now.
    Taken,
    /// Work has been put together on the tip of the branch.
    Joined {
        /// What, in order.
        work: Vec<LandingId>,
        /// The last commit.
        candidate: CommitId,
    },
    /// What was put together is checked now.
    Checking {
        /// How many pieces of work it has.
        work: usize,
        /// The commit.
        candidate: CommitId,
    },
    /// The branch is about to be moved, and that is recorded.
    Advancing {
        /// Where to.
        to: CommitId,
    },
    /// The branch has been moved. That the work has landed is not recorded yet.
    Advanced {
        /// Where to.
        to: CommitId,
    },
    /// A piece of work has ended, and that is recorded.
    Settled {
        /// Which.
        work: LandingId,
        /// How: the name of its state.
        state: &'static str,
    },
}
