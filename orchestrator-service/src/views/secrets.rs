//! Secrets, by everything but their values.

use serde::Serialize;

/// One secret of the credential store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// When it was last set, where the store knows.
    pub set_at: Option<String>,
    /// Where it is kept: a file.
    pub kept_in: String,
    /// The settings that name it, such as `providers.anthropic`.
    pub used_by: Vec<String>,
}

/// What was done to the credential store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretsChangeView {
    /// `orchestrator.secrets-change/v1`.
    pub schema: &'static str,
    /// `set`, `remove` or `rotate`.
    pub action: &'static str,
    /// The secrets that it was done to.
    pub names: Vec<String>,
    /// The file that keeps them.
    pub kept_in: String,
    /// What opens it: `key file` or `passphrase`.
    pub key: String,
    /// The key file, when one opens it.
    pub key_file: Option<String>,
}
