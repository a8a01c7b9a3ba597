//! The front of this process, started when the first program needs it.

use crate::{
    OrchestratorService, ServiceError, budget::LiveRules, cassette::Between, document::Diagnostic,
    service::Opened,
};
use orchestrator_agents::coding::Format;
use orchestrator_core::{engine::SystemClock, id::ProviderName, ledger::Rule};
use orchestrator_gateway::{
    ProviderKind, SecretString,
    budget::{Budget, RuleBook},
    front::{Attempts, Front, FrontConfig, FrontError, Tokens, Upstream},
    prices::PriceTable,
};
use std::{collections::BTreeMap, future::pending, net::Ipv4Addr, sync::Arc};
use tokio::{sync::Mutex, task::JoinHandle};

/// How programs of this process reach models.
pub(crate) struct Access {
    config: FrontConfig,
    attempts: Arc<Attempts>,
    accounts: Vec<ProviderName>,
    /// How models are called there, in the same order.
    formats: Vec<&'static [Format]>,
    rules: Arc<LiveRules>,
    budget: Budget,
    prices: PriceTable,
    taped: bool,
    running: Mutex<Option<Running>>,
}

/// A front that answers.
struct Running {
    url: String,
    serving: JoinHandle<()>,
}

impl OrchestratorService {
    /// The access of this process's programs to every provider that can be used. `keys` are those
    /// that the credential store holds. A run that is recorded or replayed has one of its own, with
    /// what is `between`.
    pub(crate) fn access(
        &self,
        opened: &Opened,
        keys: &BTreeMap<String, SecretString>,
        between: &Between,
    ) -> Result<Arc<Access>, ServiceError> {
        let make = || {
            let roster = self.roster()?;
            let tokens = Arc::new(Tokens::new());
            let attempts = Attempts::new(tokens.clone());
            let mut config = FrontConfig::new(
                self.ledger_owner()?,
                opened.ledger(),
                tokens,
                Arc::new(SystemClock),
            )
            .with_prices(roster.prices().clone())
            .with_observer(attempts.clone());
            let (mut accounts, mut formats) = (Vec::new(), Vec::new());
            for provider in roster.usable(keys) {
                let upstream = Upstream::of(&provider).map_err(|error| {
                    let found = Diagnostic::new(error.code(), error.to_string());
                    ServiceError::invalid("cannot use the providers", found)
                })?;
                formats.push(spoken(provider.kind));
                accounts.push(provider.name);
                config = config.with_upstream(upstream);
            }
            let config = match between {
                Between::Nothing => config,
                Between::Recorder { recorder, .. } => config.recording(recorder.clone()),
                Between::Player(player) => config.replaying(player.clone()),
            };
            let (rules, prices) = (self.rules()?, roster.prices().clone());
            let (owner, clock) = (self.ledger_owner()?, Arc::new(SystemClock));
            let budget = Budget::by(opened.ledger(), rules.clone(), owner, clock);
            let (taped, running) = (!matches!(between, Between::Nothing), Mutex::default());
            Ok(Access {
                config,
                attempts,
                accounts,
                formats,
                rules,
                budget,
                prices,
                taped,
                running,
            })
        };
        match between {
            Between::Nothing => self.shared_access(make),
            Between::Recorder { .. } | Between::Player(_) => Ok(Arc::new(make()?)),
        }
    }
}

impl Access {
    /// The accounts that can be called, in the order of their names.
    pub(crate) fn accounts(&self) -> &[ProviderName] {
        &self.accounts
    }

    /// The formats in which models can be called at `accounts`, each once: first those in which the
    /// vendor of `model` offers it, then in the order of the accounts.
    pub(crate) fn formats(&self, accounts: &[ProviderName], model: Option<&str>) -> Vec<Format> {
        let mut found: Vec<Format> = Vec::new();
        for (account, formats) in self.accounts.iter().zip(&self.formats) {
            let fresh = formats.iter().filter(|_| accounts.contains(account));
            for format in fresh {
                if !found.contains(format) {
                    found.push(*format);
                }
            }
        }
        best_first(found, model.unwrap_or_default())
    }

    /// The limits of the settings.
    pub(crate) fn rules(&self) -> Arc<[Rule]> {
        self.rules.rules()
    }

    /// The budgets of programs that call models by themselves.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What models cost.
    pub(crate) fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// Whether what is asked is recorded or replayed.
    pub(crate) fn is_taped(&self) -> bool {
        self.taped
    }

    /// The attempts that may call.
    pub(crate) fn attempts(&self) -> &Arc<Attempts> {
        &self.attempts
    }

    /// Where the front is, such as `http://127.0.0.1:4000`. It answers from now on, for as long as
    /// the runtime that called first.
    ///
    /// # Errors
    /// No port can be had on this machine.
    pub(crate) async fn url(&self) -> Result<String, FrontError> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.as_ref().filter(|it| !it.serving.is_finished()) {
            return Ok(running.url.clone());
        }
        let front = Front::bind((Ipv4Addr::LOCALHOST, 0).into(), self.config.clone()).await?;
        let url = format!("http://{}", front.address());
        tracing::debug!(url, "programs may call models");
        let serving = tokio::spawn(front.serve(pending()));
        *running = Some(Running { url: url.clone(), serving });
        Ok(url)
    }
}

/// `formats` with those first in which the vendor of `model` offers it.
fn best_first(mut formats: Vec<Format>, model: &str) -> Vec<Format> {
    let usual = usual(model);
    formats.sort_by_key(|format| !usual.contains(format));
    formats
}

/// The formats in which the vendor of a model offers it, by the model's name.
fn usual(model: &str) -> &'static [Format] {
    let begins = |parts: &[&str]| parts.iter().any(|part| model.starts_with(part));
    match () {
        () if begins(&["claude"]) => &[Format::Anthropic],
        () if begins(&["gpt", "chatgpt", "codex", "o1", "o3", "o4"]) => {
            &[Format::Responses, Format::Chat]
        }
        () if begins(&["gemini"]) => &[Format::Gemini],
        () => &[],
    }
}

/// The formats in which a kind of provider is called, best first.
fn spoken(kind: ProviderKind) -> &'static [Format] {
    match kind {
        ProviderKind::Anthropic => &[Format::Anthropic],
        ProviderKind::OpenAiResponses => &[Format::Responses, Format::Chat],
        ProviderKind::OpenAiChat | ProviderKind::DeepSeek | ProviderKind::Ollama => &[Format::Chat],
        ProviderKind::Gemini => &[Format::Gemini],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_first_as_its_vendor_offers_it() {
        let first = |model| {
            let all = vec![Format::Anthropic, Format::Gemini, Format::Responses, Format::Chat];
            best_first(all, model)[0]
        };
        assert_eq!(first("gpt-5"), Format::Responses);
        assert_eq!(first("gemini-3.5-flash"), Format::Gemini);
        assert_eq!(first("claude-haiku-4-5"), Format::Anthropic);
        // Whose it is is not known: as the accounts are.
        assert_eq!(first("qwen3"), Format::Anthropic);
        let only_chat = vec![Format::Anthropic, Format::Chat];
        assert_eq!(best_first(only_chat, "gpt-5")[0], Format::Chat);
    }
}
