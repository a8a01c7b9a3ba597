//! How many attempts may be under way at once, over all runs.

use super::Roster;
use crate::config::Settings;
use orchestrator_core::{id::ProviderName, schedule::LimitPolicy};

impl Roster {
    /// The limits that `settings` set: for everything, for each project, for each provider that
    /// bounds its requests, and for each agent that bounds its attempts.
    pub(crate) fn limits(&self, settings: &Settings) -> LimitPolicy {
        let providers = settings.providers.iter().filter_map(|(name, provider)| {
            // As many as all accounts together take; without a bound of one there is none.
            let accounts = provider.accounts_of(name);
            let most = accounts.iter().map(|(_, account)| account.limits.concurrent);
            let sum = most.reduce(|a, b| Some(a?.saturating_add(b?)))?;
            Some((ProviderName::new(name).ok()?, sum?))
        });
        // An agent may run on one account alone.
        let accounts = settings.accounts().into_iter().filter_map(|(name, account)| {
            let name = ProviderName::new(name).ok().filter(|name| name.parent().is_some())?;
            Some((name, account.limits.concurrent?))
        });
        let agents = self
            .members
            .iter()
            .filter_map(|(name, member)| Some((name.clone(), member.spec.max_parallel?)));
        LimitPolicy {
            global: settings.limits.concurrent,
            per_project: settings.limits.per_project,
            providers: providers.chain(accounts).collect(),
            agents: agents.collect(),
        }
    }
}
