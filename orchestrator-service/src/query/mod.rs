//! Reading: runs, tasks, agents, templates, logs, costs.

mod agents;
mod asked;
mod calls;
mod clean;
mod compare;
mod cost;
mod describe;
mod export;
mod logs;
mod request;
mod runs;
mod tasks;
mod why;
mod work;

pub use request::{CostQuery, ExportFormat, LogQuery, RunQuery, TaskQuery};
pub(crate) use runs::{Driver, INTERRUPTED, Standing, WAITING};
pub(crate) use work::result_branches;
