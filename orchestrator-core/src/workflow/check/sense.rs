//! Keys that make no sense together.

use super::task_pointer;
use crate::{
    task::{OnFailure, TaskKind, TaskSpec},
    workflow::problem::{self as code, Problem, join},
};

/// Checks that what `task` declares goes with what it asks for.
pub(super) fn check(task: &TaskSpec, problems: &mut Vec<Problem>) {
    let mut misfit = |key: &str, message: &str, advice: Option<&str>| {
        let at = join(&task_pointer(&task.name), key);
        problems.push(Problem::new(code::TASK_KEY, &at, message).suggest(advice));
    };
    match &task.kind {
        TaskKind::Agent { .. } => {}
        TaskKind::Command { .. } => {
            if task.cache.as_ref().is_some_and(|cache| cache.responses.is_some()) {
                misfit(
                    "cache",
                    "a program asks no model whose answers could be kept",
                    Some("keep its result with `ttl`"),
                );
            }
        }
        TaskKind::Workflow { .. } => {
            if task.output.is_some() {
                misfit(
                    "output",
                    "a child workflow leaves the output of its last tasks",
                    Some("declare `output` there"),
                );
            }
            if task.cache.is_some() {
                misfit(
                    "cache",
                    "a child workflow is a run of its own and is not cached as a whole",
                    Some("declare `cache` at its tasks"),
                );
            }
            if task.retry.never_repeat {
                misfit(
                    "retry",
                    "a child workflow takes over what it had done, so that nothing is repeated",
                    Some("declare `never-repeat` at its tasks"),
                );
            }
        }
        TaskKind::Approval { .. } => {
            for (key, is_there) in [
                ("output", task.output.is_some()),
                ("cache", task.cache.is_some()),
                ("compensate", task.compensate.is_some()),
                ("concurrency-group", task.concurrency_group.is_some()),
            ] {
                if is_there {
                    let message = format!("an approval waits for a person and takes no `{key}`");
                    misfit(key, &message, None);
                }
            }
        }
    }
    if task.for_each.is_some() && task.revise.is_some() {
        misfit(
            "revise",
            "a `for-each` task has one answer for each item and cannot judge",
            Some("let a task that needs this one judge"),
        );
    }
    if let Some(TaskKind::Workflow { .. } | TaskKind::Approval { .. }) = task.compensate.as_deref()
    {
        misfit("compensate", "only an agent or a command can undo a task", None);
    }
}

/// Checks that there is something to undo where a failure asks for it.
pub(super) fn check_undoing(tasks: &[TaskSpec], problems: &mut Vec<Problem>) {
    if tasks.iter().any(|task| task.compensate.is_some()) {
        return;
    }
    for task in tasks.iter().filter(|task| task.on_failure == OnFailure::Compensate) {
        problems.push(
            Problem::new(
                code::TASK_KEY,
                &join(&task_pointer(&task.name), "on-failure"),
                "no task of this workflow declares how it is undone",
            )
            .suggest(Some("give the tasks before it a `compensate`, or write `fail`")),
        );
    }
}
