//! Taking a run up again: reading its log from SQLite and folding it, beside reading the file's bytes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_benches::{Noop, Shape, workflow};
use orchestrator_core::{id::Sequence, port::Store, prelude::*, run::Run};
use orchestrator_store::LocalStore;
use std::{hint::black_box, sync::Arc};

fn replay(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let store = Arc::new(LocalStore::open(dir.path()).expect("a new store opens"));
    let engine =
        Engine::builder().store(store.clone()).own_agent("noop", Noop).expect("letters").build();
    let report = runtime
        .block_on(async {
            engine.start(StartRun::new(workflow(Shape::Join, 10_000))).await?.wait().await
        })
        .expect("the run ends");
    let events = runtime
        .block_on(store.events(&report.run, Sequence(0), usize::MAX))
        .expect("the log is there");

    let mut group = criterion.benchmark_group("replay");
    group.sample_size(20);
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("read and fold the log of 10,000 tasks", |bench| {
        bench.iter(|| runtime.block_on(engine.load(&report.run)).expect("a log"));
    });
    group.bench_function("of that: the fold", |bench| bench.iter(|| Run::replay(&events)));
    let text: Vec<String> =
        events.iter().map(|e| serde_json::to_string(e).expect("an event")).collect();
    group.bench_function("limit: parsing the same JSON", |bench| {
        bench.iter(|| {
            for line in &text {
                black_box(serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
