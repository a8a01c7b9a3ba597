//! Tools and texts in the words of the protocol.

use crate::coding::{
    event::{Action, ActionKind},
    told::{brief, host},
};
use agent_client_protocol_schema::v1::{
    ContentBlock, ToolCallContent, ToolCallLocation, ToolCallUpdateFields, ToolKind,
};
use serde_json::{Value, json};

/// What is known of a tool's call so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    kind: Option<ToolKind>,
    name: Option<String>,
    title: Option<String>,
    input: Value,
    locations: Vec<ToolCallLocation>,
    content: Vec<ToolCallContent>,
    output: Value,
}

impl Call {
    /// Takes over what an update says.
    pub(super) fn update(&mut self, fields: ToolCallUpdateFields) {
        self.kind = fields.kind.or(self.kind);
        self.name = fields.name.or(self.name.take());
        self.title = fields.title.or(self.title.take());
        if let Some(input) = fields.raw_input {
            self.input = input;
        }
        if let Some(locations) = fields.locations.filter(|locations| !locations.is_empty()) {
            self.locations = locations;
        }
        if let Some(content) = fields.content.filter(|content| !content.is_empty()) {
            self.content = content;
        }
        if let Some(output) = fields.raw_output {
            self.output = output;
        }
    }

    pub(super) fn input(&self) -> Value {
        self.input.clone()
    }

    /// What the call does.
    pub(super) fn action(&self) -> Action {
        let kind = match self.kind {
            Some(ToolKind::Read | ToolKind::Search) => ActionKind::Read,
            Some(ToolKind::Edit | ToolKind::Delete | ToolKind::Move) => ActionKind::Edit,
            Some(ToolKind::Execute) => ActionKind::Run,
            Some(ToolKind::Fetch) => ActionKind::Network,
            _ => ActionKind::Other,
        };
        let title = self.title.clone().unwrap_or_default();
        let tool = self.name.clone().unwrap_or_else(|| match kind {
            ActionKind::Read => "read".into(),
            ActionKind::Edit => "edit".into(),
            ActionKind::Run => "run".into(),
            ActionKind::Network => "fetch".into(),
            ActionKind::Other => brief(&title),
        });
        let command = (kind == ActionKind::Run).then(|| self.command(&title)).flatten();
        let summary = command.clone().unwrap_or_else(|| title.clone());
        let summary = if summary.is_empty() { tool.clone() } else { brief(&summary) };
        Action { tool, kind, paths: self.paths(), command, hosts: self.hosts(), summary }
    }

    /// The command line: what the input says, and else the title, which is the command in the
    /// programs that give no input.
    fn command(&self, title: &str) -> Option<String> {
        let command = match self.input.get("command") {
            Some(Value::String(command)) => command.clone(),
            Some(Value::Array(words)) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                match words[..] {
                    [_, "-c" | "-lc", script] => script.to_owned(),
                    _ => words.join(" "),
                }
            }
            _ => title.to_owned(),
        };
        Some(command).filter(|command| !command.is_empty())
    }

    fn paths(&self) -> Vec<String> {
        let located = self.locations.iter().map(|place| place.path.display().to_string());
        let changed = self.content.iter().filter_map(|content| match content {
            ToolCallContent::Diff(diff) => Some(diff.path.display().to_string()),
            _ => None,
        });
        let mut paths: Vec<String> = located.chain(changed).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    fn hosts(&self) -> Vec<String> {
        let url = self.input.get("url").and_then(Value::as_str);
        url.and_then(host).into_iter().collect()
    }

    /// What it left: what the program says of it, or else the texts and the changed files.
    pub(super) fn output(&self) -> Value {
        if !self.output.is_null() {
            return self.output.clone();
        }
        let parts = self.content.iter().filter_map(|content| match content {
            ToolCallContent::Content(content) => text(&content.content).map(Value::from),
            ToolCallContent::Diff(diff) => Some(json!({ "changed": diff.path })),
            _ => None,
        });
        let mut parts: Vec<Value> = parts.collect();
        match parts.len() {
            0 => Value::Null,
            1 => parts.remove(0),
            _ => Value::Array(parts),
        }
    }
}

/// The text of a block; none of what is no text.
pub(super) fn text(block: &ContentBlock) -> Option<&str> {
    match block {
        ContentBlock::Text(text) => Some(&text.text),
        _ => None,
    }
}
