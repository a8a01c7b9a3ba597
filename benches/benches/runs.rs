//! Many short runs at once, durable: 1,000 runs of 5 chained tasks, beside the rate at which the
//! same machine takes single rows, 1,000 of them a commit.
#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]

use orchestrator_benches::{
    Noop, Row, Shape, batched_rows, compare, database, durable, rounds, run, scratch, since,
    workflow,
};
use orchestrator_core::prelude::*;
use tokio::{runtime::Runtime, task::JoinSet};

const RUNS: usize = 1_000;
const ROWS: usize = 100_000;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let steps = workflow(Shape::Chain, 5);
    let times = compare(
        "many runs, durable",
        rounds(11),
        vec![
            Row::new("limit: 100,000 single rows, 1,000 a commit", || {
                let directory = scratch();
                let db = database(directory.path());
                since(|| batched_rows(&db, ROWS, 1_000))
            }),
            Row::new("1,000 runs of 5 steps at once", || {
                let directory = scratch();
                let store = durable(directory.path());
                let engine = Engine::builder()
                    .store(store)
                    .own_agent("noop", Noop)
                    .expect("letters")
                    .build();
                since(|| {
                    let mut runs = JoinSet::new();
                    for _ in 0..RUNS {
                        let (engine, steps) = (engine.clone(), steps.clone());
                        runs.spawn_on(async move { run(&engine, &steps).await }, runtime.handle());
                    }
                    runtime.block_on(runs.join_all());
                })
            }),
        ],
    );
    let [rows, runs] = [(ROWS, times[0]), (RUNS, times[1])].map(|(n, ms)| n as f64 / ms * 1_000.0);
    let goal = f64::min(8_000.0, 0.12 * rows);
    println!(
        "{rows:.0} rows a second; {runs:.0} runs a second, {:.1} % of that; goal {goal:.0}: {}",
        100.0 * runs / rows,
        if runs >= goal { "reached" } else { "MISSED" }
    );
}
