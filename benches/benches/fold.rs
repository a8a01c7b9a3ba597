//! Deciding and folding: how long the pure part takes for each event.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_benches::{Shape, layered, log, sample, workflow};
use orchestrator_core::run::Run;
use std::{hint::black_box, time::Duration};

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
            bench.iter(|| Run::replay(black_box(&events)));
        });
    }

    // Two events a task, and one at each end.
    let dag = sample(layered(500, 1_000, 3), 1_000);
    let events = log(&dag);
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("fold 1,000,002 events of 500,000 tasks (goal: 1 s)", |bench| {
        bench.iter_with_large_drop(|| Run::replay(black_box(&events)));
    });
    let chain = log(&workflow(Shape::Chain, 500_000));
    group.bench_function("fold 1,000,002 events, a chain", |bench| {
        bench.iter_with_large_drop(|| Run::replay(black_box(&chain)));
    });
    group.bench_function("limit: reading each of as many events once", |bench| {
        bench.iter(|| events.iter().map(|event| event.seq.0 ^ event.at.0).sum::<u64>());
    });
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
