//! The gateway against a scripted server, over both protocols.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

mod answers;
mod broken;
mod errors;
mod policies;
mod requests;
mod rig;
