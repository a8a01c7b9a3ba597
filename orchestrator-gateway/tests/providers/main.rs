//! The gateway against a scripted server, over every protocol.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

mod accounts;
mod answers;
mod broken;
mod counting;
mod errors;
mod policies;
mod requests;
mod rig;
mod tools;
