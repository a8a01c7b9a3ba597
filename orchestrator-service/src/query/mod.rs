//! Reading: runs, tasks, agents, templates, logs, costs.

mod agents;
mod cost;
mod export;
mod logs;
mod request;
mod runs;
mod tasks;

pub use request::{CostQuery, ExportFormat, LogQuery, RunQuery, TaskQuery};
pub(crate) use runs::{Driver, Standing};
