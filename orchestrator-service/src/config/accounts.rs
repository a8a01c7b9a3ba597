//! The accounts of a provider: the entry itself, or each of those below it.

use super::{Config, settings::ProviderSettings, settings::Settings};
use orchestrator_core::id::ProviderName;

impl Settings {
    /// Every account with its settings, by its name: `lab`, or `lab.first` and `lab.second` where the
    /// provider has several.
    pub(crate) fn accounts(&self) -> Vec<(String, ProviderSettings)> {
        self.providers.iter().flat_map(|(name, provider)| provider.accounts_of(name)).collect()
    }
}

impl ProviderSettings {
    /// The accounts of this provider, which is called `name`. What an account does not set it has
    /// from the provider, each limit by itself.
    pub(crate) fn accounts_of(&self, name: &str) -> Vec<(String, Self)> {
        if self.accounts.is_empty() {
            return vec![(name.to_owned(), self.clone())];
        }
        let account = |(account, own): (&String, &super::settings::AccountSettings)| {
            let of = Self {
                kind: self.kind.clone(),
                base_url: own.base_url.clone().or_else(|| self.base_url.clone()),
                key: own.key.clone().or_else(|| self.key.clone()),
                limits: own.limits.over(self.limits),
                timeouts: self.timeouts,
                budget: own.budget.over(self.budget),
                accounts: Default::default(),
            };
            (format!("{name}.{account}"), of)
        };
        self.accounts.iter().map(account).collect()
    }
}

impl Config {
    /// Where the setting `key` of an account is: with the account, or else with its provider.
    pub(crate) fn account_path<'a>(&self, account: &'a str, key: &'a str) -> Vec<&'a str> {
        let Some((provider, account)) = account.split_once('.') else {
            return vec!["providers", account, key];
        };
        let own = vec!["providers", provider, "accounts", account, key];
        if self.has(&own) { own } else { vec!["providers", provider, key] }
    }
}

/// The provider of an account: of `lab.first` it is `lab`, and any other is its own.
pub(crate) fn provider_of(account: &ProviderName) -> ProviderName {
    account.parent().unwrap_or_else(|| account.clone())
}
