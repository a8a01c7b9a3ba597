//! Where agents work, against real repositories in temporary directories.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod bad_input;
mod checkpoints;
mod crash;
mod git;
mod pool;
mod support;
mod turns;
mod worktrees;
