//! Reading the SQLite store: taking a run up again, beside parsing the same JSON; and what `status`
//! and `why` ask of a store with 100,000 runs, beside a bare read of as many rows.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_benches::{Shape, log, workflow};
use orchestrator_core::{
    id::{Epoch, OwnerId, RunId, Sequence},
    port::{Append, Catalog, Lease, Page, Rows, RunFilter, Store, TaskFilter},
    run::{Run, RunStatus},
    time::Timestamp,
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::{crowd, crowd_id};
use rusqlite::Connection;
use std::{hint::black_box, sync::Arc};
use tokio::runtime::Runtime;

fn replay(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let store = LocalStore::open(dir.path()).expect("a new store opens");
    let events = log(&workflow(Shape::Join, 10_000));
    let run = RunId::new("r_bench").expect("letters");
    runtime.block_on(async {
        let owner = OwnerId::new("bench").expect("letters");
        let lease = Lease { owner, epoch: Epoch(1), expires: Timestamp(u64::MAX / 2) };
        // As an engine writes: what ends while a commit is under way is in the next one.
        let mut parts = std::iter::once(&events[..1]).chain(events[1..].chunks(50));
        let append = |part: &[_], rows| {
            let (run, epoch, events) = (run.clone(), Epoch(1), part.to_vec());
            let expected = events.first().map(|e: &orchestrator_core::event::Recorded| e.seq.0 - 1);
            Append { run, epoch, expected: Sequence(expected.unwrap_or_default()), events, rows }
        };
        let (_, rows) = Run::rebuild(&events).expect("a log");
        let first = append(parts.next().expect("a log begins"), rows);
        store.create(first, lease).await.expect("a new run");
        for part in parts {
            store.append(Arc::new(append(part, Rows::default()))).await.expect("an append");
        }
    });

    let mut group = criterion.benchmark_group("replay");
    group.sample_size(20);
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("read and fold the log of 10,000 tasks", |bench| {
        bench.iter(|| {
            let events = runtime.block_on(store.events(&run, Sequence(0), usize::MAX));
            Run::replay(&events.expect("the log is there")).expect("a log")
        });
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

fn catalog(criterion: &mut Criterion) {
    const RUNS: u64 = 100_000;
    const ROWS: usize = 50;
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let store = Arc::new(LocalStore::open(dir.path()).expect("a new store opens"));
    let filled: Arc<dyn Store> = store.clone();
    let filling = async move { tokio::spawn(async move { crowd(&filled, RUNS).await }).await };
    runtime.block_on(filling).expect("it is written");

    let mut group = criterion.benchmark_group("100,000 runs");
    group.sample_size(20);
    let bare = Connection::open(dir.path().join("bare.db")).expect("a new database opens");
    bare.execute_batch(
        "create table t (a integer primary key, b text); \
         with recursive n(a) as (values (1) union all select a + 1 from n where a < 100000) \
         insert into t select a, hex(randomblob(100)) from n",
    )
    .expect("rows");
    group.bench_function("limit: a bare read of 50 rows", |bench| {
        let mut read = bare.prepare("select b from t order by a desc limit ?1").expect("a table");
        bench.iter(|| {
            let rows = read.query_map([ROWS as i64], |row| row.get::<_, String>(0)).expect("rows");
            assert_eq!(
                rows.map(|row| black_box(row).map(drop)).filter(Result::is_ok).count(),
                ROWS
            );
        });
    });
    let page = Page { limit: ROWS, cursor: None };
    let mut list = |name: &str, filter: RunFilter| {
        group.bench_function(name, |bench| {
            bench.iter(|| runtime.block_on(store.runs(&filter, &page)).expect("runs"));
        });
    };
    list("the newest 50 runs", RunFilter::default());
    let open = vec![RunStatus::Running, RunStatus::Waiting, RunStatus::Paused];
    list("the 100 open ones, a page", RunFilter { status: open, ..RunFilter::default() });
    let one = crowd_id(RUNS / 2);
    group.bench_function("one run, its tasks, attempts and events", |bench| {
        let filter = TaskFilter { run: Some(one.clone()), ..TaskFilter::default() };
        bench.iter(|| {
            runtime.block_on(async {
                let run = store.run(&one).await.expect("a read").expect("a run");
                let tasks = store.tasks(&filter, &page).await.expect("tasks");
                let attempts = store.attempts(&one, None).await.expect("attempts");
                let events = store.events(&one, Sequence(0), usize::MAX).await.expect("events");
                (run, tasks, attempts, events)
            })
        });
    });
    group.bench_function("every open run", |bench| {
        bench.iter(|| runtime.block_on(store.open_runs(None, usize::MAX)).expect("open runs"));
    });
    group.bench_function("is there mail", |bench| {
        bench.iter(|| runtime.block_on(store.mail(0)).expect("mail"));
    });
    group.finish();
}

criterion_group!(benches, replay, catalog);
criterion_main!(benches);
