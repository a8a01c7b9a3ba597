//! One call under a budget, and what has to be true of its end whatever the fault.

use crate::{
    format::{Format, TOKENS},
    server::{Server, Step},
};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{OwnerId, ProviderName},
    ledger::{Amounts, Payer, Rule, Scope, ScopeKind, Sums, Unit, Window},
    memory::MemoryStore,
    port::{CallRecord, CallState, Clock, Ledger},
    time::Timestamp,
};
use orchestrator_gateway::{
    Client, Completion, Gateway, ProviderConfig, Request, SecretString, Timeouts, budget::Budget,
    prices::PriceTable,
};
use orchestrator_testkit::ledger_contract::assert_sums_match_calls;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const KEY: &str = "key-that-must-never-be-seen";

/// 2026-01-31T09:30:00Z.
const NOW: Timestamp = Timestamp(1_769_851_800_000);

/// A call that has not ended by then has no end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where no silence is expected, a machine with much to do may take its time.
pub(crate) const PATIENT: Timeouts =
    Timeouts { answer: Duration::from_secs(20), idle: Duration::from_secs(20) };

/// Above what a float holds exactly, which is what many a server counts with.
pub(crate) const HUGE: u64 = 1 << 53;

/// What is expected of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The class of the failure; `None` for an answer.
    pub(crate) class: Option<ErrorClass>,
    /// In how many seconds it is worth trying again, where the server says it.
    pub(crate) retry_in: Option<u64>,
    /// How the ledger counts it.
    pub(crate) ledger: CallState,
}

/// How a call ended.
pub(crate) struct Outcome {
    pub(crate) result: Result<Completion, Failure>,
    /// Its line in the ledger.
    pub(crate) call: CallRecord,
}

struct Fixed;

#[async_trait]
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn until(&self, _: Timestamp) {}
}

/// Makes one call of `format` at `url`.
pub(crate) async fn call(format: &Format, url: String, timeouts: Timeouts) -> Outcome {
    let provider = ProviderName::new(format.name).unwrap();
    let config = ProviderConfig::new(provider.clone(), format.kind)
        .with_base_url(url)
        .with_key(SecretString::new(KEY))
        .with_timeouts(timeouts);
    let ledger = Arc::new(MemoryStore::default());
    let rules = [Rule::hard(ScopeKind::Project, Window::Total, Unit::Usd, 10_000_000)];
    let owner = OwnerId::new("gateway-1").unwrap();
    let budget = Budget::new(ledger.clone(), rules, owner, Arc::new(Fixed));
    let gateway = Gateway::new([config], PriceTable::built_in(), Client::new()).unwrap();
    let gateway = gateway.with_budget(budget);
    let payer = Payer::new(provider, "");
    let request = Request::new(format.model, "hello").with_max_tokens(100);
    let mut ignored = |_| {};
    let ending = timeout(PATIENCE, gateway.complete(&payer, &request, &|| NOW, &mut ignored));
    let result = ending.await.unwrap_or_else(|_| panic!("{}: the call has no end", format.name));
    let mut calls = assert_sums_match_calls(&*ledger).await;
    let project = Scope::Project(payer.tenant, payer.project);
    let (used, held) = ledger.sums(&project, Timestamp(0)).await.unwrap();
    assert_eq!((calls.len(), held), (1, Sums::default()), "{}: {calls:?}", format.name);
    let call = calls.remove(0);
    assert_eq!(used, call.spent.sums(), "{}", format.name);
    Outcome { result, call }
}

/// Makes one call of `format` to a server that does `steps`.
pub(crate) async fn call_to(format: &Format, steps: Vec<Step>, timeouts: Timeouts) -> Outcome {
    let server = Server::start(steps).await;
    call(format, format!("http://127.0.0.1:{}", server.port), timeouts).await
}

impl Outcome {
    /// Checks everything that is expected. `told` names the fault and the format.
    pub(crate) fn check(&self, told: &str, expected: Expected) {
        self.check_tokens(told, expected, TOKENS);
    }

    /// The same where a settled call has used `tokens`.
    pub(crate) fn check_tokens(&self, told: &str, expected: Expected, tokens: u64) {
        let (result, call) = (&self.result, &self.call);
        let failure = result.as_ref().err();
        let seen = Expected {
            class: failure.map(|failure| failure.class),
            retry_in: failure.and_then(|f| f.retry_at).map(|at| at.since(NOW).as_secs()),
            ledger: call.state,
        };
        assert_eq!(seen, expected, "{told}: {result:?}");
        let cost = match result {
            Ok(completion) => completion.spend.cost,
            Err(failure) => failure.spend.first().and_then(|spend| spend.cost),
        };
        match expected.ledger {
            CallState::Settled => {
                // So long a prompt may have no price; it counts as what was held.
                assert!(cost.is_some() || tokens > HUGE, "{told}: {result:?}");
                let usd = cost.or(call.worst.usd);
                assert!(usd.is_some_and(|usd| usd.0 > 0), "{told}: {call:?}");
                assert_eq!(call.spent, Amounts::call(usd, tokens), "{told}");
            }
            CallState::Assumed => {
                assert_eq!((call.spent, cost), (call.worst, None), "{told}: {result:?}");
            }
            _ => assert_eq!((call.spent, cost), (Amounts::NONE, None), "{told}: {result:?}"),
        }
        if let Some(failure) = failure {
            assert!(!failure.message.contains(KEY), "{told}: {failure}");
        }
    }
}
