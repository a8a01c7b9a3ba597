//! Whole runs of tasks that do nothing: in memory beside the same work on bare tokio, durable beside
//! as many bare commits.

use orchestrator_benches::{
    Goal, Noop, Row, Shape, bare_chain, bare_join, commits, compare, database, durable, rounds,
    run_on, scratch, since, workflow,
};
use orchestrator_core::prelude::*;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Runtime;

const TASKS: usize = 1_000;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let (chain, join) = (workflow(Shape::Chain, TASKS), workflow(Shape::Join, TASKS + 1));
    let bare = |work: fn(usize) -> _| {
        let runtime = &runtime;
        move || since(|| runtime.block_on(runtime.spawn(work(TASKS))).expect("it ends"))
    };
    let memory = Engine::builder().own_agent("noop", Noop).expect("letters").build();
    let in_memory = |sample| {
        let (runtime, memory) = (&runtime, &memory);
        move || since(|| run_on(runtime, memory, sample))
    };
    let (chained, joined) =
        ("limit: bare tokio, 1,000 chained", "limit: bare tokio, 1,000 and a join");
    compare(
        "in memory",
        rounds(31),
        vec![
            Row::new(chained, bare(|count| Box::pin(bare_chain(count)) as Work)),
            Row::new("1,000 chained tasks", in_memory(&chain))
                .against(chained)
                .goal(Goal::Millis(18.0)),
            Row::new(joined, bare(|count| Box::pin(bare_join(count)) as Work)),
            Row::new("1,000 tasks and a join", in_memory(&join))
                .against(joined)
                .goal(Goal::Millis(15.0)),
        ],
    );

    let limit = "limit: 1,000 bare commits of one row";
    compare(
        "durable: SQLite, WAL, synchronous=FULL",
        rounds(15),
        vec![
            Row::new(limit, || {
                let directory = scratch();
                let db = database(directory.path());
                since(|| commits(&db, TASKS))
            }),
            Row::new("1,000 chained tasks", || on_disk(&runtime, &chain))
                .against(limit)
                .goal(Goal::Times(1.5)),
            Row::new("1,000 tasks and a join", || on_disk(&runtime, &join))
                .against(limit)
                .goal(Goal::Millis(50.0)),
        ],
    );
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// In a new directory, so that no run pays for the pages of those before it.
fn on_disk(runtime: &Runtime, sample: &Arc<Workflow>) -> Duration {
    let directory = scratch();
    let store = durable(directory.path());
    let engine = Engine::builder().store(store).own_agent("noop", Noop).expect("letters").build();
    since(|| run_on(runtime, &engine, sample))
}
