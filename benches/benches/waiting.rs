//! What waiting costs in memory: 1,000 tasks of one run, and 10,000 runs of one task, durable. Each
//! is measured in a process of its own, against what that process had before, with a store that had
//! already been used.
#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]

use orchestrator_benches::{Child, Memory, durable, role, rounds, say, scratch};
use orchestrator_core::{
    id::TaskName,
    prelude::*,
    task::{TaskKind, TaskSpec},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{runtime::Runtime, task::JoinSet};

/// What is waited for, and what that may take in MB.
const CASES: [(&str, f64); 4] = [
    ("1,000 tasks of one run wait for people", 1.0),
    ("1,000 tasks of one run wait for their agent", f64::NAN),
    ("10,000 runs wait for people", 50.0),
    ("10,000 runs wait for a time", 50.0),
];

fn main() {
    if let Some((role, directory)) = role() {
        let runtime = Runtime::new().expect("a runtime");
        let played = runtime.spawn(async move { play(&role, &directory).await });
        return runtime.block_on(played).expect("the role is played");
    }
    let rounds = rounds(5);
    println!("memory of what waits; {rounds} rounds, in MB: the growth of the process");
    println!("{:<46} {:>9} {:>9} {:>9}  goal", "", "median", "anonymous", "peak");
    for (name, goal) in CASES {
        let mut grown = Vec::new();
        for _ in 0..rounds {
            let directory = scratch();
            let mut child = Child::start(name, directory.path());
            let said = child.hear().0;
            let figures: Vec<f64> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
            grown.push(figures);
            child.finish();
        }
        let median = |place: usize| {
            let mut all: Vec<f64> = grown.iter().map(|figures| figures[place]).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let goal = match goal {
            most if most.is_nan() => String::new(),
            most if median(0) <= most => format!("{most} MB: reached"),
            most => format!("{most} MB: MISSED"),
        };
        println!("{name:<46} {:>9.2} {:>9.2} {:>9.2}  {goal}", median(0), median(1), median(2));
    }
}

/// An agent that never answers.
struct Pending;

#[async_trait]
impl Agent for Pending {
    async fn perform(&self, _: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        std::future::pending().await
    }
}

/// A workflow of `count` tasks that wait.
fn waiting(count: usize, kind: &TaskKind, delay: Option<Duration>) -> Arc<Workflow> {
    let mut workflow = Workflow::new("bench").expect("letters");
    workflow.max_parallel = Some(u32::try_from(count).unwrap_or(u32::MAX));
    for i in 0..count {
        let name = TaskName::new(format!("t{i}")).expect("letters and digits");
        let mut task = TaskSpec::new(name, kind.clone());
        task.delay = delay;
        workflow.tasks.push(task);
    }
    Arc::new(workflow)
}

async fn play(role: &str, directory: &Path) {
    let store = durable(directory);
    let engine =
        Engine::builder().store(store).own_agent("noop", Pending).expect("letters").build();
    let person = TaskKind::Approval { message: "Go on?".into(), expires_in: None };
    let agent = TaskKind::Agent { agent: "noop".into(), prompt: String::new() };
    let hour = Some(Duration::from_secs(3_600));
    // The first use of anything makes what stays: threads, connections, caches.
    start(&engine, &waiting(1, &person, None), 100).await;
    settle(&engine, 100).await;
    let before = Memory::now();
    let mut parked = 100;
    match role {
        "1,000 tasks of one run wait for people" => {
            start(&engine, &waiting(1_000, &person, None), 1).await;
            parked += 1;
        }
        "1,000 tasks of one run wait for their agent" => {
            start(&engine, &waiting(1_000, &agent, None), 1).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        "10,000 runs wait for people" => {
            start(&engine, &waiting(1, &person, None), 10_000).await;
            parked += 10_000;
        }
        _ => {
            start(&engine, &waiting(1, &agent, hour), 10_000).await;
            parked += 10_000;
        }
    }
    settle(&engine, parked).await;
    let after = Memory::now();
    say(&format!(
        "{} {} {}",
        after.resident - before.resident,
        after.anonymous - before.anonymous,
        after.peak - before.resident,
    ));
}

/// Starts `count` runs, a few hundred at a time.
async fn start(engine: &Engine, sample: &Arc<Workflow>, count: usize) {
    let mut runs = JoinSet::new();
    for _ in 0..count {
        if runs.len() >= 256 {
            runs.join_next().await;
        }
        let (engine, sample) = (engine.clone(), sample.clone());
        runs.spawn(async move { engine.start(StartRun::new(sample)).await.map(drop) });
    }
    for started in runs.join_all().await {
        started.expect("the run starts");
    }
}

/// Waits until so many runs are parked, and until what was needed for it is given back.
async fn settle(engine: &Engine, parked: usize) {
    while engine.runs().1 < parked {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
}
