//! Faults on purpose: a store, blobs and agents that fail, stall or lose their power at chosen calls.
//!
//! Every call from the engine to the outside passes a [`Seam`]. There a [`Plan`] decides what
//! befalls it: nothing, a delay, a failure before the call has happened or after ("it timed out but
//! it was done"), or the end of the engine's process. What has lost its [`Power`] does nothing any
//! more: every later call hangs, as it does for a process that is dead.
//!
//! ```
//! use orchestrator_core::{memory::MemoryStore, port::{Store, StoreError}};
//! use orchestrator_testkit::faults::{Call, Fate, Fault, FaultyStore, Plan, Seam};
//! use std::sync::Arc;
//!
//! struct First;
//!
//! impl Plan for First {
//!     fn fate(&self, call: &Call<'_>) -> Fate {
//!         if call.number == 0 { Fate::FailBefore(Fault::Unavailable) } else { Fate::Pass }
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = FaultyStore::new(Arc::new(MemoryStore::default()), Seam::new(Arc::new(First)));
//! let failed = store.open_runs(None, 10).await;
//! assert!(matches!(failed, Err(StoreError::Unavailable { .. })));
//! assert_eq!(store.open_runs(None, 10).await, Ok(Vec::new()));
//! # });
//! # Ok(())
//! # }
//! ```

mod blobs;
mod plan;
mod power;
mod seam;
mod store;

pub use blobs::FaultyBlobs;
pub use plan::{Call, Fate, Fault, Op, Plan, Write};
pub use power::Power;
pub use seam::Seam;
pub use store::FaultyStore;
