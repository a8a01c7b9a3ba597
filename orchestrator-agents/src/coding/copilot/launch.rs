//! How Copilot CLI is started.

use super::NAME;
use crate::coding::adapter::{Endpoint, Format, Input, Launch, Order, Start};
use orchestrator_core::error::{ErrorClass, Failure};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Its own directory in its home.
const DIRECTORY: &str = ".copilot";
/// What every session is told first.
const INSTRUCTIONS: &str = ".copilot/copilot-instructions.md";
/// Where it says at its end what it used.
const REPORT: &str = ".copilot/orchestrator-usage.json";

pub(super) fn launch(order: &Order) -> Result<Launch, Failure> {
    let invalid = |message: String| Failure::new(ErrorClass::InvalidRequest, message);
    let in_home = |path: &str| {
        let path = order.home.join(path);
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| invalid(format!("{NAME} cannot have a home whose path is not UTF-8")))
    };
    let mut arguments: Vec<String> = [
        "--no-auto-update",
        "--no-color",
        "--no-remote",
        "--no-ask-user",
        "--disable-builtin-mcps",
        "--disable-client-telemetry",
    ]
    .map(str::to_owned)
    .into();
    match order.live {
        // What it wants to do it asks; the session is named in the conversation.
        true => arguments.push("--acp".to_owned()),
        false => arguments.extend(headless(order, in_home(REPORT)?)?),
    }
    arguments.extend(order.arguments.iter().cloned());

    let mut variables = vec![("COPILOT_HOME".to_owned(), in_home(DIRECTORY)?)];
    match &order.endpoint {
        Some(endpoint) => variables.extend(own_key(endpoint, order.model.as_deref())?),
        None => arguments.extend(order.model.iter().map(|model| format!("--model={model}"))),
    }
    let instructions = (!order.instructions.is_empty())
        .then(|| (PathBuf::from(INSTRUCTIONS), order.instructions.clone().into_bytes()));
    Ok(Launch {
        arguments,
        variables,
        without: vec!["COPILOT_ALLOW_ALL"],
        files: instructions.into_iter().collect(),
        input: Input::Dialogue,
        report: (!order.live).then(|| PathBuf::from(REPORT)),
    })
}

/// The arguments for a stream that nobody answers.
fn headless(order: &Order, report: String) -> Result<Vec<String>, Failure> {
    let mut arguments: Vec<String> =
        ["--output-format", "json", "--usage-output-file", &report].map(str::to_owned).into();
    for (allowed, tool) in [(order.reach.edit, "write"), (order.reach.run, "shell")] {
        let flag = if allowed { "--allow-tool" } else { "--deny-tool" };
        arguments.push(format!("{flag}={tool}"));
    }
    if order.reach.network {
        arguments.push("--allow-all-urls".to_owned());
    }
    arguments.push(match &order.start {
        Start::New(id) => format!("--session-id={id}"),
        Start::Resume(id) => format!("--resume={id}"),
        Start::Fork { .. } => {
            let message = format!("{NAME} cannot fork a session");
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
    });
    if !order.mcp.is_empty() {
        let servers: Map<String, Value> = order.mcp.iter().cloned().collect();
        arguments.push(format!("--additional-mcp-config={}", json!({ "mcpServers": servers })));
    }
    Ok(arguments)
}

/// What lets it call models at `endpoint`, without a login.
fn own_key(endpoint: &Endpoint, model: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let invalid = |message: &str| Failure::new(ErrorClass::InvalidRequest, message);
    let Some(model) = model else {
        return Err(invalid("Copilot CLI needs a `model` when it calls through the gateway"));
    };
    let url = &endpoint.url;
    let known = endpoint.formats.iter().find(|format| **format != Format::Gemini);
    let (base, kind, wire) = match known {
        Some(Format::Anthropic) => (format!("{url}/anthropic"), "anthropic", None),
        Some(Format::Responses) => (format!("{url}/openai/v1"), "openai", Some("responses")),
        Some(Format::Chat) => (format!("{url}/openai/v1"), "openai", Some("completions")),
        Some(Format::Gemini) | None => {
            let message = "Copilot CLI cannot call the provider of its model: it speaks Anthropic \
                           Messages and the two formats of OpenAI";
            return Err(invalid(message));
        }
    };
    let set = [
        ("COPILOT_PROVIDER_BASE_URL", base),
        ("COPILOT_PROVIDER_TYPE", kind.to_owned()),
        ("COPILOT_PROVIDER_API_KEY", endpoint.token.expose().to_owned()),
        ("COPILOT_MODEL", model.to_owned()),
        ("COPILOT_OFFLINE", "true".to_owned()),
    ];
    let wire = wire.map(|wire| ("COPILOT_PROVIDER_WIRE_API", wire.to_owned()));
    Ok(set.into_iter().chain(wire).map(|(name, value)| (name.to_owned(), value)).collect())
}
