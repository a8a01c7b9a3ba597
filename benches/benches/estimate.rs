//! An estimate in a store that holds 100,000 runs: reading what similar tasks did, reckoning ten tasks
//! from it, and judging the estimates of the newest 1,000 runs.

use orchestrator_benches::{Goal, Row, compare, durable, rounds, scratch, since};
use orchestrator_core::{
    agent::Role,
    estimate::{Draws, Estimator, History, Sureness, TaskProfile},
    event::Event,
    id::{AgentName, TaskName, WorkflowName},
    port::{Catalog, Rows, Store},
    run::RunStatus,
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::{Driver, spend};
use std::{hint::black_box, sync::Arc};
use tokio::{runtime::Runtime, task::JoinSet};

const RUNS: u64 = 100_000;
const TASKS: usize = 10;
/// How many runs are written at the same time, so that they share commits.
const AT_ONCE: u64 = 1_000;

fn workflow(name: &str) -> WorkflowName {
    WorkflowName::new(name).expect("letters")
}

/// One run of ten tasks that has succeeded. One of fifty is of the workflow that is estimated, and none
/// of the newest is.
async fn one(store: Arc<LocalStore>, number: u64) {
    let mut driver = Driver::new(&format!("{number:06}"), number);
    let name = if number.is_multiple_of(50) && number < RUNS * 9 / 10 { "wanted" } else { "other" };
    driver.row.workflow = workflow(name);
    let mut first = driver.first();
    let tasks = (0..TASKS).map(|task| spend(&driver, &format!("t{task}"), "dev", "m", Some(50)));
    first.rows.spend = tasks.collect();
    first.rows.estimate = Some(Draws::nothing(10).estimate(Sureness::CERTAIN));
    store.create(first, driver.lease()).await.expect("create");
    driver.seq = driver.seq.next();
    driver.row.status = RunStatus::Succeeded;
    let rows = Rows { run: Some(driver.row.clone()), ..Rows::default() };
    let ended = Event::RunEnded { status: RunStatus::Succeeded };
    driver.append(&*store, vec![ended], rows).await.expect("append");
}

async fn fill(store: Arc<LocalStore>) {
    for first in (0..RUNS).step_by(AT_ONCE as usize) {
        let mut runs = JoinSet::new();
        (first..first + AT_ONCE).for_each(|number| {
            runs.spawn(one(store.clone(), number));
        });
        runs.join_all().await;
    }
}

/// All tasks of the workflow, as one estimate.
fn reckon(history: &History) -> u64 {
    let estimator = Estimator::new(history);
    let (mut all, mut sureness) = (Draws::default(), Sureness::CERTAIN);
    for task in 0..TASKS {
        let task = TaskName::new(format!("t{task}")).expect("letters");
        let agent = AgentName::new("dev").expect("letters");
        let told =
            estimator.task(&TaskProfile::new(workflow("wanted"), task, agent, Role::Dev, "m"));
        all.add(&told.draws);
        sureness = sureness.and(told.sureness);
    }
    all.estimate(sureness).tokens.likely
}

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let directory = scratch();
    let store = durable(directory.path());
    runtime.block_on(fill(store.clone()));
    let read = || runtime.block_on(store.history(&[workflow("wanted")])).expect("a history");
    let history = read();
    assert!(history.samples.len() > 1_000, "{} samples", history.samples.len());
    compare(
        "an estimate beside 100,000 runs",
        rounds(11),
        vec![
            Row::new("read what similar tasks did", || {
                since(|| {
                    black_box(read());
                })
            })
            .goal(Goal::Millis(50.0)),
            Row::new("reckon ten tasks", || {
                since(|| {
                    black_box(reckon(&history));
                })
            })
            .goal(Goal::Millis(50.0)),
            Row::new("judge the newest 1,000 estimates", || {
                since(|| {
                    let newest = runtime.block_on(store.estimated(None, None, 1_000));
                    assert_eq!(black_box(newest.expect("estimates")).len(), 1_000);
                })
            }),
        ],
    );
}
