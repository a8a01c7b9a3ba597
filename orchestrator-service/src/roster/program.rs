//! Programs that are agents.

use super::Coding;
use crate::config::AgentSettings;
use orchestrator_core::route::Route;

/// A program that is an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program and its arguments; never empty in an agent that can be used.
    pub(crate) command: Vec<String>,
    /// The models that it may call, with `*` for any text.
    pub(crate) models: Vec<String>,
    /// The accounts that it may call; all of them when none is named.
    pub(crate) accounts: Vec<String>,
    /// The rule that its `model` is the name of.
    pub(crate) rule: Option<String>,
    /// What it is besides, when it is a coding CLI.
    pub(crate) coding: Option<Coding>,
}

impl Program {
    /// What the settings of an agent say of it, where `routes` are the rules. Whoever has a rule for a
    /// model may also call the models of that rule by their own names.
    pub(super) fn of(settings: &AgentSettings, routes: &[Route]) -> Self {
        let named = |name: &String| routes.iter().find(|route| route.rule == *name);
        let route = settings.model.as_ref().and_then(named);
        let models = match (&settings.models[..], &settings.model) {
            ([], Some(model)) => {
                let of_rule = route.into_iter().flat_map(|route| &route.models);
                [model].into_iter().chain(of_rule.map(|each| &each.model)).cloned().collect()
            }
            ([], None) => vec!["*".to_owned()],
            (models, _) => models.to_vec(),
        };
        let (accounts, rule) = (settings.accounts.clone(), route.map(|route| route.rule.clone()));
        Self { command: settings.command.clone(), models, accounts, rule, coding: None }
    }
}
