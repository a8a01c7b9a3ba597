//! Sums of spending.

use super::fixture::{Driver, Subject, ended, spend, started};
use orchestrator_core::{
    id::ProjectId,
    money::MicroUsd,
    port::{Rows, SpendGroup, SpendTotal},
    time::Timestamp,
    usage::{Cost, TokenCount, Usage},
};

const DAY: u64 = 86_400_000;

pub(super) async fn spending_is_summed_by_every_group(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut first = Driver::created(store, "first", 20_000 * DAY + 5).await;
    let mut second = Driver::new("second", 20_001 * DAY);
    second.row.project = ProjectId::new("site").expect("a project");
    second.create(store).await;
    let lines = |spend| Rows { spend, ..Rows::default() };
    let some = vec![
        spend(&first, "plan", "pm", "big", Some(700)),
        spend(&first, "build", "dev", "small", Some(50)),
    ];
    first.append(store, vec![started("plan", 1)], lines(some)).await.expect("append");
    // A line that is the same as an earlier one is one more line.
    let more = vec![spend(&first, "build", "dev", "small", Some(50))];
    first.append(store, vec![ended()], lines(more)).await.expect("append");
    let other = vec![spend(&second, "plan", "pm", "local", None)];
    second.append(store, vec![started("plan", 1)], lines(other)).await.expect("append");

    // Key, runs, requests, known cost, requests without a price; each request is 10 in, 3 out.
    type Line = (&'static str, u64, u64, u64, u64);
    let total = |(key, runs, requests, known, unpriced_requests): Line| SpendTotal {
        key: key.into(),
        runs,
        requests,
        usage: Usage {
            input: TokenCount(10 * requests),
            output: TokenCount(3 * requests),
            ..Usage::default()
        },
        cost: Cost { known: MicroUsd(known), unpriced_requests },
    };
    let check = async |group, of: Option<&Driver>, since: Option<u64>, expected: &[Line]| {
        let run = of.map(|driver| &driver.run);
        let found = catalog.spending(group, run, since.map(Timestamp)).await.expect("spending");
        let expected: Vec<_> = expected.iter().copied().map(total).collect();
        assert_eq!(found, expected, "{group:?} of {run:?} since {since:?}");
    };
    use SpendGroup::{Agent, Day, Model, Project, Provider, Run, Task};
    check(Agent, None, None, &[("pm", 2, 2, 700, 1), ("dev", 1, 2, 100, 0)]).await;
    let models = [("big", 1, 1, 700, 0), ("small", 1, 2, 100, 0), ("local", 1, 1, 0, 1)];
    check(Model, None, None, &models).await;
    check(Provider, None, None, &[("lab", 2, 4, 800, 1)]).await;
    let tasks = [
        ("r_first.plan", 1, 1, 700, 0),
        ("r_first.build", 1, 2, 100, 0),
        ("r_second.plan", 1, 1, 0, 1),
    ];
    check(Task, None, None, &tasks).await;
    check(Project, None, None, &[("default", 1, 3, 800, 0), ("site", 1, 1, 0, 1)]).await;
    let days = [("2024-10-04", 1, 3, 800, 0), ("2024-10-05", 1, 1, 0, 1)];
    check(Day, None, None, &days).await;
    check(Run, None, None, &[("r_first", 1, 3, 800, 0), ("r_second", 1, 1, 0, 1)]).await;
    check(Run, Some(&second), None, &[("r_second", 1, 1, 0, 1)]).await;
    check(Agent, Some(&first), None, &[("pm", 1, 1, 700, 0), ("dev", 1, 2, 100, 0)]).await;
    check(Run, None, Some(20_001 * DAY), &[("r_second", 1, 1, 0, 1)]).await;
    check(Run, None, Some(20_001 * DAY + 1), &[]).await;
    check(Run, Some(&Driver::new("ghost", 1)), None, &[]).await;
}

pub(super) async fn large_sums_do_not_overflow(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::created(store, "a", 10).await;
    let line = |cost: u64, input: u64| {
        let mut line = spend(&driver, "plan", "pm", "m", Some(cost));
        line.usage.input = TokenCount(input);
        line
    };
    let most = u64::MAX - 3;
    let rows =
        Rows { spend: vec![line(most, 1), line(1, u64::MAX), line(1, 7)], ..Rows::default() };
    driver.append(store, vec![started("plan", 1)], rows).await.expect("append");
    let found = catalog.spending(SpendGroup::Run, None, None).await.expect("spending");
    assert_eq!(found[0].cost.known, MicroUsd(u64::MAX - 1), "exact to the last digit");
    assert_eq!(found[0].usage.input, TokenCount(u64::MAX), "saturated");
}
