//! From a document to a workflow. Every problem is reported, not only the first.

use super::{
    InputSpec, InputType, Mode, Workflow,
    problem::{self as code, Problem, join},
    reader::{Table, table, wrong_type},
};
use crate::{
    id::{TaskName, WorkflowName},
    money::MicroUsd,
    policy::RetryPolicy,
    task::{OnFailure, Priority, Revise, TaskKind, TaskSpec},
    time::parse_duration,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

const TOP: &[&str] = &[
    "schema",
    "name",
    "version",
    "description",
    "inputs",
    "budget",
    "mode",
    "max-parallel",
    "defaults",
    "tasks",
];
const TOP_PLANNED: &[&str] = &["then", "agents", "timeout"];
const TASK: &[&str] = &[
    "description",
    "agent",
    "prompt",
    "command",
    "needs",
    "when",
    "output",
    "revise",
    "timeout",
    "retry",
    "priority",
    "on-failure",
];
const TASK_PLANNED: &[&str] = &[
    "for-each",
    "approval",
    "workflow",
    "with",
    "workspace",
    "checks",
    "cache",
    "compensate",
    "concurrency-group",
    "then",
];

/// What tasks take when they do not say.
#[derive(Default, Clone, Copy)]
struct Defaults {
    timeout: Option<Duration>,
    retry: Option<RetryPolicy>,
}

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
    let defaults = read_defaults(&top, problems);
    let tasks = read_tasks(&top, defaults, problems);
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

fn read_defaults(top: &Table<'_>, problems: &mut Vec<Problem>) -> Defaults {
    let Some(value) = top.get("defaults") else {
        return Defaults::default();
    };
    let Some(defaults) = table(value, &top.pointer("defaults"), problems) else {
        return Defaults::default();
    };
    defaults.check_keys(&["timeout", "retry"], &["workspace"], problems);
    Defaults {
        timeout: defaults.parsed("timeout", problems, parse_duration),
        retry: read_retry(&defaults, RetryPolicy::default(), problems),
    }
}

fn read_retry(
    owner: &Table<'_>,
    base: RetryPolicy,
    problems: &mut Vec<Problem>,
) -> Option<RetryPolicy> {
    let value = owner.get("retry")?;
    if value == "never-repeat" {
        problems.push(Problem::new(
            code::NOT_OFFERED,
            &owner.pointer("retry"),
            "`never-repeat` is part of the language, but not offered by this version",
        ));
        return None;
    }
    let retry = table(value, &owner.pointer("retry"), problems)?;
    retry.check_keys(&["max-attempts", "base-delay", "max-delay", "factor"], &[], problems);
    Some(RetryPolicy {
        max_attempts: retry.count("max-attempts", 1..=100, problems).unwrap_or(base.max_attempts),
        base_delay: retry.parsed("base-delay", problems, parse_duration).unwrap_or(base.base_delay),
        max_delay: retry.parsed("max-delay", problems, parse_duration).unwrap_or(base.max_delay),
        factor: retry.count("factor", 1..=10, problems).unwrap_or(base.factor),
    })
}

fn read_tasks(top: &Table<'_>, defaults: Defaults, problems: &mut Vec<Problem>) -> Vec<TaskSpec> {
    let Some(value) = top.get("tasks") else {
        problems.push(Problem::new(code::MISSING_KEY, &top.at, "the key `tasks` is missing"));
        return Vec::new();
    };
    let Some(tasks) = table(value, &top.pointer("tasks"), problems) else {
        return Vec::new();
    };
    tasks
        .map
        .iter()
        .filter_map(|(name, value)| {
            let at = tasks.pointer(name);
            let name = tasks.keep(name, TaskName::new(name), problems);
            let task = table(value, &at, problems)?;
            Some(read_task(name?, &task, defaults, problems))
        })
        .collect()
}

fn read_task(
    name: TaskName,
    task: &Table<'_>,
    defaults: Defaults,
    problems: &mut Vec<Problem>,
) -> TaskSpec {
    task.check_keys(TASK, TASK_PLANNED, problems);
    let kind = read_kind(&name, task, problems);
    let needs = task
        .texts("needs", problems)
        .into_iter()
        .filter_map(|(text, at)| match TaskName::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                problems.push(Problem::new(code::INVALID_VALUE, &at, error.to_string()));
                None
            }
        })
        .collect();
    let output = task.get("output").map(|value| {
        if !value.is_object() && !value.is_boolean() {
            problems.push(wrong_type(&task.pointer("output"), "a JSON Schema", value));
        }
        Arc::new(value.clone())
    });
    // A task whose kind cannot be told still exists: others may need it.
    let kind = kind.unwrap_or(TaskKind::Command { command: Vec::new() });
    let mut spec = TaskSpec::new(name, kind);
    spec.description = task.text("description", problems).map(str::to_owned);
    spec.needs = needs;
    spec.when = task.text("when", problems).map(str::to_owned);
    spec.output = output;
    spec.revise = read_revise(task, problems);
    spec.timeout = task.parsed("timeout", problems, parse_duration).or(defaults.timeout);
    let base = defaults.retry.unwrap_or_default();
    spec.retry = read_retry(task, base, problems).unwrap_or(base);
    let priorities = Priority::ALL.map(|priority| (priority.as_str(), priority));
    spec.priority = task.choice("priority", &priorities, problems).unwrap_or_default();
    let policies = [("fail", OnFailure::Fail), ("continue", OnFailure::Continue)];
    if task.get("on-failure").and_then(Value::as_str) == Some("compensate") {
        problems.push(Problem::new(
            code::NOT_OFFERED,
            &task.pointer("on-failure"),
            "`compensate` is part of the language, but not offered by this version",
        ));
    } else {
        spec.on_failure = task.choice("on-failure", &policies, problems).unwrap_or_default();
    }
    spec
}

fn read_kind(name: &TaskName, task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<TaskKind> {
    let given: Vec<&str> = ["agent", "command", "workflow", "approval"]
        .into_iter()
        .filter(|key| task.get(key).is_some())
        .collect();
    match given[..] {
        ["agent"] => {
            let agent = task.text("agent", problems)?.to_owned();
            let prompt = task.text("prompt", problems).unwrap_or_default().to_owned();
            if prompt.is_empty() && task.get("prompt").is_none() {
                problems.push(Problem::new(
                    code::MISSING_KEY,
                    &task.at,
                    format!("the task `{name}` has an agent but no `prompt`"),
                ));
            }
            Some(TaskKind::Agent { agent, prompt })
        }
        ["command"] => {
            let command: Vec<String> =
                task.texts("command", problems).into_iter().map(|(text, _)| text.into()).collect();
            if command.first().is_none_or(String::is_empty)
                && task.get("command").is_some_and(Value::is_array)
            {
                problems.push(Problem::new(
                    code::INVALID_VALUE,
                    &task.pointer("command"),
                    "a command is a list: the program, then its arguments",
                ));
            }
            if task.get("prompt").is_some() {
                problems.push(Problem::new(
                    code::TASK_KIND,
                    &task.pointer("prompt"),
                    "a `prompt` goes with an `agent`, not with a `command`",
                ));
            }
            Some(TaskKind::Command { command })
        }
        // Those two were reported as not offered already.
        ["workflow" | "approval"] => None,
        [] => {
            problems.push(Problem::new(
                code::TASK_KIND,
                &task.at,
                format!("the task `{name}` asks for nothing: give it an `agent` or a `command`"),
            ));
            None
        }
        _ => {
            problems.push(Problem::new(
                code::TASK_KIND,
                &task.at,
                format!("the task `{name}` has {}: keep exactly one of them", given.join(" and ")),
            ));
            None
        }
    }
}

fn read_revise(task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<Revise> {
    let revise = table(task.get("revise")?, &task.pointer("revise"), problems)?;
    revise.check_keys(&["task", "unless", "max"], &[], problems);
    let target = revise
        .required_text("task", problems)
        .and_then(|name| revise.keep("task", TaskName::new(name), problems));
    let unless = revise.required_text("unless", problems).map(str::to_owned);
    let max = revise.count("max", 1..=100, problems).unwrap_or(3);
    Some(Revise { task: target?, unless: unless?, max })
}

impl InputType {
    /// Every type.
    pub const ALL: [Self; 6] =
        [Self::String, Self::Integer, Self::Number, Self::Boolean, Self::Array, Self::Object];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::String => "text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Array => "a list",
            Self::Object => "a mapping",
        }
    }

    /// Whether `value` is of this type.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// The place of a task in a document.
pub(crate) fn task_pointer(name: &TaskName) -> String {
    join("/tasks", name)
}
