//! Coding CLIs that are agents because they are there, where no settings name any agent.

use super::{Roster, Source, provider::Provider};
use crate::{Environment, config::AgentSettings, config::Config};
use orchestrator_agents::coding::{self, Adapter};
use orchestrator_core::id::AgentName;
use orchestrator_gateway::ProviderKind;
use std::sync::Arc;

/// The kind of provider whose models a coding CLI calls by itself when it is not told otherwise.
const KINDS: [(&str, ProviderKind); 2] =
    [("claude-code", ProviderKind::Anthropic), ("gemini-cli", ProviderKind::Gemini)];

/// The coding CLIs on `PATH` whose own kind of provider is `kind`.
pub(crate) fn found_for(kind: ProviderKind, environment: &Environment) -> Vec<Arc<dyn Adapter>> {
    let of_kind = KINDS.iter().filter(|(_, its)| *its == kind);
    let there = |adapter: &Arc<dyn Adapter>| {
        adapter.program().is_some_and(|name| !environment.programs(name).is_empty())
    };
    of_kind.filter_map(|(name, _)| coding::adapter(name)).filter(there).collect()
}

impl Roster {
    /// Adds an agent for each coding CLI on `PATH` that can be metered with a key that was found. Each
    /// is called like its provider and has a role of its own, so that it works when it is named and never
    /// in the place of a model; one that would use the user's own login is not among them.
    pub(super) fn add_found(&mut self, environment: &Environment, config: &Config) {
        if !config.settings().agents.is_empty() {
            return;
        }
        let keys: Vec<_> = self
            .providers
            .iter()
            .filter_map(|(name, provider)| match provider {
                Provider { config: Ok(config), found_by: Some(_), model: Some(model), .. } => {
                    Some((name.clone(), config.kind, (*model).to_owned()))
                }
                _ => None,
            })
            .collect();
        for (account, kind, model) in keys {
            for adapter in found_for(kind, environment) {
                let name = adapter.provider();
                let is_taken =
                    AgentName::new(name).is_ok_and(|name| self.members.contains_key(&name));
                if is_taken {
                    continue;
                }
                let settings = AgentSettings {
                    provider: Some(name.to_owned()),
                    model: Some(model.clone()),
                    accounts: vec![account.clone()],
                    ..AgentSettings::default()
                };
                self.configure(name, &settings, config);
                if let Ok(name) = AgentName::new(name)
                    && let Some(member) = self.members.get_mut(&name)
                {
                    member.source = Source::Found;
                }
            }
        }
    }
}
