//! What tasks used that are like others, and what was expected of runs.

use super::fixture::{Driver, Subject, ended, spend, started};
use orchestrator_core::{
    estimate::{Basis, Confidence, Range, RunEstimate, Sureness},
    id::WorkflowName,
    money::MicroUsd,
    port::{HISTORY_LINES, Rows},
    run::RunStatus,
    time::Timestamp,
    usage::{Cost, TokenCount, Usage},
};

fn workflow(name: &str) -> WorkflowName {
    WorkflowName::new(name).expect("a name")
}

/// A run of that workflow, not stored yet.
fn of(id: &str, at: u64, name: &str) -> Driver {
    let mut driver = Driver::new(id, at);
    driver.row.workflow = workflow(name);
    driver
}

/// Ends the run with `status`, with these lines before.
async fn end(subject: &Subject, driver: &mut Driver, lines: &[(&str, u32)], status: RunStatus) {
    let store = &*subject.store;
    driver.create(store).await;
    let lines = lines.iter().flat_map(|(task, count)| {
        std::iter::repeat_n(spend(driver, task, "dev", "big", Some(50)), *count as usize)
    });
    let rows = Rows { spend: lines.collect(), ..Rows::default() };
    driver.append(store, vec![started("plan", 1)], rows).await.expect("append");
    driver.row.status = status;
    let rows = Rows { run: Some(driver.row.clone()), ..Rows::default() };
    driver.append(store, vec![ended()], rows).await.expect("append");
}

pub(super) async fn tasks_of_runs_that_succeeded_are_told(subject: Subject) {
    let mut runs = [
        (
            of("a1", 10, "a"),
            vec![("plan", 2), ("build:0", 1), ("build:1", 1)],
            RunStatus::Succeeded,
        ),
        (of("a2", 20, "a"), vec![("plan", 1)], RunStatus::Failed),
        (of("b1", 30, "b"), vec![("plan", 1)], RunStatus::Succeeded),
        (of("b2", 35, "b"), vec![("plan", 1)], RunStatus::Cancelled),
        (of("a3", 40, "a"), vec![], RunStatus::Succeeded),
        (of("a4", 50, "a"), vec![("plan", 3)], RunStatus::Succeeded),
    ];
    for (driver, lines, status) in &mut runs {
        end(&subject, driver, lines, *status).await;
    }
    let check = async |workflows: &[&str],
                       looked: &[(&str, u32)],
                       expected: &[(&str, &str, u64)]| {
        let workflows: Vec<_> = workflows.iter().map(|name| workflow(name)).collect();
        let found = subject.catalog.history(&workflows).await.expect("history");
        let mut samples: Vec<_> = found
            .samples
            .iter()
            .map(|s| (s.run.as_str(), s.task.as_str(), s.usage.input.0))
            .collect();
        // The newest run comes first; the tasks of one come in any order.
        let order: Vec<&str> = samples.iter().map(|(run, ..)| *run).collect();
        let expected_order: Vec<&str> = expected.iter().map(|(run, ..)| *run).collect();
        assert_eq!(order, expected_order, "{workflows:?}");
        samples.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(samples, expected, "{workflows:?}");
        let looked: Vec<_> = looked.iter().map(|(name, runs)| (workflow(name), *runs)).collect();
        assert_eq!(found.runs.into_iter().collect::<Vec<_>>(), looked);
        assert!(found.samples.iter().all(|s| s.agent.as_str() == "dev" && s.model == "big"));
    };
    let of_a = [
        ("r_a4", "plan", 30),
        ("r_a1", "build:1", 10),
        ("r_a1", "build:0", 10),
        ("r_a1", "plan", 20),
    ];
    let of_b = [("r_b1", "plan", 10)];
    check(&["a"], &[("a", 3)], &[&of_a[..], &of_b].concat()).await;
    check(&["b"], &[("b", 1)], &[&of_b[..], &of_a].concat()).await;
    check(&["a", "b"], &[("a", 3), ("b", 1)], &[&of_a[..], &of_b].concat()).await;
    check(&["c"], &[], &[of_a[0], of_b[0], of_a[1], of_a[2], of_a[3]]).await;
}

pub(super) async fn what_is_read_is_bounded(subject: Subject) {
    let many = u32::try_from(HISTORY_LINES).expect("a count");
    for (at, id, name, lines) in
        [(10, "old", "a", many), (20, "new", "a", 1), (30, "large", "b", many + 1)]
    {
        end(&subject, &mut of(id, at, name), &[("plan", lines)], RunStatus::Succeeded).await;
    }
    let told = async |names: &[&str]| -> Vec<(String, u64)> {
        let names: Vec<_> = names.iter().map(|name| workflow(name)).collect();
        let found = subject.catalog.history(&names).await.expect("history");
        found.samples.iter().map(|s| (s.run.to_string(), s.usage.input.0 / 10)).collect()
    };
    // A run that is not read whole is not told, unless it is the only one.
    assert_eq!(told(&["a"]).await, [("r_new".to_owned(), 1)]);
    assert_eq!(told(&["b"]).await, [("r_large".to_owned(), u64::from(many))]);
    assert_eq!(told(&[]).await, []);
}

pub(super) async fn what_was_expected_is_kept_beside_what_came(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let range = |likely: u64| Range { low: likely / 2, likely, high: likely * 2 };
    let estimate = RunEstimate {
        tokens: range(30),
        input: range(20),
        output: range(10),
        usd: Some(range(40).map(MicroUsd)),
        attempts: range(2),
        sureness: Sureness { confidence: Confidence::Low, basis: Basis::Prior, samples: 0 },
    };
    let cost = |known, unpriced_requests| Cost { known: MicroUsd(known), unpriced_requests };
    let create = async |driver: &mut Driver, estimate: Option<RunEstimate>, cost: Cost| {
        driver.row.cost = cost;
        driver.row.usage.output = TokenCount(5);
        let mut first = driver.first();
        first.rows.estimate = estimate;
        store.create(first, driver.lease()).await.expect("create");
    };
    let (mut first, mut second) = (of("first", 10, "a"), of("second", 20, "b"));
    create(&mut first, Some(estimate), cost(7, 0)).await;
    create(&mut of("plain", 15, "a"), None, cost(1, 0)).await;
    let unpriced = RunEstimate { usd: None, ..estimate };
    create(&mut second, Some(unpriced), cost(0, 3)).await;
    // What children came to is their parent's.
    for (id, parent, usd) in [("child", "first", 100), ("grandchild", "child", 1_000)] {
        let mut driver = of(id, 30, "c");
        driver.row.parent = Some(super::run_id(parent));
        create(&mut driver, None, cost(usd, 0)).await;
    }
    let told = async |run: Option<&Driver>, since: Option<u64>, limit: usize| {
        let run = run.map(|driver| &driver.run);
        catalog.estimated(run, since.map(Timestamp), limit).await.expect("estimates")
    };
    let all = told(None, None, 9).await;
    let ids: Vec<&str> = all.iter().map(|run| run.run.as_str()).collect();
    assert_eq!(ids, ["r_second", "r_first"]);
    assert_eq!((all[0].estimate, all[0].cost), (unpriced, cost(0, 3)));
    assert_eq!((all[1].estimate, all[1].cost), (estimate, cost(1_107, 0)));
    assert_eq!(all[1].usage, Usage { output: TokenCount(15), ..Usage::default() });
    assert_eq!((&all[1].workflow, all[1].status), (&workflow("a"), RunStatus::Running));
    assert_eq!(told(None, None, 1).await, all[..1]);
    assert_eq!(told(None, Some(11), 9).await, all[..1]);
    assert_eq!(told(Some(&first), None, 9).await, all[1..]);
    assert_eq!(told(Some(&of("plain", 15, "a")), None, 9).await, []);
    assert_eq!(told(Some(&of("ghost", 15, "a")), None, 9).await, []);
}
