//! Everything kept in memory: for embedding without a disk, and for tests.
//!
//! Nothing here outlives the process, and only there does it differ from a durable store: it keeps
//! the same contract.

mod blobs;
mod catalog;
mod kept;
mod landings;
mod ledger;
mod log;
mod responses;
mod store;
mod stored;

pub use blobs::MemoryBlobs;
pub use landings::MemoryLandings;
pub use responses::MemoryResponses;
pub use store::MemoryStore;
