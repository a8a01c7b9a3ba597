//! The tools of Gemini CLI.

use crate::coding::{
    adapter::Reach,
    event::{Action, ActionKind},
    told::{brief, host},
};
use serde_json::Value;

/// Those that change files.
pub(super) const EDIT: [&str; 3] = ["write_file", "replace", "edit"];

/// Those that run commands.
pub(super) const RUN: [&str; 1] = ["run_shell_command"];

/// Those that talk to other hosts.
pub(super) const NETWORK: [&str; 2] = ["web_fetch", "google_web_search"];

/// Those that only look.
const READ: [&str; 7] = [
    "read_file",
    "read_many_files",
    "list_directory",
    "glob",
    "grep_search",
    "search_file_content",
    "ls",
];

/// What the call of `tool` with `input` does.
pub(super) fn action(tool: &str, input: &Value) -> Action {
    let kind = kind(tool);
    let named = |name: &str| input.get(name).and_then(Value::as_str).map(str::to_owned);
    let command = named("command").filter(|_| kind == ActionKind::Run);
    let paths: Vec<String> =
        ["file_path", "path", "dir_path", "absolute_path"].into_iter().filter_map(named).collect();
    let host = named("url").and_then(|url| host(&url));
    let about = command.as_ref().or(paths.first()).or(host.as_ref());
    let summary = match about {
        Some(about) => format!("{tool} {about}"),
        None => tool.to_owned(),
    };
    Action {
        tool: tool.to_owned(),
        kind,
        paths,
        command,
        hosts: host.into_iter().collect(),
        summary: brief(&summary),
    }
}

fn kind(tool: &str) -> ActionKind {
    let among = |tools: &[&str]| tools.contains(&tool);
    match () {
        () if among(&EDIT) => ActionKind::Edit,
        () if among(&RUN) => ActionKind::Run,
        () if among(&NETWORK) => ActionKind::Network,
        () if among(&READ) => ActionKind::Read,
        () => ActionKind::Other,
    }
}

/// Whether `tool` was taken away by `reach`.
pub(super) fn is_out_of(reach: Reach, tool: &str) -> bool {
    match kind(tool) {
        ActionKind::Edit => !reach.edit,
        ActionKind::Run => !reach.run,
        ActionKind::Network => !reach.network,
        ActionKind::Read | ActionKind::Other => false,
    }
}
