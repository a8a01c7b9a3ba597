//! The proof that nothing is overspent.
//!
//! ```text
//!                 ┌──────── the parent ─────────┐
//!   SIGKILL ◀─────┤ crew      hands out calls   │◀──┐  a number, and how the last call ended
//!                 │ upstream  answers and bills │◀─┐│
//!                 │ watch     reads every limit │  ││
//!                 │ audit     compares, call by │  ││  real gateways with budgets
//!                 │           call, in the end  │  ││
//!                 └──────────────┬──────────────┘  ││
//!                                ▼                 ││
//!                        one store on disk ◀── 4 workers, each another process
//! ```
//!
//! What a call is and what becomes of it at the upstream is drawn from the seed and its number
//! ([`plan`]), so that workers and parent agree without a word. The task of a call is named after its
//! number: by that its line of the ledger and its line of the bill are found.

mod audit;
mod crew;
mod figures;
mod load;
mod plan;
mod sse;
mod upstream;
mod watch;
mod worker;

pub(crate) use figures::Figures;
pub(crate) use load::{Load, Target, load};
pub(crate) use worker::serve;

use anyhow::{Context as _, Result};
use orchestrator_core::{money::MicroUsd, time::Timestamp};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::Driver;
use plan::World;
use std::{sync::Arc, time::Instant};
use tokio::runtime::Runtime;

/// How much is proved.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The seed of all that is drawn.
    pub(crate) seed: u64,
    /// How many calls are handed out.
    pub(crate) calls: u64,
    /// How many processes work at a time.
    pub(crate) processes: usize,
    /// The arguments with which this program is a worker.
    pub(crate) worker: Vec<String>,
    /// Whether progress is said on standard error.
    pub(crate) talks: bool,
}

/// Proves it once. Returns what was seen, and every rule that did not hold.
///
/// # Errors
/// When the proof cannot be made at all: no store, no socket, no process.
pub(crate) fn prove(plan: &Plan) -> Result<(Figures, Vec<String>)> {
    Runtime::new().context("cannot start a runtime")?.block_on(run(plan))
}

async fn run(plan: &Plan) -> Result<(Figures, Vec<String>)> {
    let begin = Instant::now();
    let directory = tempfile::tempdir().context("cannot make a directory for the store")?;
    let world = Arc::new(World::new(plan.seed, plan.calls));
    let store = Arc::new(LocalStore::open(directory.path()).context("cannot open the store")?);
    for (at, run) in (1_u64..).zip(world.runs()) {
        let mut driver = Driver::new(run.id.trim_start_matches("r_"), at);
        driver.row.parent = run.parent.as_deref().map(plan::run_id);
        driver.row.budget = run.budget.map(MicroUsd);
        driver.create(&*store).await;
    }
    let upstream = upstream::start(world.clone(), ([127, 0, 0, 1], 0).into()).await?;
    let watch = watch::start(world.clone(), store.clone(), upstream.bills.clone());
    let crew = crew::work(plan, &world, &store, directory.path(), upstream.at).await?;
    let watched = watch.end().await?;
    let late = Timestamp(world.now().0 + plan::AFTER_EVERY_LEASE_MS);
    let audited = audit::audit(&world, &*store, &upstream.bills, &crew, late).await?;
    let mut failures = crew.failures.clone();
    failures.extend(watched.failures.iter().cloned());
    failures.extend(audited.failures.iter().cloned());
    let seconds = begin.elapsed().as_secs_f64();
    let figures = Figures::of(plan, &upstream.bills, &crew, &watched, &audited, seconds);
    failures.extend(figures.missing());
    Ok((figures, failures))
}
