//! What is to be done outside once the events behind it are durable.

use crate::{command::AttemptKey, id::AgentName};

/// A request to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Let the agent work on the attempt.
    StartAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// The task's place in the workflow.
        place: usize,
        /// Who works.
        agent: AgentName,
    },
    /// Tell the attempt to stop.
    StopAttempt {
        /// Which one.
        attempt: AttemptKey,
    },
}
