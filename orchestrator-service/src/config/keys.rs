//! Every setting that there is, with what it takes.

use super::path::KeyPath;
use crate::execute::{CONFIRM_TASKS, CONFIRM_USD};
use orchestrator_core::{
    id::{AgentName, ProviderName},
    money::MicroUsd,
    time::parse_duration,
    workflow::did_you_mean,
};
use serde_json::Value;
use std::net::SocketAddr;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Text,
    OneOf(&'static [&'static str]),
    Count(u64, u64),
    Money,
    Duration,
    List,
    /// `true` or `false`.
    Flag,
    /// A number of bytes, such as `10MB`.
    Size(u64, u64),
    /// An address to listen on, such as `127.0.0.1:9464`.
    Address,
    /// A place where a key is expected, which is never written out.
    NoSecret,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its key; `*` stands for a name of the user's own.
    pub(crate) key: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
    /// Its value when nobody sets it.
    pub(crate) default: Option<&'static str>,
    /// A line for people.
    pub(crate) about: &'static str,
}

const fn setting(key: &'static str, takes: Takes, about: &'static str) -> Setting {
    Setting { key, takes, default: None, about }
}

/// The kinds of provider.
pub(crate) const PROVIDER_KINDS: &[&str] =
    &["anthropic", "openai-responses", "openai-chat", "gemini", "deepseek", "ollama"];

/// How programs can be confined.
pub(crate) const SANDBOXES: &[&str] =
    &["auto", "landlock", "bubblewrap", "docker", "podman", "dagger", "off"];

/// What can be decided of what agents want to do.
const DECISIONS: &[&str] = &["allow", "ask", "deny"];

/// Whom programs can be allowed to talk to.
pub(crate) const NETWORKS: &[&str] = &["none", "gateway", "hosts", "all"];

/// Every setting.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("providers.*.kind", Takes::OneOf(PROVIDER_KINDS), "the protocol that it speaks"),
    setting("providers.*.base-url", Takes::Text, "where requests go, when not to the usual place"),
    setting("providers.*.key", Takes::NoSecret, "where its key is found"),
    setting("providers.*.key.env", Takes::Text, "the environment variable that holds its key"),
    setting("providers.*.key.secret", Takes::Text, "the name of its key in the credential store"),
    setting(
        "providers.*.limits.requests-per-minute",
        Takes::Count(1, COUNT),
        "the most requests in a minute",
    ),
    setting(
        "providers.*.limits.tokens-per-minute",
        Takes::Count(1, COUNT),
        "the most tokens in a minute",
    ),
    setting(
        "providers.*.limits.input-tokens-per-minute",
        Takes::Count(1, COUNT),
        "the most tokens of prompts in a minute, without those that a cache serves",
    ),
    setting(
        "providers.*.limits.output-tokens-per-minute",
        Takes::Count(1, COUNT),
        "the most tokens of answers in a minute",
    ),
    setting(
        "providers.*.limits.concurrent",
        Takes::Count(1, COUNT),
        "the most requests, and attempts of agents that run on it, at the same time",
    ),
    setting(
        "providers.*.budget.usd-per-day",
        Takes::Money,
        "the most that the account may cost in a day",
    ),
    setting(
        "providers.*.budget.usd-per-month",
        Takes::Money,
        "the most that the account may cost in a month",
    ),
    setting(
        "providers.*.budget.tokens-per-day",
        Takes::Count(1, TOKENS),
        "the most tokens of the account in a day",
    ),
    setting(
        "providers.*.budget.requests-per-day",
        Takes::Count(1, TOKENS),
        "the most calls of the account in a day",
    ),
    setting(
        "providers.*.budget.window-hours",
        Takes::Count(1, 8_760),
        "the hours that the limits of a window count; 5 unless set",
    ),
    setting(
        "providers.*.budget.tokens-per-window",
        Takes::Count(1, TOKENS),
        "the most tokens of the account within a window",
    ),
    setting(
        "providers.*.budget.requests-per-window",
        Takes::Count(1, TOKENS),
        "the most calls of the account within a window",
    ),
    setting(
        "providers.*.budget.warn-only",
        Takes::Flag,
        "whether the limits of the account only warn; false unless set",
    ),
    setting("providers.*.timeouts.answer", Takes::Duration, "how long until an answer begins"),
    setting(
        "providers.*.timeouts.idle",
        Takes::Duration,
        "how long between two pieces of an answer",
    ),
    setting(
        "providers.*.accounts.*.base-url",
        Takes::Text,
        "where requests of this account go, when not to the provider's place",
    ),
    setting("providers.*.accounts.*.key", Takes::NoSecret, "where the account's key is found"),
    setting(
        "providers.*.accounts.*.key.env",
        Takes::Text,
        "the environment variable that holds the account's key",
    ),
    setting(
        "providers.*.accounts.*.key.secret",
        Takes::Text,
        "the name of the account's key in the credential store",
    ),
    setting(
        "providers.*.accounts.*.limits.requests-per-minute",
        Takes::Count(1, COUNT),
        "the most requests of this account in a minute",
    ),
    setting(
        "providers.*.accounts.*.limits.tokens-per-minute",
        Takes::Count(1, COUNT),
        "the most tokens of this account in a minute",
    ),
    setting(
        "providers.*.accounts.*.limits.input-tokens-per-minute",
        Takes::Count(1, COUNT),
        "the most tokens of its prompts in a minute",
    ),
    setting(
        "providers.*.accounts.*.limits.output-tokens-per-minute",
        Takes::Count(1, COUNT),
        "the most tokens of its answers in a minute",
    ),
    setting(
        "providers.*.accounts.*.limits.concurrent",
        Takes::Count(1, COUNT),
        "the most requests of this account at the same time",
    ),
    setting(
        "providers.*.accounts.*.budget.usd-per-day",
        Takes::Money,
        "the most that this account may cost in a day",
    ),
    setting(
        "providers.*.accounts.*.budget.usd-per-month",
        Takes::Money,
        "the most that this account may cost in a month",
    ),
    setting(
        "providers.*.accounts.*.budget.tokens-per-day",
        Takes::Count(1, TOKENS),
        "the most tokens of this account in a day",
    ),
    setting(
        "providers.*.accounts.*.budget.requests-per-day",
        Takes::Count(1, TOKENS),
        "the most calls of this account in a day",
    ),
    setting(
        "providers.*.accounts.*.budget.window-hours",
        Takes::Count(1, 8_760),
        "the hours that the limits of a window count",
    ),
    setting(
        "providers.*.accounts.*.budget.tokens-per-window",
        Takes::Count(1, TOKENS),
        "the most tokens of this account within a window",
    ),
    setting(
        "providers.*.accounts.*.budget.requests-per-window",
        Takes::Count(1, TOKENS),
        "the most calls of this account within a window",
    ),
    setting(
        "agents.*.role",
        Takes::Text,
        "what it is for: pm, dev, qa, security, docs, or your own",
    ),
    setting(
        "agents.*.provider",
        Takes::Text,
        "what it runs on: an entry of [providers], `builtin`, or `command` for a program",
    ),
    setting("agents.*.model", Takes::Text, "the model, or a rule that names models"),
    setting("agents.*.command", Takes::List, "the program that it is, and its arguments"),
    setting("agents.*.models", Takes::List, "the models that its program may call"),
    setting("agents.*.accounts", Takes::List, "the providers that its program may call"),
    setting("agents.*.instructions", Takes::Text, "what it is told before each task"),
    setting("agents.*.max-tokens", Takes::Count(1, COUNT), "the most tokens of one answer"),
    setting(
        "agents.*.max-parallel",
        Takes::Count(1, COUNT),
        "the most attempts of it at once, over all runs",
    ),
    setting("agents.*.fall-back", Takes::List, "who takes over when it cannot work, in order"),
    setting(
        "agents.*.join",
        Takes::Flag,
        "whether identical requests that are under way at once make one call; true unless set",
    ),
    setting(
        "agents.*.sandbox",
        Takes::OneOf(&["on", "off"]),
        "whether its program is confined; as [sandbox] says unless set",
    ),
    setting(
        "agents.*.network",
        Takes::OneOf(NETWORKS),
        "whom its program may talk to, when not what [sandbox] says",
    ),
    setting("agents.*.arguments", Takes::List, "more arguments for its coding CLI"),
    setting(
        "agents.*.live",
        Takes::Flag,
        "whether its coding CLI asks for leave and takes messages while it works; true unless set",
    ),
    setting(
        "agents.*.limits.first-event",
        Takes::Duration,
        "how long its coding CLI may take to say something; 2m unless set",
    ),
    setting(
        "agents.*.limits.idle",
        Takes::Duration,
        "how long its coding CLI may be quiet; 10m unless set",
    ),
    setting("agents.*.mode", Takes::OneOf(&["metered", "own-login"]), "how it reaches its model"),
    setting("agents.*.permissions.allow", Takes::List, "what it may do with its tools"),
    setting("agents.*.permissions.ask", Takes::List, "what it may do after asking"),
    setting("agents.*.permissions.deny", Takes::List, "what it may not do"),
    setting(
        "agents.*.permissions.otherwise",
        Takes::OneOf(DECISIONS),
        "what is decided where no rule says anything; ask unless set",
    ),
    setting(
        "agents.*.budget.usd-per-day",
        Takes::Money,
        "the most that the agent may cost in a day",
    ),
    setting(
        "agents.*.budget.usd-per-month",
        Takes::Money,
        "the most that the agent may cost in a month",
    ),
    setting(
        "agents.*.budget.tokens-per-day",
        Takes::Count(1, TOKENS),
        "the most tokens of the agent in a day",
    ),
    setting(
        "agents.*.budget.requests-per-day",
        Takes::Count(1, TOKENS),
        "the most calls of the agent in a day",
    ),
    setting(
        "agents.*.budget.window-hours",
        Takes::Count(1, 8_760),
        "the hours that the limits of a window count; 5 unless set",
    ),
    setting(
        "agents.*.budget.tokens-per-window",
        Takes::Count(1, TOKENS),
        "the most tokens of the agent within a window",
    ),
    setting(
        "agents.*.budget.requests-per-window",
        Takes::Count(1, TOKENS),
        "the most calls of the agent within a window",
    ),
    setting(
        "agents.*.budget.warn-only",
        Takes::Flag,
        "whether the limits of the agent only warn; false unless set",
    ),
    setting(
        "models.*.use",
        Takes::List,
        "the models of a rule as `PROVIDER/MODEL`, the first to be asked first",
    ),
    setting("budget.usd-per-task", Takes::Money, "the most that a task may cost"),
    setting("budget.usd-per-run", Takes::Money, "the most that a run may cost"),
    setting("budget.usd-per-day", Takes::Money, "the most that a day's runs may cost"),
    setting("budget.usd-per-month", Takes::Money, "the most that a month's runs may cost"),
    setting("budget.tokens-per-task", Takes::Count(1, TOKENS), "the most tokens of a task"),
    setting("budget.tokens-per-run", Takes::Count(1, TOKENS), "the most tokens of a run"),
    setting("budget.tokens-per-day", Takes::Count(1, TOKENS), "the most tokens of a day's runs"),
    setting(
        "budget.tokens-per-month",
        Takes::Count(1, TOKENS),
        "the most tokens of a month's runs",
    ),
    setting(
        "budget.warn-only",
        Takes::Flag,
        "whether the limits of [budget] only warn; false unless set",
    ),
    setting("tenant.budget.usd-per-day", Takes::Money, "the most that your work may cost in a day"),
    setting(
        "tenant.budget.usd-per-month",
        Takes::Money,
        "the most that your work may cost in a month",
    ),
    setting(
        "tenant.budget.tokens-per-day",
        Takes::Count(1, TOKENS),
        "the most tokens of your work in a day",
    ),
    setting(
        "tenant.budget.tokens-per-month",
        Takes::Count(1, TOKENS),
        "the most tokens of your work in a month",
    ),
    setting(
        "tenant.budget.warn-only",
        Takes::Flag,
        "whether the limits of your work only warn; false unless set",
    ),
    Setting {
        key: "confirm.usd",
        takes: Takes::Money,
        default: Some(CONFIRM_USD),
        about: "what a run may well cost before somebody is asked, on a terminal",
    },
    Setting {
        key: "confirm.tasks",
        takes: Takes::Count(1, COUNT),
        default: Some(CONFIRM_TASKS),
        about: "how many tasks and items a run may well have before somebody is asked",
    },
    Setting {
        key: "defaults.max-parallel",
        takes: Takes::Count(1, 10_000),
        default: Some("4"),
        about: "the most attempts of a run at once",
    },
    setting(
        "defaults.timeout",
        Takes::Duration,
        "how long an attempt may take when its task does not say",
    ),
    setting(
        "defaults.permissions.allow",
        Takes::List,
        "what every agent may do with its tools, besides its own",
    ),
    setting("defaults.permissions.ask", Takes::List, "what every agent may do after asking"),
    setting("defaults.permissions.deny", Takes::List, "what no agent may do"),
    setting(
        "defaults.permissions.otherwise",
        Takes::OneOf(DECISIONS),
        "what is decided of agents that do not say; ask unless set",
    ),
    setting(
        "limits.concurrent",
        Takes::Count(1, COUNT),
        "the most attempts at once, over all runs",
    ),
    setting(
        "limits.per-project",
        Takes::Count(1, COUNT),
        "the most attempts at once of the runs of one project",
    ),
    Setting {
        key: "sandbox.mode",
        takes: Takes::OneOf(SANDBOXES),
        default: Some("auto"),
        about: "how what agents and checks run is confined; `off` for not at all",
    },
    Setting {
        key: "sandbox.network",
        takes: Takes::OneOf(NETWORKS),
        default: Some("gateway"),
        about: "whom agents' programs may talk to",
    },
    setting("sandbox.hosts", Takes::List, "the hosts that `hosts` allows, such as crates.io"),
    Setting {
        key: "sandbox.reads",
        takes: Takes::OneOf(&["all", "system"]),
        default: Some("all"),
        about: "what may be read: all but what is hidden, or the system and what is listed",
    },
    setting(
        "sandbox.readable",
        Takes::List,
        "paths that may be read besides: with `system`, or in places for temporary files",
    ),
    setting("sandbox.writable", Takes::List, "paths that may be written besides, such as a cache"),
    setting("sandbox.hidden", Takes::List, "paths that cannot be seen besides what is known"),
    setting("sandbox.image", Takes::Text, "the image that containers are made of"),
    setting(
        "sandbox.memory",
        Takes::Size(1 << 20, 1 << 50),
        "memory of a program with all it starts",
    ),
    setting("sandbox.processes", Takes::Count(1, COUNT), "processes and threads at once"),
    setting("sandbox.cpu", Takes::Duration, "time on processors"),
    setting("sandbox.files", Takes::Count(16, COUNT), "open files of each process"),
    setting("sandbox.file-size", Takes::Size(1_000, 1 << 50), "the largest file that is written"),
    Setting {
        key: "checks.network",
        takes: Takes::OneOf(NETWORKS),
        default: Some("none"),
        about: "whom checks may talk to",
    },
    setting("checks.hosts", Takes::List, "the hosts that `hosts` allows to checks"),
    Setting {
        key: "checks.timeout",
        takes: Takes::Duration,
        default: Some("10m"),
        about: "how long a check may take that does not say",
    },
    setting("checks.environment", Takes::List, "variables that checks see besides the usual ones"),
    setting("checks.writable", Takes::List, "paths that checks may write besides, such as a cache"),
    setting("workspaces.quota", Takes::Size(1 << 20, 1 << 50), "what one may take on the disk"),
    Setting {
        key: "workspaces.largest-file",
        takes: Takes::Size(1_000, 1 << 40),
        default: Some("10MB"),
        about: "from which size on a file is left out of checkpoints",
    },
    Setting {
        key: "workspaces.pool",
        takes: Takes::Count(0, 100),
        default: Some("2"),
        about: "how many directories that attempts are done with lie ready for the next; 0 for none",
    },
    Setting {
        key: "workspaces.pool-size",
        takes: Takes::Size(0, 1 << 50),
        default: Some("2GB"),
        about: "what those may take on the disk in all",
    },
    setting(
        "workspaces.prepare",
        Takes::Flag,
        "whether as many are made in advance, while attempts work; false unless set",
    ),
    Setting {
        key: "workspaces.measure-every",
        takes: Takes::Duration,
        default: Some("10s"),
        about: "how often a workspace with a quota is measured while an attempt works in it",
    },
    setting(
        "workspaces.ports",
        Takes::Text,
        "the ports that workspaces are given of, such as 20000-29999",
    ),
    Setting {
        key: "landing.batch",
        takes: Takes::Count(1, 64),
        default: Some("4"),
        about: "how many that wait are checked together",
    },
    setting(
        "landing.update-checkout",
        Takes::Flag,
        "whether landing on the branch that is checked out brings the checkout along; false unless set",
    ),
    setting("prices.*.input", Takes::Money, "USD per million input tokens of a model"),
    setting("prices.*.output", Takes::Money, "USD per million output tokens"),
    setting("prices.*.cache-read", Takes::Money, "USD per million tokens read from a cache"),
    setting("prices.*.cache-write", Takes::Money, "USD per million tokens written to a cache"),
    setting("prices.*.batch-input", Takes::Money, "USD per million input tokens of a batch"),
    setting("prices.*.batch-output", Takes::Money, "USD per million output tokens of a batch"),
    setting("prices.*.provider", Takes::Text, "the provider that the price is of, when not of all"),
    setting(
        "tokenizers.*.file",
        Takes::Text,
        "the tokenizer.json, SentencePiece model or .tiktoken of a model, which its prompts are counted by",
    ),
    setting(
        "telemetry.otlp-endpoint",
        Takes::Text,
        "where traces and metrics go, such as http://127.0.0.1:4318; off unless set",
    ),
    setting(
        "telemetry.prometheus-listen",
        Takes::Address,
        "where metrics can be asked for while runs are driven, such as 127.0.0.1:9464",
    ),
    setting(
        "telemetry.prometheus-reach",
        Takes::OneOf(&["loopback", "anywhere"]),
        "who may ask there: this machine, or others too",
    ),
    setting(
        "telemetry.prometheus-file",
        Takes::Text,
        "the file that metrics are written to while runs are driven",
    ),
    setting("log.file", Takes::Text, "the file that happenings are written to; off unless set"),
    setting("log.format", Takes::OneOf(&["text", "json"]), "how its lines are written"),
    setting(
        "log.level",
        Takes::OneOf(&["error", "warn", "info", "debug", "trace"]),
        "how much is written",
    ),
    setting(
        "log.rotate-size",
        Takes::Size(1_000, 1 << 40),
        "from how many bytes on a new file is begun, such as 10MB",
    ),
    setting("log.keep", Takes::Count(0, 1_000), "how many old files are kept"),
];

const COUNT: u64 = u32::MAX as u64;
const TOKENS: u64 = orchestrator_core::ledger::MOST;

/// The setting that `path` is, if it is one.
pub(crate) fn find(path: &KeyPath) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| path.fits(setting.key))
}

/// Whether settings can lie below `path`.
pub(crate) fn is_section(path: &KeyPath) -> bool {
    SETTINGS.iter().any(|setting| path.opens(setting.key))
}

/// What an unknown `path` was most likely meant to be.
pub(crate) fn suggest(path: &KeyPath) -> Option<String> {
    // The first name that leads nowhere is compared with those that could stand in its place.
    let wrong = (1..=path.0.len())
        .find(|length| {
            let prefix = KeyPath(path.0[..*length].to_vec());
            !is_section(&prefix) && find(&prefix).is_none()
        })
        .unwrap_or(path.0.len());
    let parent = KeyPath(path.0[..wrong - 1].to_vec());
    let mut known: Vec<&str> = SETTINGS
        .iter()
        .filter(|setting| parent.0.is_empty() || parent.opens(setting.key))
        .filter_map(|setting| setting.key.split('.').nth(wrong - 1))
        .filter(|name| *name != "*")
        .collect();
    known.dedup();
    let list = || format!("known here: {}", known.join(", "));
    did_you_mean(&path.0[wrong - 1], known.iter().copied()).or_else(|| Some(list()))
}

/// What is wrong with a name of the user's own in `path`, if something is.
pub(crate) fn check_names(path: &KeyPath) -> Option<String> {
    let name = path.0.get(1)?;
    match path.0[0].as_str() {
        "providers" => {
            // A dot parts a provider from its account, and belongs to neither name.
            let account = path.0.get(3).filter(|_| path.0[2] == "accounts");
            [Some(name), account].into_iter().flatten().find_map(|name| {
                match ProviderName::new(name) {
                    Ok(valid) if valid.parent().is_none() => None,
                    Ok(_) => Some(format!(
                        "`{name}` is not valid: a name holds no dot; write an account as \
                     [providers.NAME.accounts.ACCOUNT]"
                    )),
                    Err(error) => Some(error.to_string()),
                }
            })
        }
        "agents" => AgentName::new(name).err().map(|error| error.to_string()),
        _ => None,
    }
}

impl Takes {
    /// Reads `value` as what is taken: the value to keep, or what is wrong with it.
    pub(crate) fn read(self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Text, Value::String(text)) if !text.trim().is_empty() => Ok(value.clone()),
            (Self::Text, _) => Err("must be text that is not empty".into()),
            (Self::OneOf(known), Value::String(text)) if known.contains(&text.as_str()) => {
                Ok(value.clone())
            }
            (Self::OneOf(known), _) => {
                let hint =
                    value.as_str().and_then(|text| did_you_mean(text, known.iter().copied()));
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                Err(format!("must be one of {}{hint}", known.join(", ")))
            }
            (Self::Count(least, most), _) => {
                let number = match value {
                    Value::String(text) => text.trim().parse().ok(),
                    other => other.as_u64(),
                };
                number
                    .filter(|number| (least..=most).contains(number))
                    .map(Value::from)
                    .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
            }
            (Self::Money, _) => {
                let text = match value {
                    Value::String(text) => text.trim().to_owned(),
                    Value::Number(number) => decimal(number),
                    _ => String::new(),
                };
                let amount = text.parse::<MicroUsd>().map_err(|_| {
                    "must be dollars with at most six decimals, such as 5 or 0.25".to_owned()
                })?;
                Ok(Value::String(amount.to_string()))
            }
            (Self::Duration, Value::String(text)) => match parse_duration(text) {
                Ok(duration) if !duration.is_zero() => Ok(value.clone()),
                _ => Err("must be a duration such as 30s, 5m or 1h30m".into()),
            },
            (Self::Duration, _) => Err("must be a duration such as 30s, 5m or 1h30m".into()),
            (Self::List, Value::Array(items)) if items.iter().all(Value::is_string) => {
                Ok(value.clone())
            }
            // The environment and the command line have only text.
            (Self::List, Value::String(text)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(items.collect::<Vec<_>>().into())
            }
            (Self::List, _) => Err("must be a list of texts".into()),
            (Self::Flag, Value::Bool(_)) => Ok(value.clone()),
            (Self::Flag, Value::String(text)) if matches!(text.trim(), "true" | "false") => {
                Ok((text.trim() == "true").into())
            }
            (Self::Flag, _) => Err("must be true or false".into()),
            (Self::Size(least, most), _) => {
                let bytes = match value {
                    Value::String(text) => size(text),
                    other => other.as_u64(),
                };
                bytes.filter(|bytes| (least..=most).contains(bytes)).map(Value::from).ok_or_else(
                    || format!("must be a number of bytes from {least} on, such as 500KB or 10MB"),
                )
            }
            (Self::Address, Value::String(text)) if text.trim().parse::<SocketAddr>().is_ok() => {
                Ok(text.trim().into())
            }
            (Self::Address, _) => {
                Err("must be an IP address and a port, such as 127.0.0.1:9464".into())
            }
            (Self::NoSecret, _) => {
                Err("must say where the key is, never hold it: { env = \"NAME_OF_A_VARIABLE\" }"
                    .into())
            }
        }
    }
}

/// The bytes of `10MB`, `64KiB` or `500`.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// The shortest decimal of a number, so that `5.00` reads as `5`.
fn decimal(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}
