//! Appending to the SQLite store what runs append, beside the physical limits: as many bare commits
//! of one row with the same durability, and as many bare rows in one commit.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    command::{AttemptKey, Command, Moment},
    effect::Effect,
    event::Content,
    id::{AgentName, Epoch, OwnerId, ProviderName, RunId, Sequence, TaskName},
    port::{Append, Lease, Store},
    run::{Run, StartRun},
    schedule::Open,
    task::{Binding, TaskKind, TaskSpec},
    time::Timestamp,
    workflow::Workflow,
};
use orchestrator_store::LocalStore;
use rusqlite::Connection;
use std::{path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

/// What an engine appends in the course of one run: at its creation, and as each of its chained
/// tasks ends and the next one starts.
#[derive(Clone)]
struct Script {
    first: Append,
    rest: Vec<Arc<Append>>,
}

fn script(id: &str, workflow: &Arc<Workflow>) -> Script {
    let run = RunId::new(id).expect("an id");
    let agent = AgentName::new("noop").expect("letters");
    let spec = AgentSpec::new(agent.clone(), Role::Dev, ProviderName::new("own").expect("letters"));
    let bind = |task: &TaskSpec| Binding::new(task.name.clone(), vec![agent.clone()]);
    let bindings = workflow.tasks.iter().map(bind).collect();
    let moment = Moment { now: Timestamp(1_790_000_000_000), draw: 0 };
    let start = StartRun::new(workflow.clone());
    let (mut state, events) =
        Run::create(run.clone(), start, bindings, vec![spec], moment, &mut Open).expect("a run");
    let epoch = Epoch(1);
    let rows = state.take_rows();
    let first = Append { run: run.clone(), epoch, expected: Sequence(0), events, rows };
    let mut rest = Vec::new();
    while let Some(attempt) = next_attempt(&mut state) {
        let expected = state.seq();
        let command = Command::FinishAttempt {
            attempt,
            output: Content::Inline(serde_json::json!({ "done": true })),
            spend: Vec::new(),
            artifacts: Vec::new(),
            cached: None,
            added: None,
        };
        let events = state.handle(command, moment, &mut Open).expect("it is under way");
        let rows = state.take_rows();
        rest.push(Arc::new(Append { run: run.clone(), epoch, expected, events, rows }));
    }
    Script { first, rest }
}

fn next_attempt(state: &mut Run) -> Option<AttemptKey> {
    state.take_effects().into_iter().find_map(|effect| match effect {
        Effect::StartAttempt { attempt, .. } => Some(attempt),
        _ => None,
    })
}

/// A workflow of `count` tasks, each of which needs the one before it.
fn chain(count: usize) -> Arc<Workflow> {
    let name = |i: usize| TaskName::new(format!("t{i}")).expect("letters and digits");
    let mut workflow = Workflow::new("bench").expect("letters");
    for i in 0..count {
        let kind = TaskKind::Agent { agent: "noop".into(), prompt: String::new() };
        let mut task = TaskSpec::new(name(i), kind);
        task.needs = i.checked_sub(1).map(name).into_iter().collect();
        workflow.tasks.push(task);
    }
    Arc::new(workflow)
}

/// Writes what a run writes, each append once the one before it is durable.
async fn play(store: &dyn Store, script: Script) {
    let owner = OwnerId::new("bench").expect("letters");
    let lease = Lease { owner, epoch: Epoch(1), expires: Timestamp(u64::MAX / 2) };
    let run = script.first.run.clone();
    store.create(script.first, lease).await.expect("a new run");
    for append in script.rest {
        store.append(append).await.expect("an append");
    }
    store.release(&run, Epoch(1)).await.expect("a lease");
}

/// A database as durable as the store's: write-ahead log, an fsync for each commit.
fn bare(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("bare.db")).expect("a new database opens");
    db.pragma_update(None, "journal_mode", "wal").expect("WAL is there");
    db.pragma_update(None, "synchronous", "full").expect("FULL is there");
    db.execute_batch("create table t (a integer primary key, b text)").expect("a table");
    db
}

/// Measures `work` on something new for each time, which is taken down outside the measurement.
fn fresh<T>(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    make: impl Fn(&Path) -> T,
    work: impl Fn(&mut T),
) {
    group.bench_function(name, |bench| {
        let setup = || -> (T, TempDir) {
            let dir = tempfile::tempdir().expect("a directory");
            (make(dir.path()), dir)
        };
        let routine = |(mut made, dir): (T, TempDir)| {
            work(&mut made);
            (made, dir)
        };
        bench.iter_batched(setup, routine, BatchSize::PerIteration);
    });
}

fn append(criterion: &mut Criterion) {
    const TASKS: usize = 1_000;
    const RUNS: usize = 1_000;
    const STEPS: usize = 5;
    const ROWS: usize = 100_000;
    let runtime = Runtime::new().expect("a runtime");
    let open = |dir: &Path| Arc::new(LocalStore::open(dir).expect("a new store opens"));
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10);

    group.throughput(Throughput::Elements(TASKS as u64));
    fresh(&mut group, "limit: 1,000 bare commits of one row", bare, |db| {
        for _ in 0..TASKS {
            db.execute("insert into t (b) values ('x')", []).expect("a row");
        }
    });
    let one = script("r_chain", &chain(TASKS));
    let prepare = |dir: &Path| (open(dir), Some(one.clone()));
    fresh(&mut group, "a chain of 1,000 tasks", prepare, |(store, one)| {
        let (store, one) = (store.clone(), one.take().expect("measured once"));
        // As an engine does, on a thread of the runtime.
        let played = async move { tokio::spawn(async move { play(&*store, one).await }).await };
        runtime.block_on(played).expect("it is written");
    });

    group.throughput(Throughput::Elements(ROWS as u64));
    fresh(&mut group, "limit: 100,000 bare rows in one commit", bare, |db| {
        db.execute_batch("begin").expect("a transaction");
        let mut insert = db.prepare_cached("insert into t (b) values ('x')").expect("a statement");
        for _ in 0..ROWS {
            insert.execute([]).expect("a row");
        }
        db.execute_batch("commit").expect("a commit");
    });
    let workflow = chain(STEPS);
    let many: Vec<Script> = (0..RUNS).map(|n| script(&format!("r_{n:06}"), &workflow)).collect();
    let prepare = |dir: &Path| (open(dir), many.clone());
    group.throughput(Throughput::Elements(RUNS as u64));
    fresh(&mut group, "1,000 runs of 5 steps at once", prepare, |(store, many)| {
        let mut runs = JoinSet::new();
        for script in std::mem::take(many) {
            let store = store.clone();
            runs.spawn_on(async move { play(&*store, script).await }, runtime.handle());
        }
        runtime.block_on(runs.join_all());
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
