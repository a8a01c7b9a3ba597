//! Many calls at once, and in any order.

use super::fixture::{
    NOW, Subject, assert_sums_match_calls, cost, of_run, owner, project, rule, under,
};
use crate::{sim::Rng, store_contract::Driver};
use orchestrator_core::{
    ledger::{Scope, ScopeKind, Window},
    money::MicroUsd,
    port::{HoldId, LedgerError, Reserve, Settlement},
    time::Timestamp,
};
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) async fn no_limit_is_exceeded_by_many_at_once(subject: Subject) {
    let mut driver = Driver::new("a", 10);
    driver.row.budget = Some(MicroUsd(1_000));
    driver.create(&*subject.store).await;
    let mut calls = JoinSet::new();
    for number in 1..=64 {
        let ledger = subject.ledger.clone();
        let rules = [rule(ScopeKind::Project, Window::Day, 700)];
        let request = Arc::new(under(&rules, of_run(number, 100, "a")));
        calls.spawn(async move { ledger.reserve(request).await.is_ok() });
    }
    let passed = calls.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 7, "seven of 100 fit into 700");
    let (used, held) = subject.ledger.sums(&Scope::Run(driver.run), NOW).await.expect("sums");
    assert_eq!((used.usd, held.usd), (0, 700));
}

/// Random calls of three processes, their ends in any order, and processes that die: at any time the
/// sums are those of the calls, and no budget is exceeded.
pub(super) async fn sums_are_those_of_the_calls(subject: Subject, seed: u64, steps: usize) {
    let mut rng = Rng::new(seed, "ledger");
    let ledger = &*subject.ledger;
    let mut driver = Driver::new("a", 10);
    driver.row.budget = Some(MicroUsd(500));
    driver.create(&*subject.store).await;
    let rules = [rule(ScopeKind::Project, Window::Day, 900)];
    let mut now = NOW;
    for step in 1..=steps as u64 {
        now = Timestamp(now.0 + rng.below(30_000));
        let id = HoldId {
            owner: owner(&format!("gateway-{}", rng.below(3))),
            number: 1 + rng.below(step),
        };
        match rng.below(10) {
            0..5 => {
                let run = if rng.below(2) == 0 { "a" } else { "b" };
                let request = of_run(1, rng.below(120), run);
                let expires = Timestamp(now.0 + 60_000);
                let request = Reserve { hold: id, now, expires, ..under(&rules, request) };
                match ledger.reserve(Arc::new(request)).await {
                    Ok(_) | Err(LedgerError::Refused(_)) => {}
                    Err(other) => panic!("seed {seed}: {other}"),
                }
            }
            5..9 => {
                let end = match rng.below(3) {
                    0 => Settlement::metered(cost(rng.below(60))),
                    1 => Settlement::Assumed,
                    _ => Settlement::Released,
                };
                // What is known late must not exceed what was reserved: see below.
                let ledger_knows = ledger.calls(None, None, 10_000).await.expect("calls");
                let call = ledger_knows.iter().find(|call| call.hold == id);
                let fits = call.is_some_and(|call| match end {
                    Settlement::Metered { spent, .. } => spent.tokens <= call.worst.tokens,
                    _ => true,
                });
                if fits {
                    ledger.settle(&id, end).await.expect("settle");
                }
            }
            _ => {
                let dead = (rng.below(4) == 0).then_some(&id.owner);
                ledger.expire(dead, now).await.expect("expire");
            }
        }
    }
    assert_sums_match_calls(ledger).await;
    let (used, held) = ledger.sums(&Scope::Run(driver.run), NOW).await.expect("sums");
    assert!(used.usd + held.usd <= 500, "seed {seed}: {used:?} {held:?}");
    let last = Timestamp(now.0 + 10 * 60_000);
    ledger.expire(None, last).await.expect("expire");
    let held = ledger.sums(&project(), NOW).await.expect("sums").1;
    assert!(held.is_zero(), "seed {seed}: {held:?} is held by nobody");
}
