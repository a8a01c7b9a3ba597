//! Executing: what is asked, what would happen, and a run under way.

mod drive;
mod estimate;
mod execution;
mod plan;
mod prepare;
mod request;
mod watch;

pub use drive::Resumed;
pub use execution::{Control, Execution, Happening};
pub use request::{ExecuteRequest, OpenOptions, Tape, What};
