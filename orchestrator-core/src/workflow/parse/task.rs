//! Reads the tasks of a document.

use super::{
    kind::{read_compensate, read_kind},
    policy::{Defaults, read_cache, read_retry, read_then, read_timeouts},
    workspace::{read_checks, read_land, read_workspace},
};
use crate::{
    id::TaskName,
    policy::RetryPolicy,
    task::{OnFailure, Priority, Revise, TaskKind, TaskSpec},
    time::parse_duration,
    workflow::{
        problem::{self as code, Problem},
        reader::{Table, table, wrong_type},
    },
    workspace::{ChecksPolicy, WorkspaceKind, WorkspacePolicy},
};
use serde_json::Value;
use std::sync::Arc;

const TASK: &[&str] = &[
    "description",
    "agent",
    "prompt",
    "command",
    "workflow",
    "with",
    "approval",
    "needs",
    "when",
    "for-each",
    "delay",
    "output",
    "revise",
    "timeout",
    "retry",
    "priority",
    "on-failure",
    "compensate",
    "concurrency-group",
    "cache",
    "then",
    "workspace",
    "checks",
    "land",
];
const TASK_PLANNED: &[&str] = &[];

/// Reads a mapping of tasks that stands at `at`.
pub(super) fn read_tasks(
    value: &Value,
    at: &str,
    defaults: &Defaults,
    problems: &mut Vec<Problem>,
) -> Vec<TaskSpec> {
    let Some(tasks) = table(value, at, problems) else {
        return Vec::new();
    };
    tasks
        .map
        .iter()
        .enumerate()
        .filter_map(|(place, (name, value))| {
            let at = tasks.pointer(name);
            let name = tasks.keep(name, TaskName::new(name), problems);
            let task = table(value, &at, problems)?;
            let manages = defaults.managed && place == 0;
            Some(read_task(name?, &task, defaults, manages, problems))
        })
        .collect()
}

fn read_task(
    name: TaskName,
    task: &Table<'_>,
    defaults: &Defaults,
    manages: bool,
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
    let defaults = defaults.of(&kind);
    let mut spec = TaskSpec::new(name, kind);
    spec.description = task.text("description", problems).map(str::to_owned);
    spec.needs = needs;
    spec.when = task.text("when", problems).map(str::to_owned);
    spec.for_each = read_for_each(task, problems);
    spec.delay = task.parsed("delay", problems, parse_duration);
    spec.output = output;
    spec.revise = read_revise(task, problems).map(Box::new);
    let timeouts = read_timeouts(task, problems);
    spec.timeout = timeouts.attempt.or(defaults.timeouts.attempt);
    spec.task_timeout = timeouts.task.or(defaults.timeouts.task);
    if matches!(spec.kind, TaskKind::Workflow { .. }) {
        // A child is one attempt: it has no time of its own beside the task's.
        spec.task_timeout = spec.timeout.into_iter().chain(spec.task_timeout).min();
        spec.timeout = None;
    }
    let base: RetryPolicy = defaults.retry.unwrap_or_default();
    spec.retry = read_retry(task, base, problems).unwrap_or(base);
    let priorities = Priority::ALL.map(|priority| (priority.as_str(), priority));
    spec.priority = task.choice("priority", &priorities, problems).unwrap_or_default();
    let policies = [
        ("fail", OnFailure::Fail),
        ("continue", OnFailure::Continue),
        ("compensate", OnFailure::Compensate),
    ];
    spec.on_failure = task.choice("on-failure", &policies, problems).unwrap_or_default();
    spec.compensate = read_compensate(task, problems).map(Box::new);
    spec.concurrency_group = task.text("concurrency-group", problems).map(Box::from);
    spec.cache = read_cache(task, problems).map(Box::new);
    spec.then = read_then(task, problems);
    read_place(&mut spec, task, &defaults, manages, problems);
    spec
}

/// Where it works and what becomes of that. Of the defaults the checks and the landing are for what
/// has commits, and a worktree is not for the task that manages the others: it changes nothing.
fn read_place(
    spec: &mut TaskSpec,
    task: &Table<'_>,
    defaults: &Defaults,
    manages: bool,
    problems: &mut Vec<Problem>,
) {
    let is_worktree = |policy: &Arc<WorkspacePolicy>| policy.kind == WorkspaceKind::Worktree;
    let own = read_workspace(task, problems);
    let usual = defaults.workspace.as_ref().filter(|policy| !(manages && is_worktree(policy)));
    spec.workspace = own.or_else(|| usual.cloned());
    let usual = spec.workspace.as_ref().is_some_and(is_worktree).then_some(defaults);
    spec.checks = match task.get("checks") {
        Some(_) => read_checks(task, problems),
        None => usual.and_then(|defaults| defaults.checks.clone()),
    };
    spec.checks.take_if(|checks| **checks == ChecksPolicy::default());
    spec.land = match task.get("land") {
        Some(_) => read_land(task, problems),
        None => usual.and_then(|defaults| defaults.land.clone()),
    };
}

/// An expression, or a list as it stands, which is kept as its JSON: that is CEL, too.
fn read_for_each(task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    match task.get("for-each")? {
        Value::String(expression) => Some(expression.clone()),
        list @ Value::Array(_) => Some(list.to_string()),
        other => {
            let expected = "an expression that gives a list, or a list,";
            problems.push(wrong_type(&task.pointer("for-each"), expected, other));
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
