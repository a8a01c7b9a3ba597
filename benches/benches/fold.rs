//! Deciding and folding: how long the pure part takes for each event.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_benches::{Shape, log, workflow};
use orchestrator_core::run::Run;

fn fold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fold");
    group.sample_size(20);
    for (name, shape) in [("chain", Shape::Chain), ("join", Shape::Join)] {
        let sample = workflow(shape, 1_000);
        let events = log(&sample);
        group.throughput(Throughput::Elements(events.len() as u64));
        group.bench_function(format!("decide 1,000 tasks, {name}"), |bench| {
            bench.iter(|| log(&sample));
        });
        group.bench_function(format!("fold the log of 1,000 tasks, {name}"), |bench| {
            bench.iter_batched(
                || events.clone(),
                |events| Run::replay(&events),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
