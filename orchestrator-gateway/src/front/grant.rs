//! What a token is worth.

use super::{Api, TokenHash};
use async_trait::async_trait;
use orchestrator_core::{
    id::ProviderName,
    ledger::{Payer, Rule},
    route::Route,
    time::Timestamp,
};
use std::sync::Arc;

/// What the holder of a token may do, and at whose cost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// Who pays. The account and the model are those of each call.
    pub payer: Payer,
    /// The accounts that may be called; of those that speak what is asked for, the first is. The name
    /// of a provider stands for all of its accounts. Where the first is one of several of a provider,
    /// calls are shared among those of them that are here. Default: none.
    pub accounts: Vec<ProviderName>,
    /// The models that may be called, by the names that requests use; `*` stands for any text.
    /// Default: none.
    pub models: Vec<String>,
    /// When it ends. A call that was admitted before goes on.
    pub expires: Timestamp,
    /// What rules such as `cheap` come to for its calls. A request whose `model` is the name of one is
    /// answered by the first of its models that can be asked at its path and may be called; when that
    /// fails, by the next. A rule goes before a model of its name. Default: none.
    pub routes: Arc<[Route]>,
    /// The rule, one of the routes, whose models take over for each other also where a request names
    /// one of them itself. Default: none.
    pub chain: Option<String>,
    /// The limits that hold for its calls, besides the budgets of the payer's runs. Default: none.
    pub rules: Arc<[Rule]>,
}

impl Grant {
    /// A grant for `payer` until `expires`, of nothing yet.
    pub fn new(payer: Payer, expires: Timestamp) -> Self {
        let (accounts, models, chain) = (Vec::new(), Vec::new(), None);
        let (routes, rules) = (Arc::new([]), Arc::new([]));
        Self { payer, accounts, models, expires, routes, chain, rules }
    }

    /// The same for these accounts too.
    #[must_use]
    pub fn with_accounts(mut self, accounts: impl IntoIterator<Item = ProviderName>) -> Self {
        self.accounts.extend(accounts);
        self
    }

    /// The same for these models too; `*` stands for any text.
    #[must_use]
    pub fn with_models(mut self, models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.models.extend(models.into_iter().map(Into::into));
        self
    }

    /// The same where the names of `routes` stand for their models.
    #[must_use]
    pub fn with_routes(mut self, routes: impl Into<Arc<[Route]>>) -> Self {
        self.routes = routes.into();
        self
    }

    /// The same where the models of `rule` take over for each other.
    #[must_use]
    pub fn with_chain(mut self, rule: impl Into<String>) -> Self {
        self.chain = Some(rule.into());
        self
    }

    /// The same under `rules`.
    #[must_use]
    pub fn with_rules(mut self, rules: impl Into<Arc<[Rule]>>) -> Self {
        self.rules = rules.into();
        self
    }

    /// Whether `model` may be called.
    pub fn allows(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| matches(pattern, model))
    }

    /// Whether `model` may be called by `rule`: whoever may use a rule, as one of the models, may use
    /// the models that it comes to.
    pub(super) fn allows_by(&self, rule: &str, model: &str) -> bool {
        self.models.iter().any(|pattern| pattern == rule) || self.allows(model)
    }

    /// The rule that is called `name`.
    pub(super) fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.rule == name)
    }
}

/// Whether `text` is `pattern` with each `*` replaced by any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    // The earliest place of each part leaves the most for those after it.
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

/// Where grants are looked up.
#[async_trait]
pub trait Grants: Send + Sync {
    /// The grant of the token with that hash, if there is one and it was not revoked. The front
    /// itself checks when it ends.
    async fn find(&self, token: &TokenHash) -> Option<Arc<Grant>>;
}

/// Who asked for which API, in words for an error.
pub(super) fn no_account(api: Api) -> String {
    format!("this token has no account that speaks the API under /{api}; add one to its grant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_match_by_pattern() {
        let check = |pattern: &str, model: &str, expected: bool| {
            assert_eq!(matches(pattern, model), expected, "{pattern} {model}");
        };
        check("gpt-5", "gpt-5", true);
        check("gpt-5", "gpt-5-mini", false);
        check("gpt-*", "gpt-5-mini", true);
        check("*", "", true);
        check("*-mini", "gpt-5-mini", true);
        check("*-mini", "gpt-5-mini-x", false);
        check("claude-*-4-*", "claude-opus-4-1", true);
        check("claude-*-4-*", "claude-opus-5", false);
        check("a*a", "a", false);
        check("a**b", "ab", true);
        check("", "x", false);
    }

    #[test]
    fn a_new_grant_allows_nothing() {
        let payer = Payer::new(ProviderName::new("p").unwrap(), "");
        assert!(!Grant::new(payer, Timestamp(1)).allows("gpt-5"));
    }
}
