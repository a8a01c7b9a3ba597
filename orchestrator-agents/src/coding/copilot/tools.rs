//! The tools of Copilot CLI.

use crate::coding::{
    event::{Action, ActionKind},
    told::{brief, host},
};
use serde_json::Value;

/// What the call of `tool` with `input` does.
pub(super) fn action(tool: &str, input: &Value) -> Action {
    let kind = match tool {
        "bash" | "powershell" | "write_bash" | "write_powershell" => ActionKind::Run,
        "create" | "edit" | "str_replace_editor" | "apply_patch" => ActionKind::Edit,
        "view" | "grep" | "glob" | "rg" | "read_bash" | "list_bash" => ActionKind::Read,
        "web_fetch" | "fetch" | "web_search" => ActionKind::Network,
        _ => ActionKind::Other,
    };
    let named = |name: &str| input.get(name).and_then(Value::as_str).map(str::to_owned);
    let command = named("command").filter(|_| kind == ActionKind::Run);
    let paths: Vec<String> = named("path").into_iter().collect();
    let hosts: Vec<String> = named("url").and_then(|url| host(&url)).into_iter().collect();
    let summary = match command.as_ref().or(paths.first()).or(hosts.first()) {
        Some(about) => brief(&format!("{tool} {about}")),
        None => tool.to_owned(),
    };
    Action { tool: tool.to_owned(), kind, paths, command, hosts, summary }
}
