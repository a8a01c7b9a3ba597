//! Scheduling: choosing who runs next, beside a plain binary heap of as many numbers.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_benches::{Shape, workflow};
use orchestrator_core::{graph::Graph, schedule::ReadyQueue, task::Priority, time::Timestamp};
use std::{cmp::Reverse, collections::BinaryHeap, hint::black_box};

const TASKS: u64 = 100_000;

fn schedule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    group.sample_size(20);
    group.throughput(Throughput::Elements(TASKS));
    group.bench_function("queue and take 100,000 ready tasks", |bench| {
        bench.iter(|| {
            let mut queue = ReadyQueue::default();
            for i in 0..TASKS {
                let priority = Priority::ALL[i as usize % 4];
                queue.push(i as usize, priority, Timestamp(i.wrapping_mul(2_654_435_761) % 10_000));
            }
            while let Some(place) = queue.pop() {
                black_box(place);
            }
        });
    });
    group.bench_function("limit: a binary heap of 100,000 pairs", |bench| {
        bench.iter(|| {
            let mut heap = BinaryHeap::new();
            for i in 0..TASKS {
                heap.push(Reverse((i.wrapping_mul(2_654_435_761) % 10_000, i)));
            }
            while let Some(pair) = heap.pop() {
                black_box(pair);
            }
        });
    });
    let chain = workflow(Shape::Chain, 10_000);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("graph of 10,000 chained tasks", |bench| {
        bench.iter(|| Graph::of(black_box(&chain)));
    });
    group.finish();
}

criterion_group!(benches, schedule);
criterion_main!(benches);
