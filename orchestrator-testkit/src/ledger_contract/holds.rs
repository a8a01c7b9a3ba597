//! Reservations and their ends.

use super::fixture::{
    NOW, Subject, cost, every_call, hold, in_all, of_run, project, reserve, rule, sums, under,
};
use crate::store_contract::run_id;
use orchestrator_core::{
    ledger::{Amounts, RefusalKind, ScopeKind, Sums, Unit, Window},
    port::{CallState, LedgerError, OUTSIDE, Reserve, Settlement, SpendGroup},
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use std::sync::Arc;

const NONE: Sums = Sums { usd: 0, tokens: 0, requests: 0 };

pub(super) async fn what_is_held_becomes_what_was_spent(subject: Subject) {
    let ledger = &*subject.ledger;
    for (number, usd) in [(1, 100), (2, 50), (3, 7)] {
        let standings = ledger.reserve(Arc::new(reserve(number, usd))).await;
        assert_eq!(standings, Ok(Vec::new()), "no limit");
    }
    assert_eq!(in_all(ledger, &project()).await, (NONE, sums(157, 3)));
    assert_eq!(ledger.settle(&hold(1), Settlement::metered(cost(30))).await, Ok(()));
    assert_eq!(in_all(ledger, &project()).await, (sums(30, 1), sums(57, 2)));
    assert_eq!(ledger.settle(&hold(2), Settlement::Assumed).await, Ok(()));
    assert_eq!(in_all(ledger, &project()).await, (sums(80, 2), sums(7, 1)));
    assert_eq!(ledger.settle(&hold(3), Settlement::Released).await, Ok(()));
    assert_eq!(in_all(ledger, &project()).await, (sums(80, 2), NONE));
    // A call that took more than it had reserved is counted with all of it.
    ledger.reserve(Arc::new(reserve(4, 10))).await.expect("reserve");
    assert_eq!(ledger.settle(&hold(4), Settlement::metered(cost(25))).await, Ok(()));
    assert_eq!(in_all(ledger, &project()).await, (sums(105, 3), NONE));
    let ended: Vec<_> = every_call(ledger).await.into_iter().map(|call| call.state).collect();
    use CallState::{Assumed, Released, Settled};
    assert_eq!(ended, [Settled, Assumed, Released, Settled]);
}

pub(super) async fn a_refused_call_holds_nothing(subject: Subject) {
    let ledger = &*subject.ledger;
    let rules = [rule(ScopeKind::Project, Window::Total, 100)];
    let ask = |number, usd| ledger.reserve(Arc::new(under(&rules, reserve(number, usd))));
    ask(1, 60).await.expect("60 of 100");
    let refused = async |number, usd, kind, (needs, used, held)| {
        let Err(LedgerError::Refused(refusal)) = ask(number, usd).await else {
            panic!("{usd} more must be refused");
        };
        assert_eq!((refusal.kind, refusal.needs), (kind, needs));
        assert_eq!((refusal.standing.spent(), refusal.standing.reserved()), (used, held));
        assert_eq!(refusal.standing.limit.scope, project());
    };
    refused(2, 41, RefusalKind::Busy, (41, 0, 60)).await;
    refused(3, 101, RefusalKind::Over, (101, 0, 60)).await;
    assert_eq!(in_all(ledger, &project()).await, (NONE, sums(60, 1)));
    let standings = ask(4, 40).await.expect("exactly what is left");
    assert_eq!((standings[0].spent(), standings[0].reserved()), (0, 60), "as it stood before");
    ledger.settle(&hold(1), Settlement::metered(cost(10))).await.expect("settle");
    ledger.settle(&hold(4), Settlement::Released).await.expect("release");
    refused(5, 91, RefusalKind::Over, (91, 10, 0)).await;
    ask(6, 90).await.expect("what is left again");
    assert_eq!(every_call(ledger).await.len(), 3, "a refused call is no call");
    assert_eq!(
        ledger.settle(&hold(2), Settlement::Assumed).await,
        Err(LedgerError::NoSuchHold(hold(2)))
    );
}

pub(super) async fn a_reservation_is_made_once(subject: Subject) {
    let ledger = &*subject.ledger;
    let rules = [rule(ScopeKind::Project, Window::Total, 100)];
    let request = Arc::new(under(&rules, reserve(1, 80)));
    ledger.reserve(request.clone()).await.expect("reserve");
    ledger.reserve(request.clone()).await.expect("it is there already");
    assert_eq!(in_all(ledger, &project()).await, (NONE, sums(80, 1)));
    ledger.settle(&hold(1), Settlement::metered(cost(80))).await.expect("settle");
    ledger.reserve(request).await.expect("it was there");
    assert_eq!(in_all(ledger, &project()).await, (sums(80, 1), NONE));
}

pub(super) async fn an_end_may_be_said_again_and_be_corrected(subject: Subject) {
    let ledger = &*subject.ledger;
    let (metered, released) = (Settlement::metered(cost(30)), Settlement::Released);
    let check = async |number: u64, ends: &[Settlement], state: CallState, spent: u64| {
        ledger.reserve(Arc::new(reserve(number, 100))).await.expect("reserve");
        for end in ends {
            assert_eq!(ledger.settle(&hold(number), *end).await, Ok(()));
        }
        let calls = every_call(ledger).await;
        let call = calls.iter().find(|call| call.hold == hold(number)).expect("the call");
        assert_eq!((call.state, call.spent.of(Unit::Usd)), (state, Some(spent)), "{ends:?}");
    };
    let assumed = Settlement::Assumed;
    check(1, &[metered, metered], CallState::Settled, 30).await;
    check(2, &[metered, Settlement::metered(cost(99))], CallState::Settled, 30).await;
    check(3, &[metered, released, assumed], CallState::Settled, 30).await;
    check(4, &[released, metered, assumed], CallState::Released, 0).await;
    check(5, &[assumed, assumed], CallState::Assumed, 100).await;
    check(6, &[assumed, metered], CallState::Settled, 30).await;
    check(7, &[assumed, released], CallState::Released, 0).await;
    check(8, &[], CallState::Held, 0).await;
    assert_eq!(in_all(ledger, &project()).await, (sums(220, 5), sums(100, 1)));
}

pub(super) async fn an_unknown_reservation_is_named(subject: Subject) {
    let found = subject.ledger.settle(&hold(7), Settlement::Released).await;
    assert_eq!(found, Err(LedgerError::NoSuchHold(hold(7))));
}

pub(super) async fn a_price_that_is_not_known_passes_without_a_limit_in_usd(subject: Subject) {
    let ledger = &*subject.ledger;
    let worst = Amounts::call(None, 50);
    let unknown = |number| Reserve { worst, ..reserve(number, 0) };
    ledger.reserve(Arc::new(unknown(1))).await.expect("no limit");
    ledger.settle(&hold(1), Settlement::metered(Amounts::call(None, 20))).await.expect("settle");
    let spent = Sums { usd: 0, tokens: 20, requests: 1 };
    assert_eq!(in_all(ledger, &project()).await, (spent, NONE));
    assert_eq!(every_call(ledger).await[0].spent, Amounts::call(None, 20));
    let rules = [rule(ScopeKind::Project, Window::Total, 1_000_000)];
    match ledger.reserve(Arc::new(under(&rules, unknown(2)))).await {
        Err(LedgerError::Refused(refusal)) => assert_eq!(refusal.kind, RefusalKind::UnknownPrice),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn calls_that_no_run_made_are_in_reports(subject: Subject) {
    let Subject { ledger, catalog, .. } = &subject;
    let outside = |number, run: Option<&str>| {
        let mut request = reserve(number, 100);
        request.payer.task = None;
        request.payer.agent = None;
        request.payer.run = run.map(run_id);
        request
    };
    let usage = Usage {
        input: TokenCount(10),
        cache_read: TokenCount(4),
        cache_write: TokenCount(3),
        output: TokenCount(13),
        reasoning: TokenCount(1),
    };
    for (number, end) in [
        (1, Some(Settlement::Metered { spent: cost(30), usage })),
        (2, Some(Settlement::Assumed)),
        (3, Some(Settlement::Released)),
        (4, None),
        (5, Some(Settlement::Metered { spent: Amounts::call(None, 30), usage })),
    ] {
        let run = (number == 1).then_some("session");
        ledger.reserve(Arc::new(outside(number, run))).await.expect("reserve");
        if let Some(end) = end {
            ledger.settle(&hold(number), end).await.expect("settle");
        }
    }
    // What a task has spent is told by its run, and by nobody else.
    ledger.reserve(Arc::new(of_run(6, 100, "a"))).await.expect("reserve");
    ledger.settle(&hold(6), Settlement::Metered { spent: cost(7), usage }).await.expect("settle");
    let calls = every_call(&**ledger).await;
    let known = calls.iter().filter(|call| call.usage == usage).count();
    assert_eq!(known, 3, "{calls:?}");

    let check = async |group, since: Option<u64>, expected: &[(&str, u64, u64, u64)]| {
        let found = catalog.spending(group, None, since.map(Timestamp)).await.expect("spending");
        let lines = found.iter().map(|total| {
            assert_eq!(total.runs, 0);
            let input = total.usage.input.0 + total.usage.cache_read.0 + total.usage.cache_write.0;
            (&*total.key, total.requests, total.cost.known.0, input)
        });
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{group:?}");
    };
    let all = [("m", 3, 130, 34)];
    check(SpendGroup::Model, None, &all).await;
    check(SpendGroup::Provider, None, &[("lab", 3, 130, 34)]).await;
    check(SpendGroup::Agent, None, &[(OUTSIDE, 3, 130, 34)]).await;
    check(SpendGroup::Task, None, &[(OUTSIDE, 3, 130, 34)]).await;
    check(SpendGroup::Project, None, &[("default", 3, 130, 34)]).await;
    check(SpendGroup::Day, None, &[("2026-02-11", 3, 130, 34)]).await;
    check(SpendGroup::Run, None, &[(OUTSIDE, 2, 100, 17), ("r_session", 1, 30, 17)]).await;
    check(SpendGroup::Model, Some(NOW.0), &all).await;
    check(SpendGroup::Model, Some(NOW.0 + 1), &[]).await;
    let of_one = catalog.spending(SpendGroup::Model, Some(&run_id("session")), None).await;
    assert_eq!(of_one.expect("spending"), [], "it is no run");
    let unpriced = catalog.spending(SpendGroup::Model, None, None).await.expect("spending");
    assert_eq!(unpriced[0].cost.unpriced_requests, 1);
}

pub(super) async fn calls_are_listed_by_run_and_in_pages(subject: Subject) {
    let ledger = &*subject.ledger;
    for (number, run) in [(1, "a"), (2, "b"), (3, "a"), (10, "a")] {
        let later = Timestamp(NOW.0 + number);
        let request = Reserve { now: later, ..of_run(number, number, run) };
        ledger.reserve(Arc::new(request)).await.expect("reserve");
    }
    let a = run_id("a");
    let check = async |after: Option<u64>, limit: usize, expected: &[u64]| {
        let after = after.map(hold);
        let found = ledger.calls(Some(&a), after.as_ref(), limit).await.expect("calls");
        let numbers: Vec<u64> = found.iter().map(|call| call.hold.number).collect();
        assert_eq!(numbers, expected);
        for call in found {
            let number = call.hold.number;
            assert_eq!(call.payer, of_run(number, 0, "a").payer);
            assert_eq!((call.at, call.worst), (Timestamp(NOW.0 + number), cost(number)));
        }
    };
    check(None, 9, &[1, 3, 10]).await;
    ledger.settle(&hold(3), Settlement::metered(cost(2))).await.expect("settle");
    ledger.settle(&hold(10), Settlement::Assumed).await.expect("settle");
    let tally = async |run| ledger.tally(run).await.expect("tally").into_iter().collect::<Vec<_>>();
    let (held, settled) = (CallState::Held, CallState::Settled);
    let ended = [(settled, (1, sums(2, 1))), (CallState::Assumed, (1, sums(10, 1)))];
    assert_eq!(tally(Some(&a)).await, [&[(held, (1, sums(1, 1)))], &ended[..]].concat());
    assert_eq!(tally(None).await, [&[(held, (2, sums(3, 2)))], &ended[..]].concat());
    assert_eq!(tally(Some(&run_id("c"))).await, []);
    check(None, 2, &[1, 3]).await;
    check(Some(3), 2, &[10]).await;
    check(Some(10), 2, &[]).await;
    assert_eq!(every_call(ledger).await.len(), 4);
}
