//! Whether a key of the user's may go where the settings say.
//!
//! A project's files come from whoever wrote the project. They may name a server, and they may name
//! the variable of a key; both together would let a clone take the user's keys along. So a key of
//! the process's environment goes only to the usual place of its provider, to this machine, or to
//! an address that the user named. The same holds for every secret of the credential store, which is
//! always the user's. A key of the project's own `.env` is the project's to send.

use crate::{
    config::{Config, Layer},
    document::Diagnostic,
};
use reqwest::Url;
use std::net::IpAddr;

/// Where a key is, whose destination is judged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'a> {
    /// In a variable of the process or of the project's `.env`.
    Variable(&'a str),
    /// In the credential store.
    Secret(&'a str),
}

/// Judges `url`, the address of provider `name`, for its key.
pub(super) fn judge(
    config: &Config,
    name: &str,
    url: &str,
    key: Key<'_>,
) -> Result<(), Box<Diagnostic>> {
    let path = config.account_path(name, "base-url");
    let by_project = matches!(config.layer(&path), Some(Layer::Project | Layer::DotEnv));
    let (is_users_own, kept_in) = match key {
        Key::Variable(name) => (config.is_users_own(name), name),
        Key::Secret(name) => (true, name),
    };
    if !by_project || !is_users_own || config.user_names(url) || is_local(url) {
        return Ok(());
    }
    let message = format!(
        "the project's settings would send your key in `{kept_in}` to `{url}`, which you did not name"
    );
    let found = match config.origin(&path) {
        Some(origin) => origin.diagnostic("ORC-0520", message),
        None => Diagnostic::new("ORC-0520", message),
    };
    let key = path.join(".");
    let mend = format!("if you trust that server: orchestrator config set --user {key} {url}");
    Err(found.suggest(Some(mend)).into())
}

/// Judges the address that traces go to: a project may name this machine, and nothing else.
pub(crate) fn judge_endpoint(config: &Config, url: &str) -> Result<(), Box<Diagnostic>> {
    let path = ["telemetry", "otlp-endpoint"];
    let by_project = matches!(config.layer(&path), Some(Layer::Project | Layer::DotEnv));
    if !by_project || is_local(url) {
        return Ok(());
    }
    let message =
        format!("the project's settings would send traces to `{url}`, which you did not name");
    let found = match config.origin(&path) {
        Some(origin) => origin.diagnostic("ORC-0520", message),
        None => Diagnostic::new("ORC-0520", message),
    };
    let mend = "name it in your own settings with `orchestrator config set --user \
                telemetry.otlp-endpoint ...`, and remove it from the project's";
    Err(found.suggest(Some(mend.into())).into())
}

pub(super) fn is_local(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    }
}
