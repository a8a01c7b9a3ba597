//! From a document to a workflow. Every problem is reported, not only the first.

mod kind;
mod policy;
mod task;
mod workspace;

use super::{
    InputSpec, InputType, Mode, Workflow,
    problem::{self as code, Problem},
    reader::{Table, table, wrong_type},
};
use crate::{id::WorkflowName, money::MicroUsd, task::TaskSpec, time::parse_duration};
use policy::{Defaults, read_defaults, read_then};
use serde_json::Value;

const TOP: &[&str] = &[
    "schema",
    "name",
    "version",
    "description",
    "inputs",
    "budget",
    "mode",
    "max-parallel",
    "timeout",
    "defaults",
    "then",
    "tasks",
];
const TOP_PLANNED: &[&str] = &["agents"];

impl Workflow {
    /// Reads a workflow document, as of CONTRACT version 1, and checks it as [`Workflow::check`] does.
    ///
    /// # Errors
    /// Every problem found, in the order of the document.
    pub fn parse(document: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let workflow = read(document, &mut problems);
        match workflow {
            Some(workflow) if problems.is_empty() => {
                let problems = workflow.check();
                if problems.is_empty() { Ok(workflow) } else { Err(problems) }
            }
            Some(workflow) => {
                // The order of tasks can be judged even when some field is wrong, so that one
                // look at the file mends all. Of one place, only what was said first is said.
                for problem in workflow.check() {
                    let explained = problems.iter().any(|known| known.pointer == problem.pointer);
                    if !explained && problem.code != code::SIZE {
                        problems.push(problem);
                    }
                }
                Err(problems)
            }
            None => Err(problems),
        }
    }

    /// Reads a mapping of tasks alone, such as the one that a managing task adds to its run. What
    /// holds between them and the run's is for [`Workflow::check_added`].
    ///
    /// # Errors
    /// Every problem found, each placed as if the mapping were the `tasks` of a workflow.
    pub fn parse_tasks(tasks: &Value) -> Result<Vec<TaskSpec>, Vec<Problem>> {
        let mut problems = Vec::new();
        let read = task::read_tasks(tasks, "/tasks", &Defaults::default(), &mut problems);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }
}

fn read(document: &Value, problems: &mut Vec<Problem>) -> Option<Workflow> {
    let top = table(document, "", problems)?;
    top.check_keys(TOP, TOP_PLANNED, problems);
    let name = top
        .required_text("name", problems)
        .and_then(|name| top.keep("name", WorkflowName::new(name), problems));
    let version = match top.get("version") {
        Some(Value::Number(number)) => number.to_string(),
        _ => top.text("version", problems).unwrap_or("0.0.0").to_owned(),
    };
    let description = top.text("description", problems).map(str::to_owned);
    let inputs = read_inputs(&top, "inputs", problems);
    let mode = top.choice("mode", &Mode::ALL.map(|mode| (mode.as_str(), mode)), problems);
    let budget = read_budget(&top, problems);
    let max_parallel = top.count("max-parallel", 1..=10_000, problems);
    let timeout = top.parsed("timeout", problems, parse_duration);
    let then = read_then(&top, problems);
    let defaults = read_defaults(&top, problems);
    let tasks = match top.get("tasks") {
        Some(tasks) => {
            let managed = mode == Some(Mode::Hierarchical);
            let defaults = Defaults { managed, ..defaults };
            task::read_tasks(tasks, &top.pointer("tasks"), &defaults, problems)
        }
        None => {
            problems.push(Problem::new(code::MISSING_KEY, &top.at, "the key `tasks` is missing"));
            Vec::new()
        }
    };
    // A placeholder name lets the tasks be checked; the missing one is already a problem.
    let name = name.or_else(|| WorkflowName::new("unnamed").ok())?;
    Some(Workflow {
        name,
        version,
        description,
        inputs,
        mode: mode.unwrap_or_default(),
        budget,
        max_parallel,
        timeout,
        then,
        tasks,
    })
}

/// Reads the `inputs` of a workflow or the `parameters` of a template.
pub(crate) fn read_inputs(
    top: &Table<'_>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Vec<InputSpec> {
    let Some(value) = top.get(key) else {
        return Vec::new();
    };
    let Some(inputs) = table(value, &top.pointer(key), problems) else {
        return Vec::new();
    };
    let mut specs = Vec::new();
    for (name, value) in inputs.map {
        let at = inputs.pointer(name);
        if !is_identifier(name) {
            problems.push(Problem::new(
                code::INVALID_VALUE,
                &at,
                format!("`{name}` cannot be used in expressions: use letters, digits, `_` and `-`, starting with a letter or `_`"),
            ));
        }
        let Some(entry) = table(value, &at, problems) else {
            continue;
        };
        entry.check_keys(&["type", "required", "default", "description"], &[], problems);
        let kind = entry.choice("type", &InputType::ALL.map(|t| (t.as_str(), t)), problems);
        let kind = kind.unwrap_or(InputType::String);
        let default = entry.get("default").cloned();
        if let Some(default) = &default
            && !kind.admits(default)
        {
            problems.push(wrong_type(&entry.pointer("default"), kind.described(), default));
        }
        specs.push(InputSpec {
            name: name.clone(),
            kind,
            required: entry.flag("required", problems).unwrap_or(false),
            default,
            description: entry.text("description", problems).map(str::to_owned),
        });
    }
    specs
}

/// What CEL takes for a name, so that `inputs.x` works in conditions and templates alike.
fn is_identifier(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn read_budget(top: &Table<'_>, problems: &mut Vec<Problem>) -> Option<MicroUsd> {
    let budget = table(top.get("budget")?, &top.pointer("budget"), problems)?;
    budget.check_keys(&["usd"], &["tokens", "requests"], problems);
    let amount = match budget.get("usd")? {
        Value::Number(number) => number.to_string().parse::<MicroUsd>(),
        Value::String(text) => text.parse(),
        other => {
            problems.push(wrong_type(&budget.pointer("usd"), "an amount in USD", other));
            return None;
        }
    };
    budget.keep("usd", amount, problems)
}
