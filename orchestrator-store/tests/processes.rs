//! Several processes on one store, some of which are killed. Each test starts itself again, told
//! by its environment to be the other process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use orchestrator_core::{
    id::{RunId, Sequence},
    port::{Catalog, Rows, Store},
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::{Driver, started};
use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Names the directory of the store; its presence makes a test the other process.
const DIRECTORY: &str = "ORCHESTRATOR_TEST_STORE";
/// The name of the other process's run.
const RUN: &str = "ORCHESTRATOR_TEST_RUN";

/// How often the writer is killed.
const KILLS: usize = 20;

/// This test again, as another process that drives `run` in the store in `dir`.
fn again(test: &str, dir: &Path, run: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, dir)
        .env(RUN, run)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn driven() -> Option<(OsString, String)> {
    Some((env::var_os(DIRECTORY)?, env::var(RUN).unwrap()))
}

/// Creates a run and appends to it `count` times, printing each number once it is acknowledged.
async fn drive(dir: &Path, run: &str, count: u32) {
    let store = LocalStore::open(dir).unwrap();
    let mut driver = Driver::created(&store, run, 1).await;
    let mut out = std::io::stdout();
    for attempt in 0..count {
        writeln!(out, "acknowledged {}", driver.seq).unwrap();
        out.flush().unwrap();
        let events = vec![started("plan", attempt), started("build", attempt)];
        driver.append(&store, events, Rows::default()).await.unwrap();
    }
    writeln!(out, "acknowledged {}", driver.seq).unwrap();
}

/// The numbers that a driving process acknowledges, as they come.
fn acknowledged(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.filter_map(|line| line.split_once("acknowledged ")?.1.parse().ok())
}

async fn count(store: &LocalStore, run: &RunId) -> u64 {
    // Reading proves that they are whole, in order and without a gap.
    store.events(run, Sequence(0), usize::MAX).await.unwrap().len() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_writer_is_killed() {
    if let Some((dir, run)) = driven() {
        return drive(Path::new(&dir), &run, u32::MAX).await;
    }
    let test = "nothing_acknowledged_is_lost_when_the_writer_is_killed";
    let seed = fastrand::u64(..);
    let mut draw = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    // One that is open all the while, and what each kill left.
    let mut kept: Vec<(RunId, u64)> = Vec::new();
    for kill in 0..KILLS {
        let name = format!("victim-{kill}");
        let mut child = again(test, dir.path(), &name);
        let after = draw.u64(1..120);
        let mut numbers = acknowledged(&mut child);
        let mut last = numbers.by_ref().find(|number| *number >= after).unwrap();
        // Past what was read it goes on by itself for a while that nobody knows.
        (0..draw.u32(0..20_000)).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        child.wait().unwrap();
        last = numbers.last().unwrap_or(last);
        let store = LocalStore::open(dir.path()).unwrap();
        let run = RunId::new(format!("r_{name}")).unwrap();
        let found = count(&store, &run).await;
        assert!(found >= last, "seed {seed}, kill {kill}: {found} of {last} events are there");
        assert_eq!(found % 2, 1, "seed {seed}, kill {kill}: half an append is there");
        for (run, before) in &kept {
            assert_eq!(count(&store, run).await, *before, "seed {seed}: {run} has changed");
        }
        kept.push((run, found));
    }
    let store = LocalStore::open(dir.path()).unwrap();
    assert_eq!(store.run_ids("r_victim", 1_000).await.unwrap().len(), KILLS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_make_and_write_one_store_at_once() {
    const APPENDS: u32 = 100;
    if let Some((dir, run)) = driven() {
        return drive(Path::new(&dir), &run, APPENDS).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    // All of them find no store and make it.
    let test = "processes_make_and_write_one_store_at_once";
    let mut children: Vec<Child> =
        (0..4).map(|number| again(test, &state, &format!("twin-{number}"))).collect();
    for child in &mut children {
        let last = acknowledged(child).last();
        assert!(child.wait().unwrap().success());
        assert_eq!(last, Some(1 + 2 * u64::from(APPENDS)));
    }
    let store = LocalStore::open(&state).unwrap();
    for run in store.run_ids("", 10).await.unwrap() {
        assert_eq!(count(&store, &run).await, 1 + 2 * u64::from(APPENDS), "{run}");
    }
    assert_eq!(store.run_ids("", 10).await.unwrap().len(), 4);
}

/// Version, application and tables once were three reads; what another was just making showed half.
#[test]
fn many_make_one_store_at_the_same_moment() {
    for _ in 0..25 {
        let dir = tempfile::tempdir().expect("a directory");
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    LocalStore::open(dir.path()).expect("a store that all may use");
                });
            }
        });
    }
}
