//! The tokio runtime: made only by commands that need one, and no larger than they need.

use crate::problem::Failure;
use std::{future::Future, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// How long work that was dropped may take to let go before the process ends regardless.
const LET_GO: Duration = Duration::from_millis(500);

/// Runs a question to the store: no thread but this one.
///
/// # Errors
/// Those of the future, or a machine that has no room for a runtime.
pub(crate) fn ask<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    finish(Builder::new_current_thread(), work)
}

/// Runs work that drives agents.
///
/// # Errors
/// As for [`ask`].
pub(crate) fn drive<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut builder = Builder::new_multi_thread();
    // Agents wait far more than they compute; what computes runs on the blocking pool.
    builder.worker_threads(2);
    finish(builder, work)
}

fn finish<T>(
    mut builder: Builder,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime: Runtime =
        builder.enable_all().build().map_err(|error| Failure::environment(&error))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(LET_GO);
    result
}
