//! A DAG of 1,000,000 tasks: read, checked, started, scheduled and completed in memory, each shape in
//! a process of its own, whose peak of memory is told. Goal: 10 s and 2 GB.
#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]

use orchestrator_benches::{Child, Memory, Noop, layered, role, rounds, sample, say, scratch};
use orchestrator_core::prelude::*;
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

const TASKS: usize = 1_000_000;
/// How many may be under way at once.
const PARALLEL: usize = 1_000;

/// The shapes, and whether the workflow is read from the text of a document first.
const CASES: [&str; 3] =
    ["999,999 tasks and a join", "1,000 layers of 1,000, 3 needs each", "the same, read from JSON"];

fn main() {
    if let Some((role, _)) = role() {
        return play(&role);
    }
    let rounds = rounds(3);
    println!("1,000,000 tasks, in memory; {rounds} rounds, medians");
    println!(
        "{:<38} {:>9} {:>9} {:>9} {:>9}  goal: 10 s, 2 GB",
        "", "read, s", "load, s", "run, s", "peak, MB"
    );
    for case in CASES {
        let mut figures = Vec::new();
        for _ in 0..rounds {
            let directory = scratch();
            let mut child = Child::start(case, directory.path());
            let said = child.hear().0;
            figures
                .push(said.split(' ').filter_map(|word| word.parse().ok()).collect::<Vec<f64>>());
            child.finish();
        }
        let median = |place: usize| {
            let mut all: Vec<f64> = figures.iter().map(|row| row[place]).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let [read, load, run, peak] = [0, 1, 2, 3].map(median);
        let reached = if load + run <= 10.0 && peak <= 2_000.0 { "reached" } else { "MISSED" };
        println!("{case:<38} {read:>9.2} {load:>9.2} {run:>9.2} {peak:>9.0}  {reached}");
    }
}

fn play(role: &str) {
    let nothing = Duration::ZERO;
    if role == CASES[0] {
        let last = std::iter::once((0..TASKS - 1).collect());
        let join = std::iter::repeat_n(Vec::new(), TASKS - 1).chain(last);
        return complete(sample(join, PARALLEL), nothing);
    }
    let dag = layered(1_000, 1_000, 3);
    if role == CASES[1] {
        return complete(sample(dag, PARALLEL), nothing);
    }
    let text = document(&dag);
    drop(dag);
    let began = Instant::now();
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let parsed = Workflow::parse(&document).expect("a workflow");
    let read = began.elapsed();
    drop((text, document));
    complete(parsed.into(), read);
}

/// The workflow of `dag` as a document.
fn document(dag: &[Vec<usize>]) -> String {
    let mut tasks = String::new();
    for (i, needs) in dag.iter().enumerate() {
        let needs: Vec<String> = needs.iter().map(|need| format!("\"t{need}\"")).collect();
        let comma = if i == 0 { "" } else { "," };
        let needs = needs.join(",");
        tasks +=
            &format!("{comma}\"t{i}\":{{\"agent\":\"noop\",\"prompt\":\"\",\"needs\":[{needs}]}}");
    }
    format!("{{\"name\":\"bench\",\"max-parallel\":{PARALLEL},\"tasks\":{{{tasks}}}}}")
}

/// Runs it, and says what it took to read, to load and to complete it, and the peak of memory.
fn complete(workflow: Arc<Workflow>, read: Duration) {
    let runtime = Runtime::new().expect("a runtime");
    let played = runtime.spawn(async move {
        let engine = Engine::builder().own_agent("noop", Noop).expect("letters").build();
        let began = Instant::now();
        let handle = engine.start(StartRun::new(workflow)).await.expect("the run starts");
        let loaded = began.elapsed();
        let report = handle.wait().await.expect("the run ends");
        let ran = began.elapsed() - loaded;
        assert_eq!(report.status, RunStatus::Succeeded);
        let [read, loaded, ran] = [read, loaded, ran].map(|took| took.as_secs_f64());
        say(&format!("{read} {loaded} {ran} {}", Memory::now().peak));
    });
    runtime.block_on(played).expect("it completes");
}
