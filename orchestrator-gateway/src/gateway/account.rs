//! One provider account: its adapter, and how it stands.

use super::Gateway;
use crate::{
    Client, GatewayError, ProviderConfig, ProviderKind, Request,
    balance::{Conversation, hope, may_move},
    limits::{AccountState, Ask, Denied, Leave, PATIENCE, Patience},
    provider::{
        Anthropic, Billing, CallFailure, Delta, Endpoint, Gemini, OpenAiChat, OpenAiResponses,
        Provider, Response, Sink,
    },
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::Payer,
    time::{Timestamp, format_duration},
};

#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: ProviderName,
    pub(super) kind: ProviderKind,
    pub(super) host: String,
    /// Where its requests go.
    pub(super) base: String,
    pub(super) is_local: bool,
    pub(super) provider: Box<dyn Provider>,
    pub(super) state: AccountState,
}

/// A call that gave no answer.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) failure: Failure,
    /// Whether nothing was billed and another account may be asked.
    pub(super) may_move: bool,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self { failure, may_move: false }
    }
}

impl Account {
    pub(super) fn new(config: &ProviderConfig, client: Client) -> Result<Self, GatewayError> {
        let state = config.state();
        let endpoint = Endpoint::new(config, client)?.with_state(state.clone());
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
        let (name, kind) = (config.name.clone(), config.kind);
        Ok(Self { name, kind, host, base, is_local, provider, state })
    }

    /// Waits until the account's limits, its provider and its breaker let a call pass.
    pub(super) async fn admit(
        &self,
        ask: &Ask<'_>,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Leave, Ended> {
        let name = &self.name;
        let patience = Patience { own: None, told: PATIENCE };
        let mut waits = || sink(Delta::Waiting(format!("the limits of provider `{name}`")));
        let denied = match self.state.admit(ask, patience, now, &mut waits).await {
            Ok(leave) => return Ok(leave),
            Err(denied) => denied,
        };
        let (class, message, at) = match denied {
            Denied::Open(until) => {
                let message = format!(
                    "provider `{name}` at `{}` failed several times in a row and is not called \
                     again before {until}",
                    self.host
                );
                (ErrorClass::Transient, message, until)
            }
            Denied::Told(at) => {
                let message = format!(
                    "provider `{name}` takes no call of model `{}` before {at}, by its own word",
                    ask.model
                );
                (ErrorClass::RateLimited, message, at)
            }
            Denied::Own(wait) => {
                let message = format!(
                    "the limits of provider `{name}` leave no room for {}; raise them under \
                     [providers.{name}.limits]",
                    format_duration(wait)
                );
                (ErrorClass::RateLimited, message, now().after(wait))
            }
        };
        Err(Ended { failure: Failure::new(class, message).retry_at(at), may_move: true })
    }

    /// Tells the account how a call of `model` ended. Only what speaks against the other side counts
    /// as a failure: a server that refuses a request with a reason is well.
    pub(super) fn outcome(
        &self,
        leave: &mut Leave,
        model: &str,
        result: &Result<Response, CallFailure>,
        now: Timestamp,
    ) {
        let broken = match result {
            Ok(response) => {
                if let Some(usage) = &response.usage {
                    leave.used(usage);
                }
                return leave.went_well();
            }
            Err(broken) => broken,
        };
        match (&broken.used, broken.billing) {
            (Some(used), _) if !used.usage.is_zero() => leave.used(&used.usage),
            (None, Billing::None) => leave.used_nothing(),
            (Some(_) | None, _) => {}
        }
        let Failure { class, retry_at, .. } = broken.failure;
        self.state.refused(model, class, retry_at, now);
        match class {
            ErrorClass::Transient | ErrorClass::Overloaded => leave.failed(now),
            _ => leave.went_well(),
        }
    }
}

/// Whether another account may be asked after this.
pub(super) fn moves(broken: &CallFailure) -> bool {
    let is_free = broken.billing == Billing::None && broken.used.is_none();
    is_free && may_move(broken.failure.class)
}

/// What a request asks of an account.
pub(super) fn ask(request: &Request) -> Ask<'_> {
    Ask {
        model: &request.model,
        input: request.estimated_tokens().into(),
        most_output: request.max_tokens.map(u64::from),
    }
}

impl Gateway {
    /// The accounts that calls for `wanted` may go to: the one of that name, or those of the provider.
    pub(super) fn accounts_of(&self, wanted: &ProviderName) -> Vec<&Account> {
        match self.accounts.get(wanted) {
            Some(account) => vec![account],
            None => self.accounts.values().filter(|it| it.name.serves(wanted)).collect(),
        }
    }

    /// The account of `left` that is best for the call, taken out of it.
    pub(super) fn choose<'a>(
        &self,
        left: &mut Vec<&'a Account>,
        payer: &Payer,
        request: &Request,
        now: Timestamp,
    ) -> Option<&'a Account> {
        let conversation = Conversation::of_attempt(payer);
        let states = left.iter().map(|account| (&account.name, &account.state));
        let at = self.balance.choose(states, &ask(request), conversation, now)?;
        Some(left.remove(at))
    }
}

/// The failure that speaks for several accounts, of which `other` is one more.
pub(super) fn the_better(failure: Option<Failure>, mut other: Failure) -> Failure {
    let Some(mut failure) = failure else { return other };
    let rank = |it: &Failure| (hope(it.class), it.retry_at.unwrap_or(Timestamp(u64::MAX)));
    if rank(&other) < rank(&failure) {
        std::mem::swap(&mut failure, &mut other);
    }
    failure.spend.append(&mut other.spend);
    failure
}
