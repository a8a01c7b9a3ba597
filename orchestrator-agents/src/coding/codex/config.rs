//! Its settings, which are a file in its home: as arguments they would be seen by everybody on the
//! machine, and each of its forms takes other arguments.

use super::super::{Endpoint, Order, Reach};
use serde_json::Value;
use toml::{Table, Value as Toml};

/// The variable in which it finds the token of the attempt.
pub(super) const KEY: &str = "ORCHESTRATOR_ATTEMPT_TOKEN";

/// What of it would call other hosts, leave something running, or wait without end.
const OFF: [&str; 12] = [
    "apps",
    "browser_use",
    "computer_use",
    "daemon_auto_start",
    "enable_request_compression",
    "goals",
    "image_generation",
    "multi_agent",
    "plugins",
    "remote_plugin",
    "tool_suggest",
    "unbounded_connection_retries",
];

/// The file.
pub(super) fn config(order: &Order) -> Table {
    let mut config = Table::new();
    let mut set = |name: &str, value: Toml| {
        config.insert(name.to_owned(), value);
    };
    if let Some(model) = &order.model {
        set("model", model.clone().into());
    }
    if !order.instructions.is_empty() {
        set("developer_instructions", order.instructions.clone().into());
    }
    // One that asks is told when with its thread: the file takes no `untrusted`.
    set("approval_policy", if order.live { "on-request" } else { approvals(order) }.into());
    set("sandbox_mode", sandbox(order).into());
    let network = Table::from_iter([("network_access".to_owned(), order.reach.network.into())]);
    set("sandbox_workspace_write", network.into());
    set("web_search", if order.reach.network { "live" } else { "disabled" }.into());
    set("check_for_update_on_startup", false.into());
    set("analytics", Table::from_iter([("enabled".to_owned(), false.into())]).into());
    let nothing = Table::from_iter([("persistence".to_owned(), "none".into())]);
    set("history", nothing.into());
    set("features", features(order).into());
    if let Some(endpoint) = &order.endpoint {
        set("model_provider", "orchestrator".into());
        let provider = Table::from_iter([("orchestrator".to_owned(), provider(endpoint).into())]);
        set("model_providers", provider.into());
    }
    if !order.mcp.is_empty() {
        let servers = order.mcp.iter().filter_map(|(name, server)| {
            let mut server = toml(server)?;
            // Nobody could allow their tools, and they were given to it to be used.
            if let (false, Toml::Table(server)) = (order.live, &mut server) {
                server.entry("default_tools_approval_mode").or_insert_with(|| "approve".into());
            }
            Some((name.clone(), server))
        });
        set("mcp_servers", Table::from_iter(servers).into());
    }
    config
}

/// When it asks. `untrusted` asks before every command and every change.
pub(super) fn approvals(order: &Order) -> &'static str {
    match (order.live, order.reach) {
        (false, _) => "never",
        (true, Reach { edit: true, run: true, .. }) => "on-request",
        (true, _) => "untrusted",
    }
}

/// Its own sandbox. Inside of ours it cannot make one: what it runs would fail.
pub(super) fn sandbox(order: &Order) -> &'static str {
    let Reach { edit, run, .. } = order.reach;
    match order.confined {
        // Which refuses changes by itself; commands are taken away.
        true if !order.live && !edit && !run => "read-only",
        true => "danger-full-access",
        false if edit => "workspace-write",
        false => "read-only",
    }
}

fn features(order: &Order) -> Table {
    let off = OFF.iter().map(|name| ((*name).to_owned(), false.into()));
    let mut features = Table::from_iter(off);
    if !order.live && !order.reach.run {
        features.insert("shell_tool".to_owned(), false.into());
    }
    features
}

fn provider(endpoint: &Endpoint) -> Table {
    let address = format!("{}/openai/v1", endpoint.url.trim_end_matches('/'));
    let text = [
        ("name", "orchestrator"),
        ("base_url", address.as_str()),
        ("env_key", KEY),
        ("wire_api", "responses"),
    ];
    let text = text.into_iter().map(|(name, value)| (name.to_owned(), Toml::from(value)));
    // The gateway tries again by itself, and we afterwards.
    let tries = ["request_max_retries", "stream_max_retries"];
    let tries = tries.into_iter().map(|name| (name.to_owned(), Toml::from(1)));
    text.chain(tries).collect()
}

/// The same in TOML, which has no `null`.
fn toml(value: &Value) -> Option<Toml> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Toml::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Toml::Integer(number),
            None => Toml::Float(number.as_f64()?),
        },
        Value::String(text) => Toml::String(text.clone()),
        Value::Array(values) => Toml::Array(values.iter().filter_map(toml).collect()),
        Value::Object(fields) => Toml::Table(
            fields.iter().filter_map(|(name, value)| Some((name.clone(), toml(value)?))).collect(),
        ),
    })
}
