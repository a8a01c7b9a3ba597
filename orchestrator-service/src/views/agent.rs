//! Agents as documents.

use super::AttemptView;
use orchestrator_core::money::MicroUsd;
use serde::Serialize;

/// One agent in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: String,
    /// What it runs on.
    pub provider: String,
    /// How a coding CLI reaches its models: `metered`, through the gateway, or `own-login`, by itself,
    /// so that a limit may be passed by one turn; none of any other agent.
    pub mode: Option<String>,
    /// The accounts of the provider that its calls are shared among; empty where there is one alone.
    pub accounts: Vec<AccountView>,
    /// The model, where the provider has several; the first of its rule.
    pub model: Option<String>,
    /// The rule that names its models, where one does.
    pub rule: Option<String>,
    /// The models of that rule as `PROVIDER/MODEL`, in its order.
    pub models: Vec<String>,
    /// Who takes over when it cannot work.
    pub fall_back: Vec<String>,
    /// Where it comes from: `config`, `environment` (a key was found), or `built-in`.
    pub source: String,
    /// Whether it can work; when not, `reason` says why.
    pub ready: bool,
    /// Why it cannot work, and what to do.
    pub reason: Option<String>,
}

/// One of several accounts of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its name, with that of the provider: `lab.first`.
    pub name: String,
    /// Whether it can be called; when not, `reason` says why.
    pub ready: bool,
    /// Why it cannot be called, and what to do.
    pub reason: Option<String>,
}

/// Everything about one agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentDetails {
    /// `orchestrator.agent/v1`.
    pub schema: &'static str,
    /// The agent.
    #[serde(flatten)]
    pub agent: AgentView,
    /// What it is told before each task.
    pub instructions: String,
    /// The most tokens of one answer.
    pub max_tokens: Option<u32>,
    /// Price of a million input tokens, when known.
    pub input_usd_per_million: Option<MicroUsd>,
    /// Price of a million output tokens, when known.
    pub output_usd_per_million: Option<MicroUsd>,
    /// Its latest attempts, newest first; at most 20.
    pub items: Vec<AttemptView>,
}
