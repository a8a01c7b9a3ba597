//! What is asked of an execution.

use crate::credentials::{AskPassphrase, KnownSecrets};
use orchestrator_core::{money::MicroUsd, workflow::Mode};
use std::path::PathBuf;

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum What {
    /// `quick-implementation` when a model is at hand; else a refusal that says what to do.
    #[default]
    Prompt,
    /// A template by name: `--task-type`.
    Template(String),
    /// A file, or a workflow by name: `--workflow`.
    Workflow(String),
}

/// A cassette, a file that holds exchanges with models, and what is done with it. A path is taken from
/// the environment's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tape {
    /// Every exchange of the run is written into this file, which must not exist.
    Record(PathBuf),
    /// Models are not called: their answers come from this file. Nothing is spent.
    Replay(PathBuf),
}

/// What is asked of an execution. Only [`ExecuteRequest::what`] or a prompt is needed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecuteRequest {
    /// What to execute.
    pub what: What,
    /// The prompt: the input called `prompt`.
    pub prompt: Option<String>,
    /// Inputs by name, as text; each is read as its declared type.
    pub inputs: Vec<(String, String)>,
    /// A mode in place of the workflow's own.
    pub mode: Option<Mode>,
    /// Agents in place of roles or of other agents: role or name, and the agent's name.
    pub agents: Vec<(String, String)>,
    /// The most that the run may cost.
    pub budget: Option<MicroUsd>,
    /// The most attempts at once.
    pub max_parallel: Option<u32>,
    /// The cassette that calls of models are recorded into or answered from.
    pub tape: Option<Tape>,
    /// Whether worktrees begin with what the project has not committed.
    pub include_uncommitted: bool,
}

/// How to open a project.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The project's directory; `None` looks for it from the environment's directory upwards.
    pub path: Option<PathBuf>,
    /// Settings from flags: keys and values, above every other layer.
    pub settings: Vec<(String, String)>,
    /// What learns every secret that is read, to be asked before anything is shown.
    pub known: KnownSecrets,
    /// Who gives the passphrase of the credential store when the environment has none.
    pub passphrase: AskPassphrase,
    /// A program that calls `orchestrator_workspace::sandbox::launch_if_asked` first of all, usually
    /// this one. Without it nothing can be confined, and what must be does not run.
    pub launcher: Option<PathBuf>,
}
