//! Items: what it did, one after the other. `codex exec` and the app-server tell the same in two
//! spellings.

use super::super::{Action, ActionKind, Event, Outcome, Step, ToolResult, told};
use super::shell;
use serde_json::Value;
use std::collections::BTreeSet;

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Started,
    Completed,
}

/// The items of one process.
#[derive(Debug, Default)]
pub(super) struct Items {
    started: BTreeSet<String>,
    /// The last thing that was said.
    pub(super) said: Option<String>,
    /// What was not allowed, in words.
    pub(super) denied: Vec<String>,
}

impl Items {
    /// What follows from an item. `model` is the one that it works with, as far as that is known.
    pub(super) fn item(&mut self, item: &Value, stage: Stage, model: Option<&str>) -> Vec<Step> {
        let kind = told::text(item, "/type").unwrap_or("unnamed");
        let said = |event| vec![Step::Said(event)];
        match (kind, stage) {
            ("agent_message" | "agentMessage", Stage::Completed) => {
                let Some(text) = told::text(item, "/text").map(str::to_owned) else {
                    return Vec::new();
                };
                self.said = Some(text.clone());
                said(Event::Message { text, model: model.map(str::to_owned) })
            }
            ("reasoning", Stage::Completed) => {
                let thought = thought(item);
                if thought.is_empty() { Vec::new() } else { said(Event::Thought(thought)) }
            }
            // Of itself, not of the work: an unknown model, a transport that was changed.
            ("error", Stage::Completed) => {
                let text = told::text(item, "/message").map(told::brief);
                said(Event::Notice(text.unwrap_or_default()))
            }
            ("plan", Stage::Completed) => {
                let text = told::text(item, "/text").map(told::brief);
                text.map(|text| said(Event::Notice(text))).unwrap_or_default()
            }
            ("contextCompaction", Stage::Completed) => {
                said(Event::Notice("it has shortened its conversation".into()))
            }
            (
                "agent_message" | "agentMessage" | "reasoning" | "error" | "plan"
                | "contextCompaction",
                Stage::Started,
            ) => Vec::new(),
            // A list of what it means to do, what we said, and what it tells itself.
            (
                "todo_list" | "userMessage" | "hookPrompt" | "subAgentActivity" | "sleep"
                | "functionCallOutput" | "enteredReviewMode" | "exitedReviewMode",
                _,
            ) => Vec::new(),
            (kind, stage) => match action(kind, item) {
                Some(action) => self.tool(item, action, stage),
                None if stage == Stage::Started => Vec::new(),
                None => said(Event::Unknown { kind: format!("item/{kind}") }),
            },
        }
    }

    fn tool(&mut self, item: &Value, action: Action, stage: Stage) -> Vec<Step> {
        let id = told::text(item, "/id").unwrap_or_default().to_owned();
        let mut steps = Vec::new();
        if self.started.insert(id.clone()) {
            let (action, input) = (action.clone(), input(item));
            steps.push(Step::Said(Event::ToolStarted { id: id.clone(), action, input }));
        }
        if stage == Stage::Completed {
            self.started.remove(&id);
            let outcome = outcome(item);
            if outcome == Outcome::Denied {
                self.denied.push(action.headline());
            }
            let result = ToolResult { outcome, output: output(item) };
            steps.push(Step::Said(Event::ToolEnded { id, result }));
        }
        steps
    }
}

/// What an item does; none for one that is not known.
pub(super) fn action(kind: &str, item: &Value) -> Option<Action> {
    Some(match kind {
        "command_execution" | "commandExecution" => {
            let command = told::text(item, "/command").map(shell::script);
            Action { command, ..Action::new("shell", ActionKind::Run) }
        }
        "file_change" | "fileChange" => {
            let changes = item.get("changes").and_then(Value::as_array).into_iter().flatten();
            let paths = changes.filter_map(|change| told::text(change, "/path"));
            Action::new("apply_patch", ActionKind::Edit).on(paths)
        }
        "mcp_tool_call" | "mcpToolCall" => {
            let part = |pointer: &str| told::text(item, pointer).unwrap_or("unnamed");
            let name = format!("mcp__{}__{}", part("/server"), part("/tool"));
            Action::new(name, ActionKind::Other)
        }
        "web_search" | "webSearch" => {
            let query = told::text(item, "/query").map(told::brief).unwrap_or_default();
            Action::new("web_search", ActionKind::Network).because(query)
        }
        "imageView" => Action::new("view_image", ActionKind::Read).on(told::text(item, "/path")),
        "dynamicToolCall" | "imageGeneration" | "collab_tool_call" | "collabAgentToolCall" => {
            let name = told::text(item, "/tool").unwrap_or(kind);
            Action::new(name, ActionKind::Other)
        }
        _ => return None,
    })
}

/// What the tool is given.
pub(super) fn input(item: &Value) -> Value {
    ["command", "changes", "arguments", "query", "path", "prompt"]
        .into_iter()
        .find_map(|name| item.get(name))
        .cloned()
        .unwrap_or(Value::Null)
}

fn output(item: &Value) -> Value {
    let kept = ["aggregated_output", "aggregatedOutput", "error", "result", "results"];
    let mut values = kept.into_iter().filter_map(|name| item.get(name));
    values.find(|value| !value.is_null()).cloned().unwrap_or(Value::Null)
}

fn outcome(item: &Value) -> Outcome {
    match told::text(item, "/status") {
        Some("declined") => Outcome::Denied,
        Some("failed") => Outcome::Failed,
        _ if item.get("error").is_some_and(|error| !error.is_null()) => Outcome::Failed,
        _ => Outcome::Done,
    }
}

fn thought(item: &Value) -> String {
    if let Some(text) = told::text(item, "/text") {
        return text.to_owned();
    }
    let parts = |name: &str| -> Vec<&str> {
        let parts = item.get(name).and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(Value::as_str).collect()
    };
    let summary = parts("summary");
    if summary.is_empty() { parts("content").join("\n") } else { summary.join("\n") }
}
