//! The HTTP front between a client and a provider, both on loopback and down to their bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

mod answers;
mod attempts;
mod broken;
mod budgets;
mod client;
mod limits;
mod passing;
mod refusals;
mod rig;
mod rules;
mod stopping;
mod upstream;
