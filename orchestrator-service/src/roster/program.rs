//! Programs that are agents.

use crate::config::AgentSettings;

/// A program that is an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program and its arguments; never empty in an agent that can be used.
    pub(crate) command: Vec<String>,
    /// The models that it may call, with `*` for any text.
    pub(crate) models: Vec<String>,
    /// The accounts that it may call; all of them when none is named.
    pub(crate) accounts: Vec<String>,
}

impl Program {
    /// What the settings of an agent say of it.
    pub(super) fn of(settings: &AgentSettings) -> Self {
        let models = match (&settings.models[..], &settings.model) {
            ([], Some(model)) => vec![model.clone()],
            ([], None) => vec!["*".to_owned()],
            (models, _) => models.to_vec(),
        };
        let accounts = settings.accounts.clone();
        Self { command: settings.command.clone(), models, accounts }
    }
}
