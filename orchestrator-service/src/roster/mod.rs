//! Who can be given work: the agents of the settings, those that keys make possible, and the
//! built-in analysts that are always there.

mod accounts;
mod bind;
mod coding;
mod found;
mod limits;
mod make;
mod members;
mod permission;
mod prices;
mod program;
mod provider;
mod rule;
mod trust;
mod version;

pub(crate) use bind::Bound;
pub(crate) use coding::{Coding, Mode, is_coding};
pub(crate) use found::found_for;
pub(crate) use program::Program;
pub(crate) use provider::{Provider, USUAL, Usual, keys_in_variables};
pub(crate) use trust::judge_endpoint;

use crate::{
    ServiceError,
    config::{Config, provider_of},
    document::Diagnostic,
};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    id::{AgentName, ProviderName, SecretName},
    route::Route,
    task::COMMAND_AGENT,
    workflow::did_you_mean,
};
use orchestrator_gateway::{
    prices::{ModelTable, PriceEntry, PriceTable},
    tokenizer::Tokenizers,
};
use provider::Kept;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// What the built-in analysts run on.
pub(crate) const BUILTIN: &str = "builtin";

/// Coding CLIs and other agents: part of the language, of which this version offers those that it
/// has an adapter for.
pub(crate) const CODING: [&str; 6] =
    ["claude-code", "codex", "gemini-cli", "copilot", "acp", "a2a"];

/// Where an agent comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Config,
    Environment,
    /// A coding CLI that is there.
    Found,
    BuiltIn,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Environment => "environment",
            Self::Found => "found",
            Self::BuiltIn => "built-in",
        }
    }
}

/// An agent that can be named, or why it cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) spec: AgentSpec,
    pub(crate) source: Source,
    pub(crate) unusable: Option<Diagnostic>,
    /// What it runs, when it is a program that answers prompts.
    pub(crate) program: Option<Program>,
}

impl Member {
    /// Whether it does what a prompt says: a model does its work, or a program that calls some.
    pub(crate) fn answers_prompts(&self) -> bool {
        self.calls_model() || self.program.is_some()
    }

    /// Whether a model does its work.
    pub(crate) fn calls_model(&self) -> bool {
        let provider = self.spec.provider.as_str();
        !matches!(provider, BUILTIN | COMMAND_AGENT) && !is_coding(provider)
    }
}

/// Everybody who can be given work.
#[derive(Debug, Clone)]
pub(crate) struct Roster {
    members: BTreeMap<AgentName, Member>,
    providers: BTreeMap<String, Provider>,
    prices: PriceTable,
    models: ModelTable,
    tokenizers: Tokenizers,
    routes: Arc<[Route]>,
}

impl Roster {
    /// The agents that `config` makes possible.
    ///
    /// An agent that cannot work is a member with the reason: only work that needs it is refused.
    pub(crate) fn new(config: &Config, kept: Kept<'_>) -> Self {
        Self::of(config, provider::read(config, kept))
    }

    /// The same where no model is called but `recorded` agents have been: keys are not looked for,
    /// providers need not be there, and whom the settings do not name is as recorded.
    pub(crate) fn replaying(config: &Config, recorded: &[AgentSpec]) -> Self {
        let mut roster = Self::of(config, provider::of_a_recording(config, recorded));
        for spec in recorded {
            roster.members.entry(spec.name.clone()).or_insert_with(|| Member {
                spec: spec.clone(),
                source: Source::Config,
                unusable: None,
                program: None,
            });
        }
        roster
    }

    fn of(config: &Config, mut providers: BTreeMap<String, Provider>) -> Self {
        // Agents on models and programs call the same accounts: what they may is counted together.
        for provider in providers.values_mut() {
            if let Ok(found) = &mut provider.config {
                *found = found.clone().shared();
            }
        }
        let (prices, models) = (prices::read(config), ModelTable::built_in());
        let (members, tokenizers) = (BTreeMap::new(), Tokenizers::default());
        let routes = Arc::new([]);
        let mut roster = Self { members, providers, prices, models, tokenizers, routes };
        roster.routes = roster.for_programs(config).into();
        for role in Role::KNOWN {
            roster.add(&format!("builtin-{role}"), role, BUILTIN, Source::BuiltIn);
        }
        roster.add(COMMAND_AGENT, Role::Own(COMMAND_AGENT.into()), COMMAND_AGENT, Source::BuiltIn);
        for (name, settings) in &config.settings().agents {
            roster.configure(name, settings, config);
        }
        roster.add_defaults();
        roster
    }

    /// The same with the tokenizers of the settings, whose files are named from `project` on.
    pub(crate) fn with_tokenizers(mut self, config: &Config, project: &Path) -> Self {
        for (model, settings) in &config.settings().tokenizers {
            if let Some(file) = &settings.file {
                self.tokenizers = self.tokenizers.with_file(model, project.join(file));
            }
        }
        self
    }

    /// The tokenizers of the settings.
    pub(crate) fn tokenizers(&self) -> &Tokenizers {
        &self.tokenizers
    }

    /// What the rules come to for programs, which call models through the gateway.
    pub(crate) fn routes(&self) -> &Arc<[Route]> {
        &self.routes
    }

    /// Everybody, those of the settings first, then by name.
    pub(crate) fn members(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by_key(|member| member.source as u8);
        members
    }

    /// The member called `name`.
    ///
    /// # Errors
    /// That nobody is, with the nearest name.
    pub(crate) fn get(&self, name: &str) -> Result<&Member, ServiceError> {
        self.members.get(name).ok_or_else(|| ServiceError::NoSuchAgent {
            name: name.to_owned(),
            suggestion: did_you_mean(name, self.members.keys().map(AgentName::as_str)),
        })
    }

    /// Whether somebody can work who does what a prompt says.
    pub(crate) fn has_model(&self) -> bool {
        self.members.values().any(|member| member.answers_prompts() && member.unusable.is_none())
    }

    /// Why no model is at hand, when something that was set up does not work.
    pub(crate) fn why_no_model(&self) -> Option<&Diagnostic> {
        let agents = self.members.values().find_map(|member| member.unusable.as_ref());
        agents.or_else(|| {
            let broken =
                self.providers.values().find_map(|provider| provider.config.as_ref().err());
            broken.map(AsRef::as_ref)
        })
    }

    /// The price of the member's model, when it is known.
    pub(crate) fn price(&self, spec: &AgentSpec) -> Option<&PriceEntry> {
        self.prices.find(&spec.provider, spec.model.as_deref()?)
    }

    /// The secrets that hold the keys of the providers on which `agents` run, with the providers.
    pub(crate) fn secrets_of(
        &self,
        agents: &BTreeSet<AgentName>,
    ) -> impl Iterator<Item = (&str, &SecretName)> {
        let used: BTreeSet<&ProviderName> = agents
            .iter()
            .filter_map(|name| self.members.get(name))
            .flat_map(|member| {
                let route = member.spec.route.iter().flat_map(|route| &route.models);
                route.map(|model| &model.provider).chain([&member.spec.provider])
            })
            .collect();
        self.providers.iter().filter_map(move |(name, provider)| {
            let secret = provider.secret.as_ref()?;
            let account = ProviderName::new(name).ok()?;
            let is_used = used.contains(&account) || used.contains(&provider_of(&account));
            is_used.then_some((name.as_str(), secret))
        })
    }

    /// The accounts with the variable that they were found by, or what is wrong with them.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&str, &Provider)> {
        self.providers.iter().map(|(name, provider)| (name.as_str(), provider))
    }
}

#[cfg(test)]
mod tests;
