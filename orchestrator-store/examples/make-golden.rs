//! Makes the database of a store of the present schema, for `tests/golden/v<N>.sqlite`: to be run
//! with the last commit before a migration, with the file's path.
//!
//! Two runs that an engine drove, one that succeeded at the second attempt of a task and one that
//! failed, and two open ones with rows, blobs, spending and signals.

use anyhow::{Context as _, Result, ensure};
use orchestrator_core::{
    id::BlobId,
    port::{Rows, Signal, SpendRow, Store as _},
    prelude::*,
    time::Timestamp,
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::{Driver, run_id, spend, started, succeeded_with_blobs};
use serde_json::json;
use std::{path::PathBuf, sync::Arc};

/// Fails at `build`: at its first attempt, or for good.
struct Builder {
    for_good: bool,
}

#[async_trait]
impl Agent for Builder {
    async fn perform(&self, task: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        if task.task.as_str() == "build" {
            if self.for_good {
                return Err(Failure::new(ErrorClass::InvalidRequest, "refused once"));
            }
            if task.attempt.0 == 1 {
                return Err(Failure::new(ErrorClass::Transient, "not there yet"));
            }
        }
        // Too long to be written twice: the task's row refers to the event.
        Ok(Answer::json(json!({ "steps": ["a", "b"], "text": "x".repeat(500) })))
    }
}

fn main() -> Result<()> {
    let target: PathBuf = std::env::args().nth(1).context("the file's path")?.into();
    ensure!(!target.exists(), "`{}` exists", target.display());
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let store = Arc::new(LocalStore::open(directory.path())?);
    for for_good in [false, true] {
        runtime.block_on(driven(&store, for_good))?;
    }
    runtime.block_on(open(&store))?;
    drop(store);
    std::fs::copy(directory.path().join("events.db"), target)?;
    Ok(())
}

async fn driven(store: &Arc<LocalStore>, for_good: bool) -> Result<()> {
    let engine = Engine::builder()
        .store(Arc::clone(store) as _)
        .own_agent("dev", Builder { for_good })?
        .build();
    let task = |name: &str, needs: &[&str]| {
        let retry =
            json!({"max-attempts": 2, "base-delay": "10ms", "max-delay": "1s", "factor": 2});
        json!({"name": name, "kind": {"agent": {"agent": "dev", "prompt": "do"}}, "needs": needs,
               "priority": "normal", "retry": retry, "on-failure": "fail"})
    };
    let tasks = [task("plan", &[]), task("build", &["plan"]), task("test", &["build"])];
    let workflow =
        json!({"name": "release", "version": "0.0.0", "mode": "parallel", "tasks": tasks});
    let workflow: Workflow = serde_json::from_value(workflow)?;
    engine.start(StartRun::new(workflow.into())).await?.wait().await?;
    Ok(())
}

async fn open(store: &Arc<LocalStore>) -> Result<()> {
    let mut driver = Driver::created(&**store, "open", 1_000).await;
    let rows = Rows { attempts: vec![driver.attempt("plan", 1, "dev", 1_001)], ..Rows::default() };
    driver.append(&**store, vec![started("plan", 1)], rows).await?;
    let blob = |digit: &str| BlobId::new(format!("sha256:{}", digit.repeat(64)));
    let ended = succeeded_with_blobs("plan", &blob("1")?, &blob("2")?);
    let line: SpendRow = spend(&driver, "plan", "dev", "m", Some(7));
    let rows = Rows { spend: vec![line], ..Rows::default() };
    driver.append(&**store, vec![ended], rows).await?;
    let mut child = Driver::new("child", 1_001);
    child.row.parent = Some(run_id("open"));
    child.create(&**store).await;
    let cancel = |reason: &str| Signal::Cancel { reason: reason.into() };
    for number in 0..3 {
        let signal = cancel(&format!("signal {number}"));
        store.signal(&driver.run, signal, Timestamp(1_003)).await?;
    }
    store.signal(&child.run, cancel("stop"), Timestamp(1_004)).await?;
    Ok(())
}
