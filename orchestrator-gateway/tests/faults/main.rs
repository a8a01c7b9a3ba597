//! The fault matrix: every wire format under every fault. Each call ends within its time-outs, has
//! the class that is expected, and is counted right in the ledger, which holds nothing for it any
//! more.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

mod format;
mod numbers;
mod positions;
mod rig;
mod server;
mod table;
