//! The orchestrator's event log, rows, ledger and blobs on one disk.
//!
//! [`LocalStore`] implements the [`Store`](orchestrator_core::port::Store),
//! [`Catalog`](orchestrator_core::port::Catalog) and [`Ledger`](orchestrator_core::port::Ledger)
//! ports on SQLite, [`FileBlobs`] the [`Blobs`](orchestrator_core::port::Blobs) port on plain files. What is acknowledged is durable:
//! it outlives the process and the machine's power.
//!
//! One thread writes. It takes all requests that wait, commits them as one group and then answers
//! each, so that many runs share one synchronisation of the disk. Readers work beside it on
//! connections of their own and never wait for it. Several processes may have one store open.
//!
//! This crate decides nothing about runs: it refuses stale writers, keeps order, and reads back.
//! Nothing of SQL shows in its interface. Secrets are kept apart from all of it: see [`vault`].
//!
//! ```
//! use orchestrator_core::{id::RunId, port::Catalog};
//! use orchestrator_store::LocalStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = LocalStore::open(&dir.path().join("state"))?;
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let run = runtime.block_on(store.run(&RunId::new("r_1")?))?;
//! assert!(run.is_none());
//! # Ok(())
//! # }
//! ```

mod ahead;
mod blobs;
mod body;
mod clean;
mod cursor;
mod directory;
mod error;
mod landings;
mod ledger;
mod local;
mod migrate;
mod open;
mod prepared;
mod read;
mod reader;
mod record;
mod responses;
pub mod vault;
mod wal;
mod write;
mod writer;

pub use blobs::FileBlobs;
pub use error::OpenError;
pub use local::LocalStore;
