//! What lists and reports are asked for.

use crate::views::CostGroup;
use orchestrator_core::time::Timestamp;

/// Which runs a list shows. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunQuery {
    /// With one of these statuses, as shown: `running`, `interrupted`, ...
    pub status: Vec<String>,
    /// In which this agent worked.
    pub agent: Option<String>,
    /// Created at or after: see [`OrchestratorService::since`](crate::OrchestratorService::since).
    pub since: Option<Timestamp>,
    /// With this text in the id, workflow or source.
    pub search: Option<String>,
    /// The most items; 0 means 50.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// Which tasks a list shows. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskQuery {
    /// Of this run: an id, a unique start of one, or `latest`.
    pub run: Option<String>,
    /// With one of these statuses.
    pub status: Vec<String>,
    /// Done last by this agent.
    pub agent: Option<String>,
    /// Of runs created at or after.
    pub since: Option<Timestamp>,
    /// With this text in the name or the run's id.
    pub search: Option<String>,
    /// The most items; 0 means 50.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// Whose log is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// A run, a task (`RUN.TASK`, or a name in the latest run) or an agent.
    pub of: String,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// The most entries; 0 means 1,000.
    pub limit: usize,
}

/// What a cost report sums up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostQuery {
    /// By what.
    pub by: CostGroup,
    /// Of one run only.
    pub run: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
}

impl Default for CostQuery {
    fn default() -> Self {
        Self { by: CostGroup::Agent, run: None, since: None }
    }
}

/// The form of an exported run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Everything, to be read by programs and to be imported: the log and all blobs.
    Json {
        /// The runs that it started and waited for as well.
        children: bool,
    },
    /// Its tasks, one a line, with a header.
    Csv,
    /// One page for people, which refers to nothing outside.
    Html,
    /// What it did, signed: see [`OrchestratorService::verify_receipt`](crate::OrchestratorService::verify_receipt).
    Receipt,
}

impl Default for ExportFormat {
    fn default() -> Self {
        Self::Json { children: false }
    }
}
