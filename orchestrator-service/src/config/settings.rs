//! The settings in force, by type.

use orchestrator_core::{agent::Role, money::MicroUsd};
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// All settings in force. What nobody set is absent.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) providers: BTreeMap<String, ProviderSettings>,
    pub(crate) agents: BTreeMap<String, AgentSettings>,
    pub(crate) models: BTreeMap<String, RuleSettings>,
    pub(crate) budget: BudgetSettings,
    pub(crate) tenant: TenantSettings,
    pub(crate) confirm: ConfirmSettings,
    pub(crate) defaults: DefaultSettings,
    pub(crate) limits: SharedLimitSettings,
    pub(crate) prices: BTreeMap<String, PriceSettings>,
    pub(crate) sandbox: SandboxSettings,
    pub(crate) checks: CheckSettings,
    pub(crate) workspaces: WorkspaceSettings,
    pub(crate) landing: LandingSettings,
    pub(crate) tokenizers: BTreeMap<String, TokenizerSettings>,
    pub(crate) telemetry: TelemetrySettings,
    pub(crate) log: LogSettings,
}

/// One `[providers.NAME]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct ProviderSettings {
    pub(crate) kind: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) key: Option<KeySource>,
    pub(crate) limits: LimitSettings,
    pub(crate) timeouts: TimeoutSettings,
    pub(crate) budget: ShareSettings,
    pub(crate) accounts: BTreeMap<String, AccountSettings>,
}

/// One `[providers.NAME.accounts.ACCOUNT]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct AccountSettings {
    pub(crate) base_url: Option<String>,
    pub(crate) key: Option<KeySource>,
    pub(crate) limits: LimitSettings,
    pub(crate) budget: ShareSettings,
}

/// Where a key is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeySource {
    /// In an environment variable, or the project's `.env`.
    Env(String),
    /// In the credential store.
    Secret(String),
}

/// `limits` of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct LimitSettings {
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) tokens_per_minute: Option<u32>,
    pub(crate) input_tokens_per_minute: Option<u32>,
    pub(crate) output_tokens_per_minute: Option<u32>,
    pub(crate) concurrent: Option<u32>,
}

impl LimitSettings {
    /// These, and `other` where they say nothing.
    pub(crate) fn over(self, other: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(other.requests_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(other.tokens_per_minute),
            input_tokens_per_minute: self.input_tokens_per_minute.or(other.input_tokens_per_minute),
            output_tokens_per_minute: self
                .output_tokens_per_minute
                .or(other.output_tokens_per_minute),
            concurrent: self.concurrent.or(other.concurrent),
        }
    }
}

/// `timeouts` of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct TimeoutSettings {
    #[serde(deserialize_with = "duration")]
    pub(crate) answer: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(crate) idle: Option<Duration>,
}

/// One `[agents.NAME]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct AgentSettings {
    pub(crate) role: Option<Role>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) fall_back: Vec<String>,
    pub(crate) mode: Option<String>,
    pub(crate) join: Option<bool>,
    pub(crate) sandbox: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) command: Vec<String>,
    pub(crate) models: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) permissions: PermissionSettings,
    pub(crate) budget: ShareSettings,
    pub(crate) arguments: Vec<String>,
    pub(crate) live: Option<bool>,
    pub(crate) limits: ProgramLimitSettings,
}

/// `limits` of an agent that is a coding CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct ProgramLimitSettings {
    #[serde(deserialize_with = "duration")]
    pub(crate) first_event: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(crate) idle: Option<Duration>,
}

/// `permissions`, of an agent or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct PermissionSettings {
    pub(crate) allow: Vec<String>,
    pub(crate) ask: Vec<String>,
    pub(crate) deny: Vec<String>,
    pub(crate) otherwise: Option<String>,
}

/// One `[models.NAME]`: a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct RuleSettings {
    pub(crate) r#use: Vec<String>,
}

/// `[limits]`: what all runs share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct SharedLimitSettings {
    pub(crate) concurrent: Option<u32>,
    pub(crate) per_project: Option<u32>,
}

/// `[budget]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct BudgetSettings {
    pub(crate) usd_per_task: Option<MicroUsd>,
    pub(crate) usd_per_run: Option<MicroUsd>,
    pub(crate) usd_per_day: Option<MicroUsd>,
    pub(crate) usd_per_month: Option<MicroUsd>,
    pub(crate) tokens_per_task: Option<u64>,
    pub(crate) tokens_per_run: Option<u64>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) tokens_per_month: Option<u64>,
    pub(crate) warn_only: bool,
}

/// `[tenant]`: what holds for all of the user's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct TenantSettings {
    pub(crate) budget: TenantBudgetSettings,
}

/// `tenant.budget`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct TenantBudgetSettings {
    pub(crate) usd_per_day: Option<MicroUsd>,
    pub(crate) usd_per_month: Option<MicroUsd>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) tokens_per_month: Option<u64>,
    pub(crate) warn_only: bool,
}

/// `budget` of an agent or a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct ShareSettings {
    pub(crate) usd_per_day: Option<MicroUsd>,
    pub(crate) usd_per_month: Option<MicroUsd>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) requests_per_day: Option<u64>,
    pub(crate) window_hours: Option<u16>,
    pub(crate) tokens_per_window: Option<u64>,
    pub(crate) requests_per_window: Option<u64>,
    pub(crate) warn_only: bool,
}

impl ShareSettings {
    /// These, and `other` where they say nothing.
    pub(crate) fn over(self, other: Self) -> Self {
        Self {
            usd_per_day: self.usd_per_day.or(other.usd_per_day),
            usd_per_month: self.usd_per_month.or(other.usd_per_month),
            tokens_per_day: self.tokens_per_day.or(other.tokens_per_day),
            requests_per_day: self.requests_per_day.or(other.requests_per_day),
            window_hours: self.window_hours.or(other.window_hours),
            tokens_per_window: self.tokens_per_window.or(other.tokens_per_window),
            requests_per_window: self.requests_per_window.or(other.requests_per_window),
            warn_only: self.warn_only || other.warn_only,
        }
    }
}

/// `[confirm]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct ConfirmSettings {
    pub(crate) usd: Option<MicroUsd>,
    pub(crate) tasks: Option<u64>,
}

/// `[defaults]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct DefaultSettings {
    pub(crate) max_parallel: Option<u32>,
    #[serde(deserialize_with = "duration")]
    pub(crate) timeout: Option<Duration>,
    pub(crate) permissions: PermissionSettings,
}

/// One `[tokenizers.MODEL]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct TokenizerSettings {
    pub(crate) file: Option<String>,
}

/// One `[prices.MODEL]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct PriceSettings {
    pub(crate) input: Option<MicroUsd>,
    pub(crate) output: Option<MicroUsd>,
    pub(crate) cache_read: Option<MicroUsd>,
    pub(crate) cache_write: Option<MicroUsd>,
    pub(crate) batch_input: Option<MicroUsd>,
    pub(crate) batch_output: Option<MicroUsd>,
    pub(crate) provider: Option<String>,
}

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct SandboxSettings {
    pub(crate) mode: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) reads: Option<String>,
    pub(crate) readable: Vec<String>,
    pub(crate) writable: Vec<String>,
    pub(crate) hidden: Vec<String>,
    pub(crate) image: Option<String>,
    pub(crate) memory: Option<u64>,
    pub(crate) processes: Option<u32>,
    #[serde(deserialize_with = "duration")]
    pub(crate) cpu: Option<Duration>,
    pub(crate) files: Option<u64>,
    pub(crate) file_size: Option<u64>,
}

/// `[checks]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct CheckSettings {
    pub(crate) network: Option<String>,
    pub(crate) hosts: Vec<String>,
    #[serde(deserialize_with = "duration")]
    pub(crate) timeout: Option<Duration>,
    pub(crate) environment: Vec<String>,
    pub(crate) writable: Vec<String>,
}

/// `[workspaces]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct WorkspaceSettings {
    pub(crate) quota: Option<u64>,
    pub(crate) largest_file: Option<u64>,
    pub(crate) pool: Option<u32>,
    pub(crate) pool_size: Option<u64>,
    pub(crate) prepare: bool,
    #[serde(deserialize_with = "duration")]
    pub(crate) measure_every: Option<Duration>,
    pub(crate) ports: Option<String>,
}

/// `[landing]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct LandingSettings {
    pub(crate) batch: Option<u32>,
    pub(crate) update_checkout: bool,
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct TelemetrySettings {
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) prometheus_listen: Option<SocketAddr>,
    pub(crate) prometheus_reach: Option<String>,
    pub(crate) prometheus_file: Option<String>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct LogSettings {
    pub(crate) file: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) rotate_size: Option<u64>,
    pub(crate) keep: Option<u32>,
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    orchestrator_core::time::text::deserialize(from).map(Some)
}
