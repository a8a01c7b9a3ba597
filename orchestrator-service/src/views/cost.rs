//! Where money and tokens went.

use super::Spent;
use serde::{Deserialize, Serialize};

/// By what spending is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostGroup {
    /// By agent.
    Agent,
    /// By model.
    Model,
    /// By provider.
    Provider,
    /// By task.
    Task,
    /// By project.
    Project,
    /// By day in UTC.
    Day,
    /// By run.
    Run,
}

impl CostGroup {
    /// Every group.
    pub const ALL: [Self; 7] =
        [Self::Agent, Self::Model, Self::Provider, Self::Task, Self::Project, Self::Day, Self::Run];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Task => "task",
            Self::Project => "project",
            Self::Day => "day",
            Self::Run => "run",
        }
    }
}

/// Where money and tokens went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// `orchestrator.cost-report/v1`.
    pub schema: &'static str,
    /// By what it is summed up.
    pub by: CostGroup,
    /// From when on, if bounded.
    pub since: Option<String>,
    /// The groups, largest cost first; days in their order.
    pub items: Vec<CostRow>,
    /// The sum of all groups.
    pub total: CostRow,
}

/// The sum of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostRow {
    /// What the group has in common.
    pub key: String,
    /// How many runs.
    pub runs: u64,
    /// How many requests.
    pub requests: u64,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}
