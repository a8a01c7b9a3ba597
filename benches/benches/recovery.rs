//! Going on after a crash: 10,000 tasks in 1,000 open runs, in a store that a killed process left.
//!
//! Each run has ten tasks; half of them have ended when the process is killed, and the sixth is under
//! way. Measured from the start of the new process until the first of them does its next step, and
//! until all have.

use orchestrator_benches::{
    Child, Goal, Row, Shape, compare, durable, role, rounds, say, scratch, workflow,
};
use orchestrator_core::prelude::*;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{runtime::Runtime, sync::Notify, task::JoinSet};

const RUNS: usize = 1_000;
const TASKS: usize = 10;
/// How many tasks of each run end before the crash.
const ENDED: &str = "t5";

fn main() {
    if let Some((role, directory)) = role() {
        let runtime = Runtime::new().expect("a runtime");
        return runtime.block_on(async move {
            let work = async move {
                match role.as_str() {
                    "leave" => leave(&directory).await,
                    _ => recover(&directory).await,
                }
            };
            tokio::spawn(work).await.expect("the role is played");
        });
    }
    let first = Mutex::new(Vec::new());
    let measured = || {
        let directory = scratch();
        let mut killed = Child::start("leave", directory.path());
        assert_eq!(killed.hear().0, "left");
        killed.kill();
        let mut child = Child::start("recover", directory.path());
        let (word, next) = child.hear();
        assert_eq!(word, "next");
        let (word, all) = child.hear();
        assert_eq!(word, "all");
        child.finish();
        first.lock().expect("not poisoned").push(next);
        all
    };
    compare(
        "recovery of 10,000 tasks in 1,000 open runs",
        rounds(7),
        vec![
            Row::new("all runs at their next step", measured).goal(Goal::Millis(2_000.0)),
            Row::new("the first run at its next step", || {
                first.lock().expect("not poisoned").pop().unwrap_or(Duration::MAX)
            }),
        ],
    );
}

/// Says a word when as many runs have come to the task at which the crash finds them.
struct Halting {
    seen: Mutex<BTreeSet<String>>,
    /// Said at the first, and at the last.
    words: [Option<&'static str>; 2],
    again: bool,
    /// Told at the last.
    reached: Arc<Notify>,
}

impl Halting {
    fn new(words: [Option<&'static str>; 2], again: bool) -> Self {
        Self { seen: Mutex::default(), words, again, reached: Arc::default() }
    }
}

#[async_trait]
impl Agent for Halting {
    async fn perform(&self, work: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        if work.task.as_str() < ENDED {
            assert!(!self.again, "{} of {} had ended and is done again", work.task, work.run);
            return Ok(Answer::default());
        }
        let count = {
            let mut seen = self.seen.lock().expect("not poisoned");
            seen.insert(work.run.to_string());
            seen.len()
        };
        match count {
            1 => self.words[0].into_iter().for_each(say),
            RUNS => {
                self.words[1].into_iter().for_each(say);
                self.reached.notify_one();
            }
            _ => {}
        }
        std::future::pending().await
    }
}

/// Drives the runs until all stand at the same task, and waits for the crash.
async fn leave(directory: &Path) {
    let engine = Engine::builder()
        .store(durable(directory))
        .own_agent("noop", Halting::new([None, Some("left")], false))
        .expect("letters")
        .build();
    let sample = workflow(Shape::Chain, TASKS);
    let mut runs = JoinSet::new();
    for _ in 0..RUNS {
        let (engine, sample) = (engine.clone(), sample.clone());
        runs.spawn(async move { engine.start(StartRun::new(sample)).await.map(drop) });
    }
    for started in runs.join_all().await {
        started.expect("the run starts");
    }
    std::future::pending().await
}

/// Takes all of them up, and ends when each is at its next step.
async fn recover(directory: &Path) {
    let agent = Halting::new([Some("next"), Some("all")], true);
    let reached = agent.reached.clone();
    let engine = Engine::builder()
        .store(durable(directory))
        .own_agent("noop", agent)
        .expect("letters")
        // The process that held them was killed and waited for.
        .dead_when(|_| true)
        .build();
    let taken = engine.recover().await.expect("the open runs are listed");
    assert_eq!(taken.len(), RUNS);
    reached.notified().await;
}
