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
    /// Where it comes from: `config`, `environment` (a key was found), `found` (a coding
    /// CLI that is there, with a key for it), or `built-in`.
    pub source: String,
    /// Whether it can work; when not, `reason` says why.
    pub ready: bool,
    /// Why it cannot work, and what to do.
    pub reason: Option<String>,
    /// Whether it can be given work now.
    pub status: AgentStatus,
    /// What is wrong with it, where the status is `error`, and what to do.
    pub trouble: Option<String>,
    /// How many tasks it is at work on, in all runs of the project.
    pub at_work: u32,
    /// Its program, where it is a coding CLI whose program was found.
    pub program: Option<ProgramView>,
}

/// Whether an agent can be given work now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentStatus {
    /// It can, and has none.
    Available,
    /// It is at work.
    Busy,
    /// It may fail: `trouble` says why.
    Error,
    /// It cannot: `reason` says why.
    Unavailable,
}

impl AgentStatus {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Error => "error",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The program of a coding CLI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramView {
    /// Where it is.
    pub path: String,
    /// Its version, as it says; unknown where it was not asked or did not say.
    pub version: Option<String>,
    /// The version that it was last proved to work with.
    pub proved_with: Option<String>,
    /// The first version that can be used.
    pub oldest: Option<String>,
    /// Whether it has a login of the user; unknown where nothing tells.
    pub logged_in: Option<bool>,
    /// What is worth a word and refuses nothing, such as a version that was not tried.
    pub note: Option<String>,
}

/// Something that a coding CLI can do, or cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapabilityView {
    /// What, such as `live-approval`.
    pub name: String,
    /// Whether it can.
    pub offered: bool,
    /// Why not.
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
    /// What it can do, where it is a coding CLI; empty for all others.
    pub capabilities: Vec<CapabilityView>,
    /// Its latest attempts, newest first; at most 20.
    pub items: Vec<AttemptView>,
}

/// What was done to the agents of the project's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentsChangeView {
    /// `orchestrator.agents-change/v1`.
    pub schema: &'static str,
    /// `add` or `remove`.
    pub action: &'static str,
    /// The agent.
    pub agent: String,
    /// The file that was written.
    pub file: String,
    /// What it needs before it can work, such as a key that is not there yet.
    pub note: Option<String>,
}
