//! How Gemini CLI is started.

use super::{NAME, tools};
use crate::coding::adapter::{Input, Launch, Order, Reach, Start};
use orchestrator_core::error::{ErrorClass, Failure};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Where its settings are in its home.
const SETTINGS: &str = ".gemini/settings.json";
/// What every session is told first.
const MEMORY: &str = ".gemini/GEMINI.md";
/// What it may do.
const POLICY: &str = ".gemini/orchestrator-policy.toml";
/// Its own policies are below this.
const PRIORITY: u32 = 900;

pub(super) fn launch(order: &Order) -> Result<Launch, Failure> {
    let mut arguments: Vec<String> = match order.live {
        // What it wants to do it asks; the session is named in the conversation.
        true => ["--acp", "--approval-mode", "default"].map(str::to_owned).into(),
        false => headless(order)?,
    };
    if let Some(model) = &order.model {
        arguments.extend(["--model".to_owned(), model.clone()]);
    }
    arguments.extend(order.arguments.iter().cloned());

    let mut variables: Vec<(String, String)> = [
        ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        // Else it starts itself again as a child.
        ("GEMINI_CLI_NO_RELAUNCH", "true"),
        ("NO_COLOR", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let Some(endpoint) = &order.endpoint {
        let token = endpoint.token.expose().to_owned();
        variables.push(("GOOGLE_GEMINI_BASE_URL".into(), format!("{}/gemini", endpoint.url)));
        variables.push(("GEMINI_API_KEY".into(), token));
    }
    let mut files = vec![
        (PathBuf::from(SETTINGS), settings(order).to_string().into_bytes()),
        (PathBuf::from(POLICY), rules(order.reach).into_bytes()),
    ];
    if !order.instructions.is_empty() {
        files.push((PathBuf::from(MEMORY), order.instructions.clone().into_bytes()));
    }
    Ok(Launch {
        arguments,
        variables,
        without: vec!["GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_CLOUD_PROJECT"],
        files,
        input: Input::Dialogue,
        report: None,
    })
}

/// The arguments for a stream that nobody answers.
fn headless(order: &Order) -> Result<Vec<String>, Failure> {
    let invalid = |message: String| Failure::new(ErrorClass::InvalidRequest, message);
    let policy = order.home.join(POLICY);
    let Some(policy) = policy.to_str() else {
        return Err(invalid(format!("{NAME} cannot have a home whose path is not UTF-8")));
    };
    // The policy takes away again what is not in reach.
    let mode = if order.reach == Reach::default() { "default" } else { "yolo" };
    let (flag, session) = match &order.start {
        Start::New(id) => ("--session-id", id),
        Start::Resume(id) => ("--resume", id),
        Start::Fork { .. } => return Err(invalid(format!("{NAME} cannot fork a session"))),
    };
    let words = ["--output-format", "stream-json", "--approval-mode", mode, "--policy", policy];
    Ok(words.into_iter().chain([flag, session]).map(str::to_owned).collect())
}

/// Its settings: no statistics, no update, and one try, since failed work is tried again here.
fn settings(order: &Order) -> Value {
    let mut settings = json!({
        "privacy": { "usageStatisticsEnabled": false },
        "general": { "enableAutoUpdate": false, "maxAttempts": 1 },
    });
    let login = if order.endpoint.is_some() { "gemini-api-key" } else { "oauth-personal" };
    settings["security"] = json!({ "auth": { "selectedType": login } });
    if !order.mcp.is_empty() {
        let servers: Map<String, Value> = order.mcp.iter().cloned().collect();
        settings["mcpServers"] = Value::Object(servers);
    }
    settings
}

/// The policy of what is in reach.
fn rules(reach: Reach) -> String {
    [(reach.edit, &tools::EDIT[..]), (reach.run, &tools::RUN), (reach.network, &tools::NETWORK)]
        .into_iter()
        .map(|(allowed, tools)| {
            let decision = if allowed { "allow" } else { "deny" };
            let tools = json!(tools);
            format!(
                "[[rule]]\ntoolName = {tools}\ndecision = \"{decision}\"\npriority = {PRIORITY}\n\n"
            )
        })
        .collect()
}
