//! Time, ids and chance, each behind a seam.

use crate::{id::RunId, time::Timestamp};
use async_trait::async_trait;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Resolves at `at` or as soon after as it can.
    async fn until(&self, at: Timestamp);
}

/// Makes new ids and draws random numbers.
pub trait Ids: Send + Sync {
    /// An id that no other run has.
    fn run_id(&self, now: Timestamp) -> RunId;

    /// A uniformly drawn number.
    fn draw(&self) -> u64;
}
