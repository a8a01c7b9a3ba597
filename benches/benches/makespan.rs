//! How much longer a random DAG of tasks takes than on bare tokio with a semaphore: 2,000 tasks of
//! 10 ms in 20 layers, 3 needs each, 64 at once.

use orchestrator_benches::{
    Goal, Row, Sleep, bare_layers, compare, durable, layered, rounds, run_on, sample, scratch,
    since,
};
use orchestrator_core::prelude::*;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Runtime;

const PARALLEL: usize = 64;
const TIME: Duration = Duration::from_millis(10);

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let dag = Arc::new(layered(20, 100, 3));
    let workflow = sample(dag.iter().cloned(), PARALLEL);
    let builder = || Engine::builder().own_agent("noop", Sleep(TIME)).expect("letters");
    let limit = "limit: bare tokio with a semaphore";
    compare(
        "makespan of 2,000 tasks of 10 ms, 64 at once",
        rounds(15),
        vec![
            Row::new(limit, || {
                let dag = dag.clone();
                let work = async move { bare_layers(&dag, PARALLEL, TIME).await };
                since(|| runtime.block_on(runtime.spawn(work)).expect("it ends"))
            }),
            Row::new("in memory", || {
                let engine = builder().build();
                since(|| run_on(&runtime, &engine, &workflow))
            })
            .against(limit)
            .goal(Goal::Times(1.02)),
            Row::new("durable", || {
                let directory = scratch();
                let engine = builder().store(durable(directory.path())).build();
                since(|| run_on(&runtime, &engine, &workflow))
            })
            .against(limit)
            .goal(Goal::Times(1.08)),
        ],
    );
}
