//! Reads what a task asks for: an agent, a program, another workflow or a person.

use crate::{
    id::TaskName,
    task::TaskKind,
    time::parse_duration,
    workflow::{
        problem::{self as code, Problem},
        reader::{Table, table, wrong_type},
    },
};
use serde_json::{Map, Value};

/// The keys that tell what a task asks for.
const KINDS: [&str; 4] = ["agent", "command", "workflow", "approval"];

/// Keys that go with some kinds of tasks alone. Defaults may stand behind a task's `timeout` and
/// `retry`, so only here is it known who wrote them.
const KEYS: [(&str, &[&str]); 7] = [
    ("prompt", &["agent"]),
    ("with", &["workflow"]),
    ("timeout", &["agent", "command", "workflow"]),
    // A child's own tasks are tried again; the child as a whole has done that when it fails.
    ("retry", &["agent", "command"]),
    ("workspace", &["agent", "command"]),
    ("checks", &["agent", "command"]),
    ("land", &["agent", "command"]),
];

pub(super) fn read_kind(
    name: &TaskName,
    task: &Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<TaskKind> {
    let given: Vec<&str> = KINDS.into_iter().filter(|key| task.get(key).is_some()).collect();
    let [kind] = given[..] else {
        let message = if given.is_empty() {
            format!(
                "the task `{name}` asks for nothing: give it an `agent`, a `command`, a `workflow` \
                 or an `approval`"
            )
        } else {
            format!("the task `{name}` has {}: keep exactly one of them", given.join(" and "))
        };
        problems.push(Problem::new(code::TASK_KIND, &task.at, message));
        return None;
    };
    for (key, kinds) in KEYS {
        if task.get(key).is_some() && !kinds.contains(&kind) {
            let with: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
            let mut problem = Problem::new(
                code::TASK_KEY,
                &task.pointer(key),
                format!("`{key}` goes with {}, not with `{kind}`", with.join(", ")),
            );
            if (kind, key) == ("approval", "timeout") {
                problem = problem.suggest(Some("give the approval an `expires-in`"));
            }
            problems.push(problem);
        }
    }
    match kind {
        "agent" => read_agent(task, &format!("the task `{name}`"), problems),
        "command" => read_command(task, problems),
        "workflow" => {
            let workflow = task.text("workflow", problems)?.to_owned();
            Some(TaskKind::Workflow { workflow, with: Box::new(read_with(task, problems)) })
        }
        _ => read_approval(task, problems),
    }
}

fn read_agent(task: &Table<'_>, what: &str, problems: &mut Vec<Problem>) -> Option<TaskKind> {
    let agent = task.text("agent", problems)?.to_owned();
    let prompt = task.text("prompt", problems).unwrap_or_default().to_owned();
    if prompt.is_empty() && task.get("prompt").is_none() {
        let message = format!("{what} has an agent but no `prompt`");
        problems.push(Problem::new(code::MISSING_KEY, &task.at, message));
    }
    Some(TaskKind::Agent { agent, prompt })
}

fn read_command(task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<TaskKind> {
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
    Some(TaskKind::Command { command })
}

/// A text is the message; a mapping may say more.
fn read_approval(task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<TaskKind> {
    let at = task.pointer("approval");
    match task.get("approval")? {
        Value::String(message) => {
            Some(TaskKind::Approval { message: message.clone(), expires_in: None })
        }
        value @ Value::Object(_) => {
            let approval = table(value, &at, problems)?;
            approval.check_keys(&["message", "expires-in"], &[], problems);
            let message = approval.required_text("message", problems).unwrap_or_default().into();
            let expires_in = approval.parsed("expires-in", problems, parse_duration);
            Some(TaskKind::Approval { message, expires_in })
        }
        other => {
            let expected = "the message, or a mapping with `message` and `expires-in`,";
            problems.push(wrong_type(&at, expected, other));
            Some(TaskKind::Approval { message: String::new(), expires_in: None })
        }
    }
}

/// The inputs of another workflow.
pub(super) fn read_with(owner: &Table<'_>, problems: &mut Vec<Problem>) -> Map<String, Value> {
    owner
        .get("with")
        .and_then(|value| table(value, &owner.pointer("with"), problems))
        .map(|with| with.map.clone())
        .unwrap_or_default()
}

/// What undoes a task: an agent with its prompt, or a program.
pub(super) fn read_compensate(task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<TaskKind> {
    let undo = table(task.get("compensate")?, &task.pointer("compensate"), problems)?;
    undo.check_keys(&["agent", "prompt", "command"], &[], problems);
    match (undo.get("agent").is_some(), undo.get("command").is_some()) {
        (true, false) => read_agent(&undo, "the `compensate`", problems),
        (false, true) => {
            if undo.get("prompt").is_some() {
                problems.push(Problem::new(
                    code::TASK_KEY,
                    &undo.pointer("prompt"),
                    "`prompt` goes with `agent`, not with `command`",
                ));
            }
            read_command(&undo, problems)
        }
        (both, _) => {
            let message = if both {
                "a `compensate` has agent and command: keep exactly one of them"
            } else {
                "a `compensate` asks for nothing: give it an `agent` or a `command`"
            };
            problems.push(Problem::new(code::TASK_KIND, &undo.at, message));
            None
        }
    }
}
