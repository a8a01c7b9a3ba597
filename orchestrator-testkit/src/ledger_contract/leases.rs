//! Processes that die with calls under way.

use super::fixture::{
    NOW, Subject, cost, hold, in_all, owner, project, reserve, rule, sums, under,
};
use orchestrator_core::{
    ledger::{ScopeKind, Sums, Window},
    port::{HoldId, Reserve, Settlement},
    time::Timestamp,
};
use std::sync::Arc;

const MINUTE: u64 = 60_000;

fn at(minutes: u64, request: Reserve) -> Arc<Reserve> {
    let now = Timestamp(NOW.0 + minutes * MINUTE);
    Arc::new(Reserve { now, expires: Timestamp(now.0 + MINUTE), ..request })
}

fn other(number: u64, usd: u64) -> Reserve {
    let hold = HoldId { owner: owner("gateway-2"), number };
    Reserve { hold, ..reserve(number, usd) }
}

pub(super) async fn what_a_dead_process_held_is_assumed(subject: Subject) {
    let ledger = &*subject.ledger;
    let rules = [rule(ScopeKind::Project, Window::Total, 100)];
    ledger.reserve(at(0, reserve(1, 30))).await.expect("reserve");
    ledger.reserve(at(0, reserve(2, 20))).await.expect("reserve");
    ledger.settle(&hold(2), Settlement::metered(cost(5))).await.expect("settle");
    // Another process asks after a minute: what the first held counts as spent, no more and no less.
    ledger.reserve(at(1, under(&rules, other(1, 65)))).await.expect("35 are spent");
    assert_eq!(in_all(ledger, &project()).await, (sums(35, 2), sums(65, 1)));
    assert_eq!(ledger.expire(None, Timestamp(NOW.0 + MINUTE)).await, Ok(0), "nothing is left");
    // One that is known to be dead need not lapse.
    assert_eq!(ledger.owners().await, Ok(vec![owner("gateway-2")]));
    let now = Timestamp(NOW.0 + MINUTE + 1);
    assert_eq!(ledger.expire(Some(&owner("nobody")), now).await, Ok(0));
    assert_eq!(ledger.expire(Some(&owner("gateway-2")), now).await, Ok(1));
    assert_eq!(in_all(ledger, &project()).await, (sums(100, 3), Sums::default()));
}

pub(super) async fn a_lease_that_is_renewed_keeps_what_is_held(subject: Subject) {
    let ledger = &*subject.ledger;
    ledger.reserve(at(0, reserve(1, 30))).await.expect("reserve");
    ledger.renew(&owner("gateway-1"), Timestamp(NOW.0 + 3 * MINUTE)).await.expect("renew");
    ledger.reserve(at(1, reserve(2, 1))).await.expect("an earlier end moves nothing");
    assert_eq!(ledger.expire(None, Timestamp(NOW.0 + 3 * MINUTE - 1)).await, Ok(0));
    assert_eq!(in_all(ledger, &project()).await, (Sums::default(), sums(31, 2)));
    assert_eq!(ledger.expire(None, Timestamp(NOW.0 + 3 * MINUTE)).await, Ok(2));
    assert_eq!(in_all(ledger, &project()).await, (sums(31, 2), Sums::default()));
}

pub(super) async fn a_late_answer_corrects_what_was_assumed(subject: Subject) {
    let ledger = &*subject.ledger;
    ledger.reserve(at(0, reserve(1, 30))).await.expect("reserve");
    ledger.reserve(at(0, reserve(2, 30))).await.expect("reserve");
    assert_eq!(ledger.expire(None, Timestamp(NOW.0 + MINUTE)).await, Ok(2));
    ledger.settle(&hold(1), Settlement::metered(cost(4))).await.expect("it was only slow");
    ledger.settle(&hold(2), Settlement::Released).await.expect("it was never made");
    assert_eq!(in_all(ledger, &project()).await, (sums(4, 1), Sums::default()));
    // The process goes on, under a new lease.
    ledger.reserve(at(2, reserve(3, 30))).await.expect("reserve");
    assert_eq!(in_all(ledger, &project()).await, (sums(4, 1), sums(30, 1)));
}
