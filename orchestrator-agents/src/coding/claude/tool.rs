//! What Claude Code's tools do.

use super::super::{Action, ActionKind, told};
use serde_json::Value;

/// What `tool` does with `input`. Tools of MCP servers, and those that are not known, are told by
/// their names alone.
pub(super) fn action(tool: &str, input: &Value) -> Action {
    let text = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let paths = || ["file_path", "notebook_path", "path"].into_iter().filter_map(text);
    let action = match tool {
        "Bash" | "PowerShell" | "Monitor" => {
            let action = Action::new(tool, ActionKind::Run);
            Action { command: text("command").map(str::to_owned), ..action }
        }
        "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => {
            Action::new(tool, ActionKind::Edit).on(paths())
        }
        "Read" | "Grep" | "LS" => Action::new(tool, ActionKind::Read).on(paths()),
        "Glob" => {
            let place = text("path").or_else(|| text("pattern"));
            Action::new(tool, ActionKind::Read).on(place)
        }
        "WebFetch" => {
            let host = text("url").and_then(told::host);
            Action::new(tool, ActionKind::Network).reaching(host)
        }
        "WebSearch" => Action::new(tool, ActionKind::Network),
        _ => Action::new(tool, ActionKind::Other),
    };
    let why = ["description", "url", "query", "prompt"].into_iter().find_map(text);
    action.because(why.map(told::brief).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(tool: &str, input: Value, kind: ActionKind, headline: &str) {
        let action = action(tool, &input);
        assert_eq!((action.kind, action.headline().as_str()), (kind, headline), "{tool} {input}");
    }

    #[test]
    fn tools_are_told_by_what_they_do() {
        let command = json!({ "command": "cargo  test", "description": "Run the tests" });
        check("Bash", command, ActionKind::Run, "run `cargo test` with Bash");
        check("Bash", json!({}), ActionKind::Run, "run with Bash");
        check("Write", json!({ "file_path": "/w/a" }), ActionKind::Edit, "edit `/w/a` with Write");
        let notebook = json!({ "notebook_path": "n.ipynb" });
        check("NotebookEdit", notebook, ActionKind::Edit, "edit `n.ipynb` with NotebookEdit");
        check("Read", json!({ "file_path": "b" }), ActionKind::Read, "read `b` with Read");
        check(
            "Glob",
            json!({ "pattern": "**/*.rs" }),
            ActionKind::Read,
            "read `**/*.rs` with Glob",
        );
        let page = json!({ "url": "https://me@docs.rs:8443/a?b", "prompt": "p" });
        check("WebFetch", page, ActionKind::Network, "network `docs.rs:8443` with WebFetch");
        check(
            "WebSearch",
            json!({ "query": "q" }),
            ActionKind::Network,
            "network `q` with WebSearch",
        );
        check(
            "mcp__tickets__close",
            json!({}),
            ActionKind::Other,
            "other with mcp__tickets__close",
        );
    }

    #[test]
    fn an_input_of_any_shape_is_taken() {
        for input in [json!(null), json!([1]), json!("x"), json!({ "command": 1, "url": {} })] {
            for tool in ["Bash", "Write", "Glob", "WebFetch", "Task", ""] {
                assert_eq!(action(tool, &input).tool, tool);
            }
        }
    }
}
