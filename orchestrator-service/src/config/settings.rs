//! The settings in force, by type.

use orchestrator_core::{agent::Role, money::MicroUsd};
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, time::Duration};

/// All settings in force. What nobody set is absent.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) providers: BTreeMap<String, ProviderSettings>,
    pub(crate) agents: BTreeMap<String, AgentSettings>,
    pub(crate) budget: BudgetSettings,
    pub(crate) confirm: ConfirmSettings,
    pub(crate) defaults: DefaultSettings,
    pub(crate) limits: SharedLimitSettings,
    pub(crate) prices: BTreeMap<String, PriceSettings>,
    pub(crate) telemetry: TelemetrySettings,
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
    pub(crate) concurrent: Option<u32>,
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
    pub(crate) permissions: BTreeMap<String, Vec<String>>,
    pub(crate) budget: ShareSettings,
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
}

/// `[confirm]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct ConfirmSettings {
    pub(crate) usd: Option<MicroUsd>,
    pub(crate) tasks: Option<u64>,
}

/// `[defaults]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct DefaultSettings {
    pub(crate) max_parallel: Option<u32>,
    #[serde(deserialize_with = "duration")]
    pub(crate) timeout: Option<Duration>,
}

/// One `[prices.MODEL]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct PriceSettings {
    pub(crate) input: Option<MicroUsd>,
    pub(crate) output: Option<MicroUsd>,
    pub(crate) cache_read: Option<MicroUsd>,
    pub(crate) cache_write: Option<MicroUsd>,
    pub(crate) provider: Option<String>,
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct TelemetrySettings {
    pub(crate) otlp_endpoint: Option<String>,
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    orchestrator_core::time::text::deserialize(from).map(Some)
}
