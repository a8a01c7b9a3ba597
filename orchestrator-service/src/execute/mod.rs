//! Executing: what is asked, what would happen, and a run under way.

mod concern;
mod drive;
mod estimate;
mod execution;
mod forecast;
mod plan;
mod prepare;
mod request;
mod watch;

pub use concern::Concern;
pub(crate) use concern::{CONFIRM_TASKS, CONFIRM_USD};
pub use drive::Resumed;
pub use execution::{Control, Execution, Happening};
pub use plan::Quote;
pub use request::{ExecuteRequest, OpenOptions, Tape, What};
