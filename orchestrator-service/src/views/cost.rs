//! Where money and tokens went.

use super::{CalibrationView, Spent};
use orchestrator_core::{ledger::Unit, money::MicroUsd};
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
    /// Whether the run that was asked about was replayed, so that nothing of it was spent. Replayed
    /// runs are in no sum.
    pub replayed: bool,
    /// What the ledger says of calls, of all time: those of the run, or of the project.
    pub ledger: LedgerView,
    /// How the limits of the settings stand that are not of single runs and tasks.
    pub budgets: Vec<BudgetView>,
    /// How right estimates were: of the newest runs, at most 1,000.
    pub calibration: CalibrationView,
}

/// What the ledger says of calls. It can be more than what runs report: a call whose end nobody knows
/// counts as the most that it can have cost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LedgerView {
    /// Calls under way.
    pub held_calls: u64,
    /// The most that those can cost, in US dollars.
    pub held_usd: MicroUsd,
    /// Calls that ended with their real usage.
    pub settled_calls: u64,
    /// What those cost.
    pub settled_usd: MicroUsd,
    /// Calls whose usage nobody knows.
    pub assumed_calls: u64,
    /// The most that those can have cost, which is what counts.
    pub assumed_usd: MicroUsd,
    /// Calls that were not made, or were refused at no cost.
    pub released_calls: u64,
}

/// How a limit of the settings stands. Amounts are US dollars, tokens or requests, as `unit` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetView {
    /// Whose it is, such as ``agent `dev` ``.
    pub of: String,
    /// The time over which it counts, such as `a day`.
    pub window: String,
    /// `usd`, `tokens` or `requests`.
    pub unit: Unit,
    /// The most.
    pub limit: String,
    /// What is spent.
    pub spent: String,
    /// What calls under way hold.
    pub held: String,
    /// How much of it is spent, in percent.
    pub percent: u64,
    /// When some of it is free again.
    pub renews: Option<String>,
    /// Whether it refuses; otherwise it only warns.
    pub refuses: bool,
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
