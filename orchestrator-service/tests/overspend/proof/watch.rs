//! What the ledger says of every limit while the workers work, read again and again.

use super::{
    plan::{World, amount},
    upstream::Bills,
};
use anyhow::{Context as _, Result};
use orchestrator_core::{
    ledger::{Limit, Scope, Unit},
    port::Ledger as _,
};
use orchestrator_store::LocalStore;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time};

/// Between two looks at all limits that calls may meet now.
const PAUSE: Duration = Duration::from_millis(4);

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Limits that were read.
    pub(crate) looks: u64,
    /// The most of a limit that was taken at once, in thousandths.
    pub(crate) peak: u64,
    /// The most that a limit was exceeded by, in its unit.
    pub(crate) over: u64,
    pub(crate) failures: Vec<String>,
}

/// Somebody who looks until told to end.
#[derive(Debug)]
pub(crate) struct Watch {
    ends: Arc<AtomicBool>,
    task: JoinHandle<Result<Watched>>,
}

/// Looks at the limits of the trees that calls are made in, and at those of the settings.
pub(crate) fn start(world: Arc<World>, store: Arc<LocalStore>, bills: Bills) -> Watch {
    let ends = Arc::new(AtomicBool::new(false));
    let until = ends.clone();
    let task = tokio::spawn(async move {
        let (limits, mut watched) = (world.limits(), Watched::default());
        loop {
            let is_last = until.load(Ordering::Acquire);
            let last = bills.lock().calls.keys().next_back().copied().unwrap_or(0);
            let tree = World::tree_of(last);
            for limit in &limits {
                // A tree is done with when the next but one has begun; in the end all are read.
                let is_old = tree_of(&limit.scope).is_some_and(|of| of + 2 < tree || of > tree);
                if is_last || !is_old {
                    look(&world, &store, &bills, limit, &mut watched).await?;
                }
            }
            if is_last {
                return Ok(watched);
            }
            time::sleep(PAUSE).await;
        }
    });
    Watch { ends, task }
}

impl Watch {
    /// Has every limit read once more, and ends.
    pub(crate) async fn end(self) -> Result<Watched> {
        self.ends.store(true, Ordering::Release);
        self.task.await.context("the watch was lost")?
    }
}

/// The tree of a run of the plan.
fn tree_of(scope: &Scope) -> Option<u64> {
    let Scope::Run(run) = scope else { return None };
    let digits = run.as_str().strip_prefix("r_t")?.trim_end_matches(char::is_alphabetic);
    digits.parse().ok()
}

async fn look(
    world: &World,
    store: &LocalStore,
    bills: &Bills,
    limit: &Limit,
    watched: &mut Watched,
) -> Result<()> {
    // Before the ledger is read: what was billed until now was held by then.
    let billed = bills.lock().scopes.get(&limit.scope).copied().unwrap_or_default();
    let billed = match limit.unit {
        Unit::Requests => billed.requests,
        unit => amount(unit, billed.usd, billed.tokens),
    };
    let (used, held) = store.sums(&limit.scope, limit.window.since(world.now())).await?;
    let (used, held) = (used.of(limit.unit), held.of(limit.unit));
    watched.looks += 1;
    watched.peak = watched.peak.max((used + held) * 1_000 / limit.most.max(1));
    if used + held > limit.most {
        watched.over = watched.over.max(used + held - limit.most);
        say(watched, format!("{limit}, and the ledger has {used} spent and {held} held"));
    }
    if billed > limit.most {
        watched.over = watched.over.max(billed - limit.most);
        say(watched, format!("{limit}, and {billed} was billed"));
    }
    if billed > used + held {
        say(
            watched,
            format!(
                "{}: {billed} was billed, and the ledger has {used} spent and {held} held of {}",
                limit.scope, limit.unit
            ),
        );
    }
    Ok(())
}

/// The first few tell enough.
fn say(watched: &mut Watched, what: String) {
    if watched.failures.len() < 12 {
        watched.failures.push(what);
    }
}
