//! Workspaces in memory: a git that is a map of files, checks that are scripted, branches with tips.
//!
//! It holds what the port promises: calls may be made again, branches move only from where they
//! were, nothing lands that does not go together. So an engine can be driven through every crash
//! without a process or a file.

mod memory;
mod script;

pub use memory::MemoryWorkspaces;
pub use script::{Heard, Script};
