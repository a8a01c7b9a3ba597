//! What must hold between the parts of a workflow, however it was made.

mod added;
mod at;
mod expression;
mod library;
mod sense;
mod view;
mod workspace;

pub use added::MAX_ADDED;
pub use library::MAX_NESTING;

use super::{
    Mode, Workflow,
    problem::{self as code, Problem, did_you_mean, join},
};
use crate::{event::Content, graph::Graph, id::TaskName, task::TaskSpec};
use at::At;
use std::collections::HashSet;
use view::Sight;

/// The most tasks that a workflow may declare.
pub const MAX_TASKS: usize = 1_000_000;

/// The place of a task in a document.
fn task_pointer(name: &TaskName) -> String {
    join("/tasks", name)
}

impl Workflow {
    /// Everything that is wrong with this workflow; nothing when it can run. What it says of other
    /// workflows is for [`Workflow::check_library`].
    pub fn check(&self) -> Vec<Problem> {
        self.checked().err().unwrap_or_default()
    }

    /// The graph of its tasks, or everything that is wrong with it.
    pub(crate) fn checked(&self) -> Result<Graph, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.tasks.is_empty() {
            problems.push(Problem::new(code::SIZE, "/tasks", "a workflow needs at least one task"));
        }
        if self.tasks.len() > MAX_TASKS {
            let message = format!("{} tasks are more than {MAX_TASKS}", self.tasks.len());
            problems.push(Problem::new(code::SIZE, "/tasks", message));
            return Err(problems);
        }
        let names = check_names(&self.tasks, &mut problems);
        for task in &self.tasks {
            check_needs(task, &names, &|_| false, &mut problems);
            check_output(task, &mut problems);
            sense::check(task, &mut problems);
            workspace::check(task, &mut problems);
        }
        match self.mode {
            Mode::Hierarchical => workspace::check_managing(&self.tasks, &mut problems),
            Mode::Parallel | Mode::Sequential => {
                sense::check_undoing(&self.tasks, &mut problems);
            }
        }
        let graph = match Graph::of(self) {
            Ok(graph) => graph,
            Err(cycle) => {
                problems.push(Problem::new(code::CYCLE, "/tasks", cycle.to_string()));
                return Err(problems);
            }
        };
        let sight = Sight::new(&self.inputs, &self.tasks, &graph, &|_| false);
        for (place, task) in self.tasks.iter().enumerate() {
            expression::check_task(&sight, place, task, &mut problems);
        }
        expression::check_then(&sight, &self.then, &At::Top("then"), None, &mut problems);
        if problems.is_empty() { Ok(graph) } else { Err(problems) }
    }
}

/// Checks that every name is plain and there once, and gives them.
fn check_names<'t>(tasks: &'t [TaskSpec], problems: &mut Vec<Problem>) -> HashSet<&'t str> {
    let mut names = HashSet::with_capacity(tasks.len());
    for task in tasks {
        let at = || task_pointer(&task.name);
        if !task.name.is_plain() {
            let message =
                format!("`{}` has a suffix: those are for tasks that the engine makes", task.name);
            problems.push(
                Problem::new(code::INVALID_VALUE, &at(), message)
                    .suggest(Some(format!("name it `{}`", task.name.as_str().replace(':', "-")))),
            );
        }
        if !names.insert(task.name.as_str()) {
            let message = format!("two tasks are named `{}`", task.name);
            problems.push(Problem::new(code::INVALID_VALUE, &at(), message));
        }
    }
    names
}

/// Checks that what `task` needs is among `names` or exists elsewhere.
fn check_needs(
    task: &TaskSpec,
    names: &HashSet<&str>,
    elsewhere: &dyn Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) {
    for (index, need) in task.needs.iter().enumerate() {
        if !names.contains(need.as_str()) && !elsewhere(need.as_str()) {
            let mut near: Vec<&str> = names.iter().copied().collect();
            near.sort_unstable();
            problems.push(
                Problem::new(
                    code::UNKNOWN_TASK,
                    &join(&join(&task_pointer(&task.name), "needs"), index),
                    format!("the task `{}` needs `{need}`, which does not exist", task.name),
                )
                .suggest(did_you_mean(need.as_str(), near)),
            );
        }
    }
}

/// Checks that the output schema of `task` is one.
fn check_output(task: &TaskSpec, problems: &mut Vec<Problem>) {
    let Some(schema) = &task.output else {
        return;
    };
    let wrong = if Content::admits(schema) {
        wrong_schema(schema)
    } else {
        Some(format!("is nested deeper than {} levels", Content::MAX_DEPTH))
    };
    if let Some(wrong) = wrong {
        let at = join(&task_pointer(&task.name), "output");
        let message = format!("the output schema {wrong}");
        problems.push(Problem::new(code::OUTPUT_SCHEMA, &at, message));
    }
}

/// What is wrong with a JSON Schema.
#[cfg(feature = "engine")]
fn wrong_schema(schema: &serde_json::Value) -> Option<String> {
    jsonschema::validator_for(schema).err().map(|error| format!("is not valid: {error}"))
}

/// Without the engine nobody validates outputs, and schemas are taken as they are.
#[cfg(not(feature = "engine"))]
fn wrong_schema(_: &serde_json::Value) -> Option<String> {
    None
}
