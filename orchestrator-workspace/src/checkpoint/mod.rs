//! What is recorded of an attempt's files: a chain of commits on a hidden ref, and one commit of
//! what came of it in the end.
//!
//! A checkpoint is a commit on `refs/orchestrator/RUN/TASK/ATTEMPT` whose parent is the one before, or
//! the base; trailers say the run, the task, the attempt and the turn. Each holds what is in the
//! directory, whatever the agent did with git there: see [`Scan`](crate::git::Scan) for what is left
//! out. Files of a submodule that have changed are recorded as a commit in the project's repository of
//! that submodule, on a ref of the same name.

mod look;
mod record;

pub use look::Recorded;
