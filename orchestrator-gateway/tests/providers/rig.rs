//! One gateway with a provider of each protocol, all on one scripted server.

use orchestrator_core::{
    error::Failure,
    id::ProviderName,
    ledger::Payer,
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use orchestrator_gateway::{
    Client, Completion, Delta, Gateway, Limits, ProviderConfig, ProviderKind, Request,
    SecretString, Timeouts, prices::PriceTable,
};
use orchestrator_testkit::model_server::ModelServer;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const KEY: &str = "key-that-must-never-be-seen";

/// 2026-01-31T09:30:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_769_851_800_000);

/// Every protocol, by the names of their providers.
pub(crate) const ALL: [&str; 4] = ["messages", "chat", "responses", "gemini"];

/// What scripted answers used: the server says it in each protocol's own way.
pub(crate) const USED: Usage = Usage {
    input: TokenCount(1_200),
    cache_read: TokenCount(200),
    cache_write: TokenCount(50),
    output: TokenCount(34),
    reasoning: TokenCount(8),
};

/// The same as `provider` can tell it: Gemini does not say what a cache took.
pub(crate) fn used(provider: &str) -> Usage {
    if provider == "gemini" {
        let input = USED.input + USED.cache_write;
        return Usage { input, cache_write: TokenCount(0), ..USED };
    }
    USED
}

pub(crate) struct Rig {
    pub(crate) server: ModelServer,
    pub(crate) gateway: Gateway,
    clock: AtomicU64,
}

pub(crate) fn name(text: &str) -> ProviderName {
    ProviderName::new(text).unwrap()
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default(), Timeouts::default())
    }

    pub(crate) fn with(limits: Limits, timeouts: Timeouts) -> Self {
        let server = ModelServer::start().unwrap();
        let kinds = [
            ("messages", ProviderKind::Anthropic),
            ("chat", ProviderKind::OpenAiChat),
            ("responses", ProviderKind::OpenAiResponses),
            ("gemini", ProviderKind::Gemini),
            ("deepseek", ProviderKind::DeepSeek),
            ("ollama", ProviderKind::Ollama),
        ];
        let configs = kinds.map(|(text, kind)| {
            ProviderConfig::new(name(text), kind)
                .with_base_url(server.url())
                .with_key(SecretString::new(KEY))
                .with_limits(limits)
                .with_timeouts(timeouts)
        });
        let gateway = Gateway::new(configs, PriceTable::built_in(), Client::new()).unwrap();
        Self { server, gateway, clock: AtomicU64::new(NOW.0) }
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) async fn ask(
        &self,
        provider: &str,
        request: &Request,
    ) -> (Result<Completion, Failure>, Vec<Delta>) {
        let mut deltas = Vec::new();
        let now = || Timestamp(self.clock.load(Ordering::Relaxed));
        let result = self
            .gateway
            .complete(&Payer::new(name(provider), ""), request, &now, &mut |delta| {
                deltas.push(delta)
            })
            .await;
        (result, deltas)
    }

    pub(crate) async fn answer(&self, provider: &str, model: &str) -> Completion {
        self.ask(provider, &Request::new(model, "hello")).await.0.unwrap()
    }

    pub(crate) async fn failure(&self, provider: &str) -> Failure {
        self.ask(provider, &Request::new(model(provider), "hello")).await.0.unwrap_err()
    }
}

/// A priced model of the provider.
pub(crate) fn model(provider: &str) -> &'static str {
    match provider {
        "messages" => "claude-sonnet-4-5",
        "gemini" => "gemini-3.5-flash",
        _ => "gpt-4o",
    }
}

/// All text of `deltas`.
pub(crate) fn text(deltas: &[Delta]) -> String {
    deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}
