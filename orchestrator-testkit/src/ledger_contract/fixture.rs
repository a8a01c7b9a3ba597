//! Calls to be reserved, and what must hold of all of them.

use crate::store_contract::{name, run_id};
use orchestrator_core::{
    id::{AgentName, OwnerId, ProviderName},
    ledger::{Amounts, Payer, Rule, Scope, ScopeKind, Sums, Unit, Window},
    money::MicroUsd,
    port::{CallRecord, CallState, Catalog, HoldId, Ledger, Reserve, Store},
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc};

/// A ledger under test, with the store that knows the runs.
#[derive(Clone)]
pub struct Subject {
    /// The side that the engine writes.
    pub store: Arc<dyn Store>,
    /// The side that people read.
    pub catalog: Arc<dyn Catalog>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject")
    }
}

/// 2026-02-11T10:30:00Z.
pub(super) const NOW: Timestamp = Timestamp(1_770_805_800_000);
pub(super) const HOUR: u64 = 3_600_000;

pub(super) fn owner(text: &str) -> OwnerId {
    OwnerId::new(text).expect("an owner")
}

pub(super) fn hold(number: u64) -> HoldId {
    HoldId { owner: owner("gateway-1"), number }
}

/// A call for task `build` of run `r_<run>`.
pub(super) fn payer(run: &str) -> Payer {
    Payer {
        run: Some(run_id(run)),
        task: Some(name("build")),
        agent: Some(AgentName::new("dev").expect("an agent")),
        ..Payer::new(ProviderName::new("lab").expect("a provider"), "m")
    }
}

/// One call that costs `usd` millionths of a dollar, with a token for each.
pub(super) fn cost(usd: u64) -> Amounts {
    Amounts::call(Some(MicroUsd(usd)), usd)
}

pub(super) fn sums(usd: u64, requests: u64) -> Sums {
    Sums { usd, tokens: usd, requests }
}

/// Reservation `number` for `usd`, of no run and without rules.
pub(super) fn reserve(number: u64, usd: u64) -> Reserve {
    Reserve {
        hold: hold(number),
        payer: Payer::new(ProviderName::new("lab").expect("a provider"), "m"),
        worst: cost(usd),
        rules: Arc::new([]),
        now: NOW,
        expires: Timestamp(NOW.0 + 60_000),
    }
}

/// The same for a run.
pub(super) fn of_run(number: u64, usd: u64, run: &str) -> Reserve {
    Reserve { payer: payer(run), ..reserve(number, usd) }
}

/// The same under `rules`.
pub(super) fn under(rules: &[Rule], request: Reserve) -> Reserve {
    Reserve { rules: rules.into(), ..request }
}

pub(super) fn rule(of: ScopeKind, window: Window, usd: u64) -> Rule {
    Rule::hard(of, window, Unit::Usd, usd)
}

pub(super) fn project() -> Scope {
    let payer = reserve(1, 0).payer;
    Scope::Project(payer.tenant, payer.project)
}

/// What is used and held by `scope` in all time.
pub(super) async fn in_all(ledger: &dyn Ledger, scope: &Scope) -> (Sums, Sums) {
    ledger.sums(scope, Timestamp(0)).await.expect("sums")
}

/// Every call, read in pages.
pub(super) async fn every_call(ledger: &dyn Ledger) -> Vec<CallRecord> {
    let mut all: Vec<CallRecord> = Vec::new();
    loop {
        let after = all.last().map(|call| call.hold.clone());
        let page = ledger.calls(None, after.as_ref(), 500).await.expect("calls");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Proves that what each scope has used and holds is the sum of its calls, to the micro-dollar.
/// Returns the calls.
///
/// # Panics
/// When a sum differs, or a call has spent something while it is held.
pub async fn assert_sums_match_calls(ledger: &dyn Ledger) -> Vec<CallRecord> {
    let calls = every_call(ledger).await;
    let mut expected: BTreeMap<Scope, (Sums, Sums)> = BTreeMap::new();
    for call in &calls {
        for scope in call.payer.scopes([]) {
            let (used, held) = expected.entry(scope).or_default();
            match call.state {
                CallState::Held => {
                    assert!(call.spent.sums().is_zero(), "{call:?}");
                    *held = held.plus(call.worst.sums());
                }
                _ => *used = used.plus(call.spent.sums()),
            }
        }
    }
    for (scope, expected) in expected {
        assert_eq!(in_all(ledger, &scope).await, expected, "{scope}");
    }
    calls
}
