//! How Claude Code is started.

use super::super::{Endpoint, Format, Input, Launch, Order, Reach, Start};
use orchestrator_core::error::{ErrorClass, Failure};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Where its instructions lie in its home. As an argument they would be limited in length and seen
/// by everybody on the machine.
const INSTRUCTIONS: &str = "instructions.md";
/// Where its MCP servers lie in its home.
const SERVERS: &str = "mcp.json";

/// Tools that it is not given: they ask a person at a terminal, wait for a time that is ours to
/// tell, or leave the place where it works.
const TAKEN_AWAY: [&str; 9] = [
    "AskUserQuestion",
    "EnterPlanMode",
    "ExitPlanMode",
    "EnterWorktree",
    "ExitWorktree",
    "CronCreate",
    "CronDelete",
    "CronList",
    "ScheduleWakeup",
];

/// Tools that change files.
const EDIT: [&str; 4] = ["Edit", "MultiEdit", "NotebookEdit", "Write"];
/// Tools that run commands.
const RUN: [&str; 3] = ["Bash", "Monitor", "PowerShell"];
/// Tools that read files.
const READ: [&str; 4] = ["Glob", "Grep", "LS", "Read"];
/// Tools that talk to other hosts.
const NETWORK: [&str; 2] = ["WebFetch", "WebSearch"];

/// Variables that would lead it elsewhere than to the gateway, or show a key that is not its own.
const OTHER_WAYS: [&str; 17] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BETAS",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_VERTEX",
];

/// Variables that tell it that it runs inside of another, or where another's home is.
const INSIDE: [&str; 6] = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SIMPLE",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CONFIG_DIR",
];

pub(super) fn launch(order: &Order) -> Result<Launch, Failure> {
    if order.endpoint.as_ref().is_some_and(|it| !it.formats.contains(&Format::Anthropic)) {
        let message = format!("{} calls models by Anthropic Messages only", super::NAME);
        return Err(Failure::new(ErrorClass::InvalidRequest, message));
    }
    let mut arguments: Vec<String> =
        ["-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages"]
            .map(str::to_owned)
            .into();
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut add = |parts: &[&str]| arguments.extend(parts.iter().map(|part| (*part).to_owned()));
    if order.live {
        add(&["--input-format", "stream-json", "--replay-user-messages"]);
        add(&["--permission-prompt-tool", "stdio"]);
    }
    match &order.start {
        Start::New(id) => add(&["--session-id", id]),
        Start::Resume(id) => add(&["--resume", id]),
        Start::Fork { of, id } => {
            add(&["--resume", of, "--fork-session", "--session-id", id]);
        }
    }
    if let Some(model) = &order.model {
        add(&["--model", model]);
    }
    if !order.instructions.is_empty() {
        let path = path_in(order, INSTRUCTIONS)?;
        add(&["--append-system-prompt-file", &path]);
        files.push((INSTRUCTIONS.into(), order.instructions.clone().into_bytes()));
    }
    if let Some(schema) = &order.schema {
        add(&["--json-schema", &schema.to_string()]);
    }
    // Not those of the project: they may hold commands that are run unasked, another address for
    // the gateway, and permissions. Its CLAUDE.md is read all the same, as that of a directory
    // that is added.
    add(&["--setting-sources", "user", "--add-dir", text(&order.directory)?]);
    add(&["--strict-mcp-config"]);
    if !order.mcp.is_empty() {
        let path = path_in(order, SERVERS)?;
        add(&["--mcp-config", &path]);
        let servers: Map<String, Value> = order.mcp.iter().cloned().collect();
        files.push((SERVERS.into(), json!({ "mcpServers": servers }).to_string().into_bytes()));
    }
    let mode = if order.reach.edit { "acceptEdits" } else { "manual" };
    add(&["--permission-mode", mode]);
    add(&["--settings", &json!({ "permissions": rules(order) }).to_string()]);
    add(&["--disallowedTools", &TAKEN_AWAY.join(",")]);
    arguments.extend(order.arguments.iter().cloned());
    Ok(Launch {
        arguments,
        variables: variables(order),
        without: without(order),
        files,
        input: Input::Dialogue,
        report: None,
    })
}

/// What it may do, and what it asks for. Without such a rule it runs commands unasked that it takes
/// for harmless, and fetches from hosts that it knows. A program that is not to ask is denied what
/// it would ask for.
fn rules(order: &Order) -> Value {
    let (mut allow, mut ask): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let kinds = [
        (order.reach.edit, &EDIT[..]),
        (order.reach.run, &RUN[..]),
        (order.reach.network, &NETWORK[..]),
    ];
    for (may, tools) in kinds {
        let rules = if may { &mut allow } else { &mut ask };
        rules.extend(tools.iter().map(|tool| (*tool).to_owned()));
    }
    // Where nothing is in reach as a whole, there may be rules for what is read, too.
    if order.live && order.reach == Reach::default() {
        ask.extend(READ.map(str::to_owned));
    }
    // Edits in its directory are allowed by the mode, those elsewhere are asked for.
    allow.retain(|rule| !EDIT.contains(&rule.as_str()));
    // Nobody could allow them, and they were given to it to be used.
    if !order.live {
        allow.extend(order.mcp.iter().map(|(name, _)| format!("mcp__{name}")));
    }
    json!({ "allow": allow, "ask": ask })
}

fn variables(order: &Order) -> Vec<(String, String)> {
    let mut variables: Vec<(&str, String)> = vec![
        ("CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD", "1".into()),
        // What it left running in the background would not be waited for.
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1".into()),
        ("CLAUDE_CODE_DISABLE_CRON", "1".into()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
        ("DISABLE_AUTOUPDATER", "1".into()),
        ("DISABLE_ERROR_REPORTING", "1".into()),
        ("DISABLE_TELEMETRY", "1".into()),
    ];
    if !order.mcp.is_empty() {
        // Else it looks for tools by a tool, and those of MCP servers are not offered.
        variables.push(("ENABLE_TOOL_SEARCH", "false".into()));
    }
    match &order.endpoint {
        Some(Endpoint { url, token, .. }) => {
            variables
                .push(("ANTHROPIC_BASE_URL", format!("{}/anthropic", url.trim_end_matches('/'))));
            variables.push(("ANTHROPIC_AUTH_TOKEN", token.expose().to_owned()));
            // The gateway tries again by itself, and we afterwards.
            variables.push(("CLAUDE_CODE_MAX_RETRIES", "1".into()));
            // Small questions of its own go to the model that it was given, which the gateway has.
            if let Some(model) = order.model.as_ref().filter(|model| model.contains('-')) {
                variables.push(("ANTHROPIC_DEFAULT_HAIKU_MODEL", model.clone()));
            }
        }
        None => variables.push(("CLAUDE_CODE_MAX_RETRIES", "3".into())),
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn without(order: &Order) -> Vec<&'static str> {
    let mut without = INSIDE.to_vec();
    if order.endpoint.is_some() {
        without.extend(OTHER_WAYS);
    }
    without
}

fn path_in(order: &Order, name: &str) -> Result<String, Failure> {
    text(&order.home.join(name)).map(str::to_owned)
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        let message =
            format!("the path `{}` is no UTF-8, which {} needs", path.display(), super::NAME);
        Failure::new(ErrorClass::InvalidRequest, message)
    })
}
