//! The facade: one call to one configured provider, counted and priced.

mod account;
mod check;
mod counting;
mod metering;
mod reserving;
mod taping;

pub use check::KeyCheck;
pub use metering::Completion;

use crate::{
    Client, Delta, GatewayError, ProviderConfig, ProviderKind, Request, balance::Balance,
    budget::Budget, prices::PriceTable, provider::Sink, tokenizer::Tokenizers,
};
use account::{Account, Ended};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::Payer,
    time::Timestamp,
    usage::{Spend, Usage},
};
use std::collections::BTreeMap;
use taping::Tape;
use tracing::{Instrument, field::Empty};

/// Every configured provider, ready to be called.
///
/// A call waits for the account's limits, is refused while its circuit breaker is open, and ends
/// with what it used and cost. Where a provider has several accounts (`lab.first`, `lab.second`), a
/// call for `lab` goes to the one that is best for it, and on to the next when that one refuses it at
/// no cost. Dropping the future of a call drops its request.
#[derive(Debug)]
pub struct Gateway {
    accounts: BTreeMap<ProviderName, Account>,
    prices: PriceTable,
    budget: Option<Budget>,
    balance: Balance,
    tape: Option<Tape>,
    tokenizers: Tokenizers,
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
        let balance = Balance::default();
        let tokenizers = Tokenizers::default();
        Ok(Self { accounts, prices, budget: None, balance, tape: None, tokenizers })
    }

    /// The same under `budget`: no call is made that its ledger has not let pass.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same with tokenizers of the user's: where a provider offers no count, they count.
    #[must_use]
    pub fn with_tokenizers(mut self, tokenizers: Tokenizers) -> Self {
        self.tokenizers = tokenizers;
        self
    }

    /// The names of the accounts, in order.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.accounts.keys()
    }

    /// The protocol of `provider` and the base of the addresses that its calls go to, of the first of
    /// its accounts; `None` when it is not configured.
    pub fn place(&self, provider: &ProviderName) -> Option<(ProviderKind, &str)> {
        self.accounts_of(provider).first().map(|account| (account.kind, account.base.as_str()))
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
    ///
    /// A gateway that [replays](Gateway::replaying) makes no call and holds nothing: it gives the
    /// answer or failure that was recorded.
    pub async fn complete(
        &self,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        match &self.tape {
            Some(Tape::Player(player)) => player.complete(payer, request, now, sink).await,
            Some(Tape::Recorder(recorder)) => {
                let mut listening = recorder.listen(payer, request).await;
                let result = {
                    let mut both = |delta: Delta| {
                        listening.hear(&delta);
                        sink(delta);
                    };
                    self.complete_anywhere(payer, request, now, &mut both).await
                };
                listening.completed(result, now())
            }
            None => self.complete_anywhere(payer, request, now, sink).await,
        }
    }

    /// Asks one account of the provider after the other.
    async fn complete_anywhere(
        &self,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        let wanted = &payer.account;
        let mut left = self.accounts_of(wanted);
        let mut failed: Option<Failure> = None;
        while let Some(account) = self.choose(&mut left, payer, request, now()) {
            let mut payer = payer.clone();
            payer.account = account.name.clone();
            if payer.account != *wanted {
                sink(Delta::Account(payer.account.clone()));
            }
            let Ended { failure, may_move } =
                match self.complete_at(account, &payer, request, now, sink).await {
                    Ok(completion) => return Ok(completion),
                    Err(ended) => ended,
                };
            if may_move && !left.is_empty() {
                let told = format!("{failure}; the call goes to another account");
                tracing::warn!(account = %account.name, %failure, "goes to another account");
                sink(Delta::Warning(told));
            } else if !may_move {
                return Err(failure);
            }
            failed = Some(account::the_better(failed, failure));
        }
        Err(failed.unwrap_or_else(|| {
            let message = format!(
                "cannot call provider `{wanted}`: it is not configured; add [providers.{wanted}]"
            );
            Failure::new(ErrorClass::InvalidRequest, message)
        }))
    }

    /// The same at one account.
    async fn complete_at(
        &self,
        account: &Account,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Ended> {
        // Names: OpenTelemetry semantic conventions for generative AI.
        let span = tracing::info_span!(
            "chat",
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = account.kind.semantic_name(),
            gen_ai.request.model = request.model,
            gen_ai.request.max_tokens = request.max_tokens,
            gen_ai.request.temperature = request.temperature,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            server.address = account.host,
            error.type = Empty,
            orchestrator.account = %payer.account,
        );
        let mut first = metering::First::new(&span);
        let mut told = |delta: Delta| {
            first.see(&delta);
            sink(delta);
        };
        let calling = self.call(account, payer, request, now, &mut told);
        let result = calling.instrument(span.clone()).await;
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
    ) -> Result<Completion, Ended> {
        let provider = &payer.account;
        let mut leave = account.admit(&account::ask(request), now, sink).await?;
        let reserved = self.reserve(account, payer, request, now, sink).await;
        let (held, request, started) = reserved.inspect_err(|_| leave.not_made())?;
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
        account.outcome(&mut leave, &request.model, &result, now());
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
                if response.usage.is_none() {
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
                let may_move = account::moves(&broken);
                let mut failure = broken.failure;
                if let Some(used) = broken.used {
                    let cost = if used.is_final {
                        price(&used.usage)
                    } else {
                        self.free(account, provider, &request.model)
                    };
                    failure.spend.push(spend(Some(used.usage), cost));
                }
                Err(Ended { failure, may_move })
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
