//! The front of this process, started when the first program needs it.

use crate::{
    OrchestratorService, ServiceError, budget::LiveRules, cassette::Between, document::Diagnostic,
    service::Opened,
};
use orchestrator_core::{engine::SystemClock, id::ProviderName, ledger::Rule};
use orchestrator_gateway::{
    SecretString,
    budget::RuleBook,
    front::{Attempts, Front, FrontConfig, FrontError, Tokens, Upstream},
};
use std::{collections::BTreeMap, future::pending, net::Ipv4Addr, sync::Arc};
use tokio::{sync::Mutex, task::JoinHandle};

/// How programs of this process reach models.
pub(crate) struct Access {
    config: FrontConfig,
    attempts: Arc<Attempts>,
    accounts: Vec<ProviderName>,
    rules: Arc<LiveRules>,
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
            let mut accounts = Vec::new();
            for provider in roster.usable(keys) {
                let upstream = Upstream::of(&provider).map_err(|error| {
                    let found = Diagnostic::new(error.code(), error.to_string());
                    ServiceError::invalid("cannot use the providers", found)
                })?;
                accounts.push(provider.name);
                config = config.with_upstream(upstream);
            }
            let config = match between {
                Between::Nothing => config,
                Between::Recorder { recorder, .. } => config.recording(recorder.clone()),
                Between::Player(player) => config.replaying(player.clone()),
            };
            let rules = self.rules()?;
            Ok(Access { config, attempts, accounts, rules, running: Mutex::default() })
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

    /// The limits of the settings.
    pub(crate) fn rules(&self) -> Arc<[Rule]> {
        self.rules.rules()
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
