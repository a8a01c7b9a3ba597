//! What is known about a task before it runs.

use super::Prior;
use crate::{
    agent::Role,
    id::{AgentName, TaskName, WorkflowName},
    money::MicroUsd,
    usage::TokenCount,
};

/// US dollars per million tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Fresh input.
    pub input: MicroUsd,
    /// Input read from a prompt cache.
    pub cache_read: MicroUsd,
    /// Input written to a prompt cache.
    pub cache_write: MicroUsd,
    /// Output.
    pub output: MicroUsd,
}

/// How often a task is done in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Items {
    /// Once.
    #[default]
    Once,
    /// Once for each item of a list of that length.
    Exactly(u32),
    /// Once for each item of a list that is not known beforehand.
    Unknown,
}

/// How often a task is done in one run, and which it is.
#[derive(Debug, Clone, Copy)]
pub struct Often<'p> {
    /// The workflow.
    pub workflow: &'p WorkflowName,
    /// Its key there.
    pub task: &'p TaskName,
    /// For how many items.
    pub items: Items,
    /// Whether it may not run at all.
    pub conditional: bool,
}

/// What is known about a task that calls a model, before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskProfile {
    /// The workflow.
    pub workflow: WorkflowName,
    /// Its key there.
    pub task: TaskName,
    /// Who does it.
    pub agent: AgentName,
    /// In which role.
    pub role: Role,
    /// On which model.
    pub model: String,
    /// What that model costs; `None` when that is not known.
    pub rates: Option<Rates>,
    /// The tokens of the text that is known now. Default: none.
    pub prompt: TokenCount,
    /// The most tokens of one answer. Default: no bound.
    pub max_output: Option<TokenCount>,
    /// Whether the answer must fit a schema, which makes it short. Default: no.
    pub has_schema: bool,
    /// Whether it may not run at all: it has a condition, or its result may be at hand. Default: no.
    pub conditional: bool,
    /// How often it is done. Default: once.
    pub items: Items,
    /// How often a judgement may send it back. Default: never.
    pub revisions: u32,
    /// How often it may be tried again when it fails. Default: never.
    pub retries: u32,
    /// What to assume without history, in place of what is assumed of its role. Default: nothing else.
    pub prior: Option<Prior>,
}

impl TaskProfile {
    /// A task of which no more is known than what it is called and who does it.
    pub fn new(
        workflow: WorkflowName,
        task: TaskName,
        agent: AgentName,
        role: Role,
        model: &str,
    ) -> Self {
        Self {
            workflow,
            task,
            agent,
            role,
            model: model.to_owned(),
            rates: None,
            prompt: TokenCount(0),
            max_output: None,
            has_schema: false,
            conditional: false,
            items: Items::Once,
            revisions: 0,
            retries: 0,
            prior: None,
        }
    }

    /// How often it is done.
    pub fn often(&self) -> Often<'_> {
        let Self { workflow, task, items, conditional, .. } = self;
        Often { workflow, task, items: *items, conditional: *conditional }
    }
}
