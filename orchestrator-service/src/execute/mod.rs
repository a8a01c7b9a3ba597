//! Executing: what is asked, what would happen, and a run under way.

mod drive;
mod execution;
mod plan;
mod prepare;
mod request;
mod watch;

pub(crate) use execution::event_json;
pub use execution::{Control, Execution, Happening};
pub use request::{ExecuteRequest, OpenOptions, What};
