//! Every expression of a task: that it can be read, and that it sees what it names.

use super::{
    at::At,
    view::{Sight, View},
};
use crate::{
    expr,
    task::{TaskKind, TaskSpec, Then},
    workflow::problem::{self as code, Problem, did_you_mean},
};
use serde_json::{Map, Value};

/// Checks the expressions of the task at `place`.
pub(super) fn check_task(
    sight: &Sight<'_>,
    place: usize,
    task: &TaskSpec,
    problems: &mut Vec<Problem>,
) {
    let at = At::Task(&task.name);
    let has_item = task.for_each.is_some();
    let work = sight.before(place).with_item(has_item);
    check_kind(&work, &at, &task.kind, problems);
    let before = sight.before(place);
    if let Some(when) = &task.when {
        check_condition(&before, &at.key("when"), when, problems);
    }
    if let Some(list) = &task.for_each {
        check_list(&before, &at.key("for-each"), list, problems);
    }
    if task.revise.is_some() {
        check_revise(sight, place, task, problems);
    }
    if let Some(undo) = &task.compensate {
        let after = sight.after(place).with_item(has_item);
        check_kind(&after, &at.key("compensate"), undo, problems);
    }
    if let Some(group) = &task.concurrency_group {
        check_text(&sight.of_inputs(), &at.key("concurrency-group"), group, problems);
    }
    if let Some(key) = task.cache.as_ref().and_then(|cache| cache.key.as_ref()) {
        check_text(&work, &at.key("cache").key("key"), key, problems);
    }
    check_then(sight, &task.then, &at.key("then"), Some(place), problems);
}

/// Checks what is started then: after the task at `place`, or after all.
pub(super) fn check_then(
    sight: &Sight<'_>,
    then: &[Then],
    at: &At<'_>,
    place: Option<usize>,
    problems: &mut Vec<Problem>,
) {
    for (index, then) in then.iter().enumerate() {
        let at = at.item(index);
        let view = match place {
            Some(place) => sight.after(place),
            None => sight.at_the_end(),
        };
        check_name(&at.key("workflow"), &then.workflow, problems);
        check_with(&view.with_status(), &at.key("with"), &then.with, problems);
    }
}

fn check_kind(view: &View<'_, '_>, at: &At<'_>, kind: &TaskKind, problems: &mut Vec<Problem>) {
    match kind {
        TaskKind::Agent { prompt, .. } => check_text(view, &at.key("prompt"), prompt, problems),
        TaskKind::Command { command } => {
            let at = at.key("command");
            for (index, text) in command.iter().enumerate() {
                check_text(view, &at.item(index), text, problems);
            }
        }
        TaskKind::Workflow { workflow, with } => {
            check_name(&at.key("workflow"), workflow, problems);
            check_with(view, &at.key("with"), with, problems);
        }
        TaskKind::Approval { message, .. } => {
            let at = at.key("approval");
            check_text(view, &at.key("message"), message, problems);
        }
    }
}

/// The definition is pinned before the run starts, so its name cannot depend on the run.
fn check_name(at: &At<'_>, name: &str, problems: &mut Vec<Problem>) {
    if name.trim().is_empty() {
        problems.push(Problem::new(
            code::INVALID_VALUE,
            &at.pointer(),
            "the name of a workflow is empty",
        ));
    } else if name.contains("{{") {
        let message = "a workflow is named as it is: nothing is filled in here";
        problems.push(Problem::new(code::INVALID_VALUE, &at.pointer(), message));
    }
}

fn check_with(
    view: &View<'_, '_>,
    at: &At<'_>,
    with: &Map<String, Value>,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in with {
        check_value(view, &at.key(key), value, problems);
    }
}

fn check_value(view: &View<'_, '_>, at: &At<'_>, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) => check_text(view, at, text, problems),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_value(view, &at.item(index), item, problems);
            }
        }
        Value::Object(map) => check_with(view, at, map, problems),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_text(view: &View<'_, '_>, at: &At<'_>, text: &str, problems: &mut Vec<Problem>) {
    if !text.contains("{{") {
        return;
    }
    match expr::paths(text) {
        Err(error) => {
            problems.push(Problem::new(code::EXPRESSION, &at.pointer(), error.to_string()))
        }
        Ok(paths) => {
            problems.extend(paths.into_iter().filter_map(|path| match path[..] {
                // A text has no type names, and a whole mapping of inputs says nothing.
                [name] if name != "item" && name != "index" => Some(Problem::new(
                    code::EXPRESSION,
                    &at.pointer(),
                    format!("`{name}` is not a path such as `inputs.NAME` or `tasks.NAME.output`"),
                )),
                _ => view.check_path(at, &path),
            }));
        }
    }
}

fn check_condition(
    view: &View<'_, '_>,
    at: &At<'_>,
    expression: &str,
    problems: &mut Vec<Problem>,
) {
    match expr::references(expression) {
        Err(error) => problems.push(
            Problem::new(code::EXPRESSION, &at.pointer(), error.to_string())
                .suggest(view.dashed(expression)),
        ),
        Ok(paths) => {
            let found = expr::tasks_in(expression);
            problems.extend(paths.iter().filter_map(|path| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let mut problem =
                    view.check_path(at, &path).or_else(|| unseen(at, &path, &found))?;
                if let Some(advice) = view.dashed(expression) {
                    problem.suggestion = Some(advice);
                }
                Some(problem)
            }));
        }
    }
}

/// A run looks a task up by how it is written; one that is written in another way would be missing.
fn unseen(at: &At<'_>, path: &[&str], found: &[String]) -> Option<Problem> {
    let ["tasks", name, ..] = path else {
        return None;
    };
    if found.iter().any(|known| known == name) {
        return None;
    }
    let message = format!("the task `{name}` is named in a way that is not understood");
    let advice = format!("write `tasks[\"{name}\"]`");
    Some(Problem::new(code::EXPRESSION, &at.pointer(), message).suggest(Some(advice)))
}

fn check_list(view: &View<'_, '_>, at: &At<'_>, expression: &str, problems: &mut Vec<Problem>) {
    match expr::constant_list(expression) {
        Some(Ok(_)) => {}
        Some(Err(error)) => {
            problems.push(Problem::new(code::EXPRESSION, &at.pointer(), error.to_string()));
        }
        None => check_condition(view, at, expression, problems),
    }
}

fn check_revise(sight: &Sight<'_>, place: usize, task: &TaskSpec, problems: &mut Vec<Problem>) {
    let Some(revise) = &task.revise else {
        return;
    };
    let task_at = At::Task(&task.name);
    let at = task_at.key("revise");
    check_condition(&sight.after(place), &at.key("unless"), &revise.unless, problems);
    let target = revise.task.as_str();
    let is_before = match sight.place(target) {
        Some(target) => sight.before(place).sees(target),
        // Of the tasks that the run has already, only what is needed surely comes before.
        None => {
            let needs = |place: usize| sight.task(place).needs.contains(&revise.task);
            (sight.elsewhere)(target)
                && (needs(place) || sight.graph.upstream(place).into_iter().any(needs))
        }
    };
    if !is_before {
        let upstream = sight.graph.upstream(place);
        problems.push(
            Problem::new(
                code::REVISE_TARGET,
                &at.key("task").pointer(),
                format!("`{}` does not need `{target}`", task.name),
            )
            .suggest(did_you_mean(target, upstream.into_iter().map(|place| sight.name(place)))),
        );
    }
}
