//! What the benchmarks share: workflows of tasks that do nothing, the same work on bare tokio and
//! bare SQLite as the limits to compare with, and the means to measure them side by side.

mod disk;
mod measure;
mod process;
mod shape;
mod tasks;

pub use disk::{batched_rows, commits, database, durable, scratch};
pub use measure::{Goal, Row, compare, rounds, since};
pub use process::{Child, Memory, role, say};
pub use shape::{Shape, layered, log, sample, workflow};
pub use tasks::{Noop, Sleep, bare_chain, bare_join, bare_layers};

use orchestrator_core::prelude::*;
use std::sync::Arc;

/// Runs `sample` to its end.
///
/// # Panics
/// When it does not succeed.
pub async fn run(engine: &Engine, sample: &Arc<Workflow>) {
    let handle = engine.start(StartRun::new(sample.clone())).await.expect("the run starts");
    let report = handle.wait().await.expect("the run ends");
    assert_eq!(report.status, RunStatus::Succeeded);
}

/// As [`run`], on a thread of the runtime, where the engine's drivers are too.
///
/// # Panics
/// When it does not succeed.
pub fn run_on(runtime: &tokio::runtime::Runtime, engine: &Engine, sample: &Arc<Workflow>) {
    let (engine, sample) = (engine.clone(), sample.clone());
    let ended = runtime.spawn(async move { run(&engine, &sample).await });
    runtime.block_on(ended).expect("the run succeeds");
}
