//! Landing on real repositories.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod crashes;
mod one;
mod pieces;
mod requests;
mod room;
mod undo;
