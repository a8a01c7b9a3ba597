//! Workflows: what is to be done, as data that is checked before anything starts.

mod check;
mod input_type;
mod inputs;
mod parse;
mod problem;
mod reader;
#[cfg(test)]
mod tests;

pub use check::{MAX_ADDED, MAX_NESTING, MAX_TASKS};
pub use problem::*;

pub(crate) use inputs::{Codes, bind};
pub(crate) use parse::read_inputs;
pub(crate) use reader::{table, type_name};

use crate::{
    id::{InvalidId, TaskName, WorkflowName},
    money::MicroUsd,
    task::{TaskKind, TaskSpec, Then},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, time::Duration};

/// How the tasks of a workflow relate beyond what each declares in `needs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A task starts as soon as all that it needs has ended.
    #[default]
    Parallel,
    /// Each task also needs the one before it in the file.
    Sequential,
    /// The first task manages: every other task also needs it and is given its output.
    Hierarchical,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Parallel, Self::Sequential, Self::Hierarchical];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Sequential => "sequential",
            Self::Hierarchical => "hierarchical",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The type of an input or a template parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// A mapping.
    Object,
}

/// An input that a run takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InputSpec {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// Whether a run without it is refused.
    #[serde(default)]
    pub required: bool,
    /// Its value when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// A line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A versioned definition of work.
///
/// Built in code with [`Workflow::new`] and [`Workflow::task`], or read from a document with
/// [`Workflow::parse`]; either way [`Workflow::check`] reports everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Workflow {
    /// Its name.
    pub name: WorkflowName,
    /// Its version; free text, by custom `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// A line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a run takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputSpec>,
    /// How its tasks relate.
    #[serde(default)]
    pub mode: Mode,
    /// The most that a run may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<MicroUsd>,
    /// The most attempts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How long a run may take.
    #[serde(default, with = "crate::task::opt_duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What is started when a run has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Then>,
    /// Its tasks, in the order of the file.
    pub tasks: Vec<TaskSpec>,
}

impl Workflow {
    /// A workflow without tasks.
    ///
    /// # Errors
    /// [`InvalidId`] when the name breaks its rule.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        Ok(Self {
            name: WorkflowName::new(name)?,
            version: "0.0.0".into(),
            description: None,
            inputs: Vec::new(),
            mode: Mode::default(),
            budget: None,
            max_parallel: None,
            timeout: None,
            then: Vec::new(),
            tasks: Vec::new(),
        })
    }

    /// The same with one more task: `agent` answers `prompt` once all of `needs` have ended.
    ///
    /// # Errors
    /// [`InvalidId`] when a name breaks its rule.
    pub fn task(
        mut self,
        name: &str,
        agent: &str,
        prompt: &str,
        needs: &[&str],
    ) -> Result<Self, InvalidId> {
        let kind = TaskKind::Agent { agent: agent.to_owned(), prompt: prompt.to_owned() };
        let mut task = TaskSpec::new(TaskName::new(name)?, kind);
        task.needs = needs.iter().map(TaskName::new).collect::<Result<_, _>>()?;
        self.tasks.push(task);
        Ok(self)
    }
}
