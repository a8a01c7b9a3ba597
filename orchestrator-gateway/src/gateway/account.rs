//! One provider account: its adapter, its limits and its breaker.

use crate::{
    Client, GatewayError, ProviderConfig, ProviderKind,
    limits::Throttle,
    provider::{
        Anthropic, CallFailure, Endpoint, Gemini, OpenAiChat, OpenAiResponses, Provider, Response,
    },
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    policy::{Breaker, BreakerPolicy},
    time::Timestamp,
};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Account {
    pub(super) kind: ProviderKind,
    pub(super) host: String,
    /// Where its requests go.
    pub(super) base: String,
    pub(super) is_local: bool,
    pub(super) provider: Box<dyn Provider>,
    pub(super) throttle: Throttle,
    breaker: Mutex<Breaker>,
}

impl Account {
    pub(super) fn new(config: &ProviderConfig, client: Client) -> Result<Self, GatewayError> {
        let endpoint = Endpoint::new(config, client)?;
        let (host, is_local) = (endpoint.host.clone(), endpoint.is_local());
        let base = endpoint.base.to_string();
        let provider: Box<dyn Provider> = match config.kind {
            ProviderKind::Anthropic => Anthropic::at(endpoint),
            ProviderKind::OpenAiResponses => OpenAiResponses::at(endpoint),
            ProviderKind::Gemini => Gemini::at(endpoint),
            ProviderKind::OpenAiChat | ProviderKind::DeepSeek | ProviderKind::Ollama => {
                OpenAiChat::at(endpoint)
            }
        };
        Ok(Self {
            kind: config.kind,
            host,
            base,
            is_local,
            provider,
            throttle: Throttle::new(config.limits),
            breaker: Mutex::new(Breaker::new(BreakerPolicy::default())),
        })
    }

    /// Whether the breaker lets a call pass.
    pub(super) fn admit(&self, name: &ProviderName, now: Timestamp) -> Result<(), Failure> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.admit(now).map_err(|until| {
            let message = format!(
                "provider `{name}` at `{}` failed several times in a row and is not called again \
                 before {until}",
                self.host
            );
            Failure::new(ErrorClass::Transient, message).retry_at(until)
        })
    }

    /// Tells the breaker how a call ended. Only what speaks against the other side counts as a
    /// failure: a server that refuses a request with a reason is well.
    pub(super) fn outcome(&self, result: &Result<Response, CallFailure>, now: Timestamp) {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Err(broken)
                if matches!(
                    broken.failure.class,
                    ErrorClass::Transient | ErrorClass::Overloaded
                ) =>
            {
                breaker.failed(now);
            }
            _ => breaker.succeeded(),
        }
    }
}
