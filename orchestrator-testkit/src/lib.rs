//! Test equipment for whoever builds on the orchestrator. A dev-dependency, never more.
//!
//! - [`sim`]: the whole engine in a seeded simulation, with crashes at every point.
//! - [`faults`]: a store and blobs that fail on purpose.
//! - [`workflows`]: thirteen reference workflows with every construct of the language.
//! - [`flip`]: a store with one bit flipped, anywhere.
//! - [`model_server`]: a scripted server that speaks the protocols of model providers.
//! - [`process`]: the real program, killed and with a disk that fails.
//! - [`landing_work`]: work that is to land, and what its check gave.
//! - [`landings_contract`]: what all queues of branches must do, as cases.
//! - [`ledger_contract`]: what every ledger must do, as cases.
//! - [`workspaces`]: workspaces in memory, with scripted checks and faults.
//! - [`store_contract`]: what every store and every keeper of blobs must do, as cases.
//!
//! What it is not: part of any product. Nothing here may be a dependency of what is shipped.
//!
//! ```
//! use orchestrator_core::memory::MemoryStore;
//! use orchestrator_testkit::store_contract;
//! use std::sync::Arc;
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! // Every case gets an empty store of its own; a rule that is broken is a panic.
//! runtime.block_on(store_contract::run_all(|| async {
//!     let store = Arc::new(MemoryStore::default());
//!     (store.clone() as _, store as _)
//! }));
//! # Ok(())
//! # }
//! ```

pub mod faults;

pub mod flip;

pub mod landing_work;

pub mod landings_contract;

pub mod ledger_contract;

pub mod model_server;

#[cfg(target_os = "linux")]
pub mod process;

pub mod responses_contract;

pub mod sim;

pub mod store_contract;

pub mod workflows;

pub mod workspaces;
