//! The accounts of each provider.

use super::{Provider, Roster};
use std::collections::BTreeSet;

impl Roster {
    /// The accounts that an agent of `provider` calls: all of it, or the one of that name.
    pub(crate) fn accounts_of(&self, provider: &str) -> Vec<(&str, &Provider)> {
        let is_of = |account: &str| {
            let below = account.strip_prefix(provider);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.providers().filter(|(account, _)| is_of(account)).collect()
    }

    /// What is called `provider`: of several accounts the first that can be used, or else the first.
    pub(super) fn provider(&self, provider: &str) -> Option<&Provider> {
        let accounts = self.accounts_of(provider);
        let usable = accounts.iter().find(|(_, account)| account.config.is_ok());
        usable.or(accounts.first()).map(|(_, account)| *account)
    }

    /// What agents can run on.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let provider = |account: &String| match account.split_once('.') {
            Some((provider, _)) => provider.to_owned(),
            None => account.clone(),
        };
        self.providers.keys().map(provider).collect()
    }
}
