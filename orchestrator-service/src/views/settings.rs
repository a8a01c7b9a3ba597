//! Settings as documents.

use serde::Serialize;
use serde_json::Value;

/// All settings in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigView {
    /// `orchestrator.config/v1`.
    pub schema: &'static str,
    /// The settings in the order of their keys.
    pub items: Vec<SettingView>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingView {
    /// Its key, such as `defaults.max-parallel`.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where the value comes from: `flag`, `environment`, `.env`, `project`, `user` or `default`.
    pub layer: &'static str,
    /// The file and line, the variable, or the flag.
    pub origin: String,
}
