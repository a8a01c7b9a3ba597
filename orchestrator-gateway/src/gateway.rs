//! The facade: one call to one configured provider, counted and priced.

mod account;
mod check;
mod counting;
mod metering;
mod reserving;

pub use check::KeyCheck;
pub use metering::Completion;

use crate::{
    Client, Delta, GatewayError, ProviderConfig, Request, budget::Budget, prices::PriceTable,
    provider::Sink,
};
use account::Account;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::Payer,
    time::Timestamp,
    usage::{Spend, Usage},
};
use std::collections::BTreeMap;
use tracing::{Instrument, field::Empty};

/// Every configured provider, ready to be called.
///
/// A call waits for the provider's limits, is refused while its circuit breaker is open, and ends
/// with what it used and cost. Dropping the future of a call drops its request.
#[derive(Debug)]
pub struct Gateway {
    accounts: BTreeMap<ProviderName, Account>,
    prices: PriceTable,
    budget: Option<Budget>,
}

impl Gateway {
    /// A gateway to the providers of `configs`. Opens no connection and reads no file.
    ///
    /// # Errors
    /// [`GatewayError`] for an entry that cannot work, or two of one name.
    pub fn new(
        configs: impl IntoIterator<Item = ProviderConfig>,
        prices: PriceTable,
        client: Client,
    ) -> Result<Self, GatewayError> {
        let mut accounts = BTreeMap::new();
        for config in configs {
            let account = Account::new(&config, client.clone())?;
            if accounts.insert(config.name.clone(), account).is_some() {
                return Err(GatewayError::Duplicate(config.name.to_string()));
            }
        }
        Ok(Self { accounts, prices, budget: None })
    }

    /// The same under `budget`: no call is made that its ledger has not let pass.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The names of the providers, in order.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.accounts.keys()
    }

    /// The prices that calls are counted with.
    pub fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// Asks the account of `payer` for one answer. `now` tells the time; pieces of the answer go to
    /// `sink` as they arrive.
    ///
    /// Under a budget the most that the call can cost is held before it goes out, and settled with
    /// what it cost. Where a limit holds and the request does not bound its answer, it is bound to
    /// what the limit leaves, and to 32,000 tokens. A call that fits but for what others hold waits
    /// for them.
    ///
    /// Only a connection that could not be made is tried again here, and only twice, at once: all
    /// other retries are the engine's, so that they survive a restart.
    ///
    /// # Errors
    /// A [`Failure`] of any class that a provider can cause, with what was spent before it. A
    /// refusal by the model is not one of them: it is an answer with [`Stop::Refused`](crate::Stop::Refused).
    pub async fn complete(
        &self,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        let provider = &payer.account;
        let Some(account) = self.accounts.get(provider) else {
            let message = format!(
                "cannot call provider `{provider}`: it is not configured; add [providers.{provider}]"
            );
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        // Names: OpenTelemetry semantic conventions for generative AI.
        let span = tracing::info_span!(
            "chat",
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = account.kind.as_str(),
            gen_ai.request.model = request.model,
            gen_ai.request.max_tokens = request.max_tokens,
            gen_ai.request.temperature = request.temperature,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            server.address = account.host,
            error.type = Empty,
        );
        let result = self.call(account, payer, request, now, sink).instrument(span.clone()).await;
        metering::record(&span, &result);
        result
    }

    async fn call(
        &self,
        account: &Account,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        let provider = &payer.account;
        let leave = account.throttle.admit(request.estimated_tokens()).await;
        account.admit(provider, now())?;
        let (held, request, started) = self.reserve(account, payer, request, now, sink).await?;
        let request = request.as_ref();
        let mut held = held;
        let result = {
            let mut told = |delta: Delta| {
                if let (Delta::Sent, Some(hold)) = (&delta, &mut held) {
                    hold.sent();
                }
                sink(delta);
            };
            account.provider.complete(request, now, &mut told).await
        };
        account.outcome(&result, now());
        if let (Some(budget), Err(broken)) = (&self.budget, &result)
            && broken.failure.class == ErrorClass::QuotaExhausted
            && let Some(at) = broken.failure.retry_at
        {
            budget.restart_window(payer, &[], at).await;
        }
        if let Some(hold) = held {
            let end =
                self.settlement(account, payer, &request.model, &result, started, hold.worst());
            for alert in hold.settle(end).await {
                tracing::warn!(%alert, "budget");
                sink(Delta::Warning(alert.to_string()));
            }
        }
        let price = |usage: &Usage| self.price(account, provider, &request.model, usage, started);
        let spend = |usage: Option<Usage>, cost| Spend {
            provider: provider.clone(),
            model: request.model.clone(),
            requests: 1,
            usage: usage.unwrap_or_default(),
            cost,
        };
        match result {
            Ok(response) => {
                if let Some(usage) = &response.usage {
                    leave.used(usage.total().0);
                } else {
                    tracing::warn!(%provider, model = request.model, "the server counted no tokens: what the call cost is unknown");
                }
                let cost = match &response.usage {
                    Some(usage) => price(usage),
                    None => self.free(account, provider, &request.model),
                };
                Ok(Completion {
                    tool_calls: response.tool_calls(),
                    text: response.text,
                    message: response.message,
                    stop: response.stop,
                    usage: response.usage,
                    served_model: response.served_model,
                    spend: spend(response.usage, cost),
                })
            }
            Err(broken) => {
                let mut failure = broken.failure;
                if let Some(used) = broken.used {
                    leave.used(used.usage.total().0);
                    let cost = if used.is_final {
                        price(&used.usage)
                    } else {
                        self.free(account, provider, &request.model)
                    };
                    failure.spend.push(spend(Some(used.usage), cost));
                }
                Err(failure)
            }
        }
    }

    /// The spending of a call that was dropped after [`Delta::Sent`](crate::Delta::Sent), with the last
    /// [`Delta::Usage`](crate::Delta::Usage) that it told. What it cost is unknown, unless it is free.
    pub fn dropped(&self, provider: &ProviderName, model: &str, usage: Usage) -> Spend {
        let account = self.accounts.get(provider);
        let cost = account.and_then(|account| self.free(account, provider, model));
        Spend { provider: provider.clone(), model: model.to_owned(), requests: 1, usage, cost }
    }
}
