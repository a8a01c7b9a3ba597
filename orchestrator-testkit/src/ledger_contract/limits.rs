//! Budgets of runs, windows and scopes.

use super::fixture::{
    HOUR, NOW, Subject, cost, every_call, hold, in_all, of_run, project, reserve, rule, sums, under,
};
use crate::store_contract::{Driver, run_id};
use orchestrator_core::{
    id::{AgentName, ProviderName},
    ledger::{Payer, Scope, ScopeKind, Sums, Window},
    money::MicroUsd,
    port::{Ledger, LedgerError, Reserve, Settlement, Store},
    run::RunStatus,
    time::Timestamp,
};
use std::sync::Arc;

/// A stored run with a budget in millionths of a dollar, below `parent`.
async fn run(store: &dyn Store, id: &str, parent: Option<&str>, usd: Option<u64>) -> Driver {
    let mut driver = Driver::new(id, 10);
    driver.row.parent = parent.map(run_id);
    driver.row.budget = usd.map(MicroUsd);
    driver.create(store).await;
    driver
}

/// Who refuses the request, if somebody does.
async fn refuses(ledger: &dyn Ledger, request: Reserve) -> Option<Scope> {
    match ledger.reserve(Arc::new(request)).await {
        Ok(_) => None,
        Err(LedgerError::Refused(refusal)) => Some(refusal.standing.limit.scope),
        Err(other) => panic!("{other}"),
    }
}

pub(super) async fn the_budgets_of_the_run_and_of_those_above_hold(subject: Subject) {
    let (store, ledger) = (&*subject.store, &*subject.ledger);
    run(store, "root", None, Some(100)).await;
    run(store, "child", Some("root"), None).await;
    run(store, "grandchild", Some("child"), Some(60)).await;
    run(store, "free", None, None).await;
    let of = |id: &str| Some(Scope::Run(run_id(id)));
    assert_eq!(refuses(ledger, of_run(1, 61, "grandchild")).await, of("grandchild"));
    assert_eq!(refuses(ledger, of_run(2, 60, "grandchild")).await, None);
    assert_eq!(refuses(ledger, of_run(3, 41, "child")).await, of("root"));
    assert_eq!(refuses(ledger, of_run(4, 40, "root")).await, None);
    assert_eq!(refuses(ledger, of_run(5, 1, "child")).await, of("root"));
    assert_eq!(refuses(ledger, of_run(6, 1_000_000, "free")).await, None);
    assert_eq!(refuses(ledger, of_run(7, 1_000_000, "unknown")).await, None);
    ledger.settle(&hold(2), Settlement::metered(cost(10))).await.expect("settle");
    let sums_of = async |id| in_all(ledger, &Scope::Run(run_id(id))).await;
    assert_eq!(sums_of("grandchild").await, (sums(10, 1), Sums::default()));
    assert_eq!(sums_of("child").await, (sums(10, 1), Sums::default()));
    assert_eq!(sums_of("root").await, (sums(10, 1), sums(40, 1)));
    // A rule for runs is one for the run above all others.
    let rules = [rule(ScopeKind::Run, Window::Total, 55)];
    assert_eq!(refuses(ledger, under(&rules, of_run(8, 6, "grandchild"))).await, of("root"));
    assert_eq!(refuses(ledger, under(&rules, of_run(9, 5, "grandchild"))).await, None);
    assert_eq!(refuses(ledger, under(&rules, of_run(10, 56, "free"))).await, of("free"));
}

pub(super) async fn each_window_counts_its_own_time(subject: Subject) {
    let ledger = &*subject.ledger;
    let mut number = 0;
    let mut ask = async |window: Window, most: u64, hours: i64, usd: u64| {
        number += 1;
        let now = Timestamp(NOW.0.wrapping_add_signed(hours * HOUR.cast_signed()));
        let expires = Timestamp(now.0 + 60_000);
        let rules = [rule(ScopeKind::Project, window, most)];
        let request = Reserve { now, expires, ..under(&rules, reserve(number, usd)) };
        let refused = refuses(ledger, request).await.is_some();
        if !refused {
            ledger.settle(&hold(number), Settlement::metered(cost(usd))).await.expect("settle");
        }
        !refused
    };
    // NOW is 10:30 on the 11th: 100 are spent the day before, 10 five hours ago, 1 now.
    assert!(ask(Window::Total, 1_000, -24, 100).await);
    assert!(ask(Window::Total, 1_000, -5, 10).await);
    assert!(ask(Window::Total, 1_000, 0, 1).await);
    let windows = [
        (Window::Total, 111),
        (Window::Month, 111),
        (Window::Day, 11),
        (Window::Hours(1), 1),
        (Window::Hours(4), 1),
        (Window::Hours(5), 11),
        (Window::Hours(24), 111),
    ];
    for (window, spent) in windows {
        assert!(!ask(window, spent, 0, 1).await, "{window}: {spent} of {spent} are spent");
        assert!(ask(window, spent, 0, 0).await, "{window}: nothing more fits");
    }
    assert!(ask(Window::Day, 11, 24, 11).await, "the next day");
    assert!(!ask(Window::Month, 122, 24, 1).await, "of the same month");
    assert!(ask(Window::Month, 1, 24 * 18, 1).await, "the next month");
    assert!(!ask(Window::Total, 123, 24 * 18, 1).await, "for ever");
}

pub(super) async fn a_window_of_hours_begins_anew_when_it_is_said_to(subject: Subject) {
    let ledger = &*subject.ledger;
    let account = |request: &Reserve| {
        let Payer { tenant, project, account, .. } = request.payer.clone();
        Scope::Account(tenant, project, account)
    };
    let mut number = 0;
    let mut ask = async |window: Window, minutes: u64, usd: u64| {
        number += 1;
        let now = Timestamp(NOW.0 + minutes * 60_000);
        let expires = Timestamp(now.0 + 60_000);
        let rules = [rule(ScopeKind::Account, window, 100)];
        let request = Reserve { now, expires, ..under(&rules, reserve(number, usd)) };
        let refused = refuses(ledger, request).await.is_some();
        if !refused {
            ledger.settle(&hold(number), Settlement::metered(cost(usd))).await.expect("settle");
        }
        !refused
    };
    // NOW is half past ten. The provider's window ends at a quarter past twelve.
    let week = Window::Hours(168);
    assert!(ask(week, 0, 90).await);
    assert!(!ask(week, 1, 20).await);
    let scope = account(&reserve(1, 0));
    for _ in 0..2 {
        let ends = Timestamp(NOW.0 + 105 * 60_000);
        ledger.restart_window(&scope, ends).await.expect("it may be said again");
    }
    assert!(!ask(week, 104, 20).await, "not before its time");
    assert!(ask(week, 104, 10).await, "and within the hour of the restart");
    assert!(!ask(week, 106, 91).await, "which counts as a whole");
    assert!(ask(week, 106, 90).await, "but nothing before it");
    assert!(!ask(Window::Day, 106, 1).await, "days are days");
    let other = [rule(ScopeKind::Project, week, 100)];
    let mut request = under(&other, reserve(99, 1));
    request.now = Timestamp(NOW.0 + 106 * 60_000);
    request.expires = Timestamp(request.now.0 + 60_000);
    assert!(refuses(ledger, request).await.is_some(), "nor is it another scope's");
}

pub(super) async fn a_limit_that_is_set_later_counts_what_was_before(subject: Subject) {
    let ledger = &*subject.ledger;
    ledger.reserve(Arc::new(reserve(1, 90))).await.expect("no limit yet");
    ledger.settle(&hold(1), Settlement::metered(cost(90))).await.expect("settle");
    ledger.reserve(Arc::new(reserve(2, 5))).await.expect("no limit yet");
    let rules = [rule(ScopeKind::Account, Window::Day, 100)];
    assert!(refuses(ledger, under(&rules, reserve(3, 6))).await.is_some(), "90 and 5 are gone");
    assert_eq!(refuses(ledger, under(&rules, reserve(4, 5))).await, None);
    let standings = ledger.standings(&reserve(5, 0).payer, &rules, NOW).await.expect("standings");
    assert_eq!((standings[0].spent(), standings[0].reserved(), standings[0].left()), (90, 10, 0));
}

pub(super) async fn each_scope_counts_its_own_calls(subject: Subject) {
    let ledger = &*subject.ledger;
    let mut number = 0;
    let mut ask = async |of: ScopeKind, change: &dyn Fn(&mut Reserve)| {
        number += 1;
        let rules = [rule(of, Window::Total, 10)];
        let mut request = under(&rules, of_run(number, 10, "a"));
        change(&mut request);
        refuses(ledger, request).await.is_none()
    };
    assert!(ask(ScopeKind::Task, &|_| {}).await);
    for of in [
        ScopeKind::Tenant,
        ScopeKind::Project,
        ScopeKind::Run,
        ScopeKind::Task,
        ScopeKind::Agent,
        ScopeKind::Account,
    ] {
        assert!(!ask(of, &|_| {}).await, "{of:?}: the same again");
    }
    let other_task = |r: &mut Reserve| r.payer.task = Some(crate::store_contract::name("test"));
    assert!(ask(ScopeKind::Task, &other_task).await);
    assert!(!ask(ScopeKind::Run, &other_task).await);
    let other_agent =
        |r: &mut Reserve| r.payer.agent = Some(AgentName::new("qa").expect("an agent"));
    assert!(ask(ScopeKind::Agent, &other_agent).await);
    let other_account =
        |r: &mut Reserve| r.payer.account = ProviderName::new("spare").expect("a provider");
    assert!(ask(ScopeKind::Account, &other_account).await);
    let other_run = |r: &mut Reserve| r.payer.run = Some(run_id("b"));
    assert!(ask(ScopeKind::Run, &other_run).await);
    assert!(!ask(ScopeKind::Project, &other_run).await);
    let other_project = |r: &mut Reserve| {
        r.payer.project = orchestrator_core::id::ProjectId::new("site").expect("a project");
    };
    assert!(ask(ScopeKind::Project, &other_project).await);
    assert!(!ask(ScopeKind::Tenant, &other_project).await);
}

pub(super) async fn calls_outlive_their_run_and_its_sums_do_not(subject: Subject) {
    let (store, ledger) = (&*subject.store, &*subject.ledger);
    let mut driver = run(store, "a", None, Some(1_000)).await;
    ledger.reserve(Arc::new(of_run(1, 100, "a"))).await.expect("reserve");
    ledger.settle(&hold(1), Settlement::metered(cost(40))).await.expect("settle");
    driver.end(store, RunStatus::Succeeded).await;
    let run = Scope::Run(driver.run.clone());
    // The run is old, the call is not.
    subject.catalog.clean(Timestamp(1_000), false).await.expect("clean");
    assert_eq!(in_all(ledger, &run).await, Default::default());
    assert_eq!(in_all(ledger, &project()).await, (sums(40, 1), Sums::default()));
    assert_eq!(every_call(ledger).await.len(), 1);
    ledger.reserve(Arc::new(reserve(2, 100))).await.expect("reserve");
    subject.catalog.clean(Timestamp(NOW.0 + 1), false).await.expect("clean");
    let left: Vec<u64> = every_call(ledger).await.iter().map(|call| call.hold.number).collect();
    assert_eq!(left, [2], "what is under way stays");
    assert_eq!(in_all(ledger, &project()).await, (sums(40, 1), sums(100, 1)), "and the sums do");
}
