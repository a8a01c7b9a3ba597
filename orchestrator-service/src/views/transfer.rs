//! What was brought in from a file.

use serde::Serialize;

/// What was brought in from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportView {
    /// `orchestrator.import/v1`.
    pub schema: &'static str,
    /// `run` or `workflow`.
    pub kind: &'static str,
    /// The run's id here, or the workflow's name.
    pub name: String,
    /// The file of the project that a workflow is in now; null for a run.
    pub file: Option<String>,
    /// Whether a workflow was there and was replaced.
    pub replaced: bool,
    /// How many blobs were in the file.
    pub blobs: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// The runs, the one that was exported first; empty for a workflow.
    pub items: Vec<ImportedRun>,
}

/// A run that was brought in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedRun {
    /// Its id here.
    pub run: String,
    /// Its id in the file.
    pub from: String,
    /// The workflow's name.
    pub workflow: String,
    /// How it ended; `interrupted` when it has not and can be resumed.
    pub status: String,
    /// How many tasks it has.
    pub tasks: u64,
    /// How many events its log has.
    pub events: u64,
}
