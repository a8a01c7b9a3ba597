//! Whole runs of tasks that do nothing, in memory and durable, beside as many bare commits.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use orchestrator_benches::{Noop, Shape, workflow};
use orchestrator_core::prelude::*;
use orchestrator_store::LocalStore;
use rusqlite::Connection;
use std::sync::Arc;

fn engine(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(15);
    let samples = [
        ("1,000 chained tasks", Shape::Chain, 1_000),
        ("1,000 tasks and a join", Shape::Join, 1_001),
    ];

    let memory = Engine::builder().own_agent("noop", Noop).expect("letters").build();
    for (name, shape, count) in samples {
        let sample = workflow(shape, count);
        group.bench_function(format!("{name}, in memory"), |bench| {
            bench.iter(|| run(&runtime, &memory, &sample));
        });
    }

    // A new directory for each run, so that no run pays for the pages of those before it.
    for (name, shape, count) in samples {
        let sample = workflow(shape, count);
        group.bench_function(format!("{name}, durable"), |bench| {
            bench.iter_batched(
                || {
                    let dir = tempfile::tempdir().expect("a directory");
                    let store = Arc::new(LocalStore::open(dir.path()).expect("a new store"));
                    let engine = Engine::builder()
                        .store(store)
                        .own_agent("noop", Noop)
                        .expect("letters")
                        .build();
                    (engine, dir)
                },
                |(engine, dir)| {
                    run(&runtime, &engine, &sample);
                    (engine, dir)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("limit: 1,000 bare commits of one row", |bench| {
        bench.iter_batched(
            || {
                let dir = tempfile::tempdir().expect("a directory");
                let db = Connection::open(dir.path().join("bare.db")).expect("a new database");
                db.pragma_update(None, "journal_mode", "wal").expect("WAL");
                db.pragma_update(None, "synchronous", "full").expect("FULL");
                db.execute_batch("create table t (a integer primary key, b text)")
                    .expect("a table");
                (db, dir)
            },
            |(db, dir)| {
                for _ in 0..1_000 {
                    db.execute("insert into t (b) values ('x')", []).expect("a row");
                }
                (db, dir)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn run(runtime: &tokio::runtime::Runtime, engine: &Engine, sample: &Arc<Workflow>) {
    let report = runtime
        .block_on(async { engine.start(StartRun::new(sample.clone())).await?.wait().await })
        .expect("the run ends");
    assert_eq!(report.status, RunStatus::Succeeded);
}

criterion_group!(benches, engine);
criterion_main!(benches);
