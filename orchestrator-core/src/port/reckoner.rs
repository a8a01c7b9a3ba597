//! The reckoner port: what attempts have spent that could not say so themselves.

use super::StoreError;
use crate::{
    id::{AgentName, AttemptNumber, ProviderName, RunId, TaskName},
    usage::Spend,
};
use async_trait::async_trait;

/// An attempt whose driver has died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostAttempt {
    /// Its task.
    pub task: TaskName,
    /// Which try.
    pub attempt: AttemptNumber,
    /// Who worked.
    pub agent: AgentName,
    /// What the agent runs on.
    pub provider: ProviderName,
}

/// Knows what attempts have spent whose driver died before they ended.
///
/// An agent that records its calls as turns has said what it spent; one that lets a program call
/// models says so when the attempt ends, and before that only a ledger knows.
#[async_trait]
pub trait Reckoner: Send + Sync {
    /// What `attempt` of `run` has spent beyond its recorded turns; nothing when that is not known
    /// or there is no more. Nothing spends in the name of the attempt any more.
    ///
    /// # Errors
    /// Whoever knows does not answer: the run is not taken up then.
    async fn spent(&self, run: &RunId, attempt: &LostAttempt) -> Result<Vec<Spend>, StoreError>;
}
