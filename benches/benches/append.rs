//! Appending to the SQLite store, beside as many bare commits of one row with the same durability.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_benches::{Shape, log, workflow};
use orchestrator_core::{
    id::{Epoch, OwnerId, RunId, Sequence},
    port::{Append, Lease, Rows, Store},
    run::Run,
    time::Timestamp,
};
use orchestrator_store::LocalStore;
use rusqlite::Connection;
use std::path::Path;

const COMMITS: usize = 200;

/// A database as durable as the store's: write-ahead log, an fsync for each commit.
fn bare(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("bare.db")).expect("a new database opens");
    db.pragma_update(None, "journal_mode", "wal").expect("WAL is there");
    db.pragma_update(None, "synchronous", "full").expect("FULL is there");
    db.execute_batch("create table t (a integer primary key, b text)").expect("a table");
    db
}

fn append(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("append");
    group.sample_size(20);
    group.throughput(Throughput::Elements(COMMITS as u64));

    let db = bare(dir.path());
    group.bench_function("limit: 200 bare commits of one row", |bench| {
        bench.iter(|| {
            for _ in 0..COMMITS {
                db.execute("insert into t (b) values ('x')", []).expect("a row");
            }
        });
    });

    let store = LocalStore::open(dir.path()).expect("a new store opens");
    let sample = workflow(Shape::Chain, COMMITS);
    let events = log(&sample);
    let mut number = 0;
    group.bench_function("200 appends of two events and their rows", |bench| {
        bench.iter_batched(
            || {
                number += 1;
                let run = RunId::new(format!("r_{number}")).expect("digits");
                (run, events.clone())
            },
            |(run, events)| {
                runtime.block_on(async {
                    let mut state = Run::replay(&events[..1]).expect("a log");
                    let mut row = state.take_rows();
                    if let Some(row) = &mut row.run {
                        row.id = run.clone();
                    }
                    let first = Append {
                        run: run.clone(),
                        epoch: Epoch(1),
                        expected: Sequence(0),
                        events: events[..1].to_vec(),
                        rows: Rows { run: row.run.clone(), ..Rows::default() },
                    };
                    let owner = OwnerId::new("bench").expect("letters");
                    let lease = Lease { owner, epoch: Epoch(1), expires: Timestamp(u64::MAX / 2) };
                    store.create(first, lease).await.expect("a new run");
                    for pair in events[1..].chunks(2) {
                        let append = Append {
                            run: run.clone(),
                            epoch: Epoch(1),
                            expected: Sequence(pair[0].seq.0 - 1),
                            events: pair.to_vec(),
                            rows: Rows { run: row.run.clone(), ..Rows::default() },
                        };
                        store.append(append).await.expect("an append");
                    }
                });
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
