//! Checks against real repositories, with real commands.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod honest;
mod lying;
mod runner;
mod support;
