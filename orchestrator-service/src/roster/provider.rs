//! Model providers: those of the settings, or else those whose key is in the environment.

use super::trust;
use crate::{
    config::{Config, KeySource, ProviderSettings},
    document::Diagnostic,
};
use orchestrator_core::id::ProviderName;
use orchestrator_gateway::{Limits, ProviderConfig, ProviderKind, SecretString, Timeouts};
use std::{collections::BTreeMap, num::NonZeroU32};

/// A provider, or why it cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    /// Its entry with the key at hand, unless something is wrong with it.
    pub(crate) config: Result<ProviderConfig, Box<Diagnostic>>,
    /// The model that agents without one of their own use, where the kind has a usual one.
    pub(crate) model: Option<&'static str>,
    /// The variable that it was found by, when no setting names it.
    pub(crate) found_by: Option<&'static str>,
}

/// A kind of provider that is found by the variable that usually holds its key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usual {
    pub(crate) variable: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: ProviderKind,
    pub(crate) model: &'static str,
}

/// In the order in which they are preferred.
pub(crate) const USUAL: [Usual; 5] = [
    Usual {
        variable: "ANTHROPIC_API_KEY",
        name: "anthropic",
        kind: ProviderKind::Anthropic,
        model: "claude-sonnet-4-5",
    },
    Usual {
        variable: "OPENAI_API_KEY",
        name: "openai",
        kind: ProviderKind::OpenAiChat,
        model: "gpt-5.4-mini",
    },
    Usual {
        variable: "DEEPSEEK_API_KEY",
        name: "deepseek",
        kind: ProviderKind::DeepSeek,
        model: "deepseek-v4-pro",
    },
    Usual {
        variable: "GEMINI_API_KEY",
        name: "gemini",
        kind: ProviderKind::Gemini,
        model: "gemini-3.5-flash",
    },
    // The other name under which Google's own tools look for the same key. Last, since it may be
    // set for some other service of Google.
    Usual {
        variable: "GOOGLE_API_KEY",
        name: "google",
        kind: ProviderKind::Gemini,
        model: "gemini-3.5-flash",
    },
];

/// What is usual for a kind, the preferred variable first.
fn usual(kind: ProviderKind) -> impl Iterator<Item = &'static Usual> {
    // One key and the same models, over another protocol.
    let kind = match kind {
        ProviderKind::OpenAiResponses => ProviderKind::OpenAiChat,
        kind => kind,
    };
    USUAL.iter().filter(move |usual| usual.kind == kind)
}

/// The providers by name.
pub(super) fn read(config: &Config) -> BTreeMap<String, Provider> {
    let settings = config.settings();
    let mut providers: BTreeMap<String, Provider> = settings
        .providers
        .iter()
        .map(|(name, provider)| {
            let usual = usual_model(provider);
            let config = resolve(name, provider, config);
            (name.clone(), Provider { config, model: usual, found_by: None })
        })
        .collect();
    // What is found counts only where nobody has chosen, so that a key for something else that
    // happens to be set never costs money by surprise.
    if providers.is_empty() {
        for usual in &USUAL {
            let Some(key) = config.variable(usual.variable) else { continue };
            let Ok(name) = ProviderName::new(usual.name) else { continue };
            let found = ProviderConfig::new(name, usual.kind).with_key(SecretString::new(key));
            let provider = Provider {
                config: Ok(found),
                model: Some(usual.model),
                found_by: Some(usual.variable),
            };
            providers.insert(usual.name.to_owned(), provider);
        }
    }
    providers
}

/// The usual model of a kind, at its usual place only: another server has models of its own.
fn usual_model(provider: &ProviderSettings) -> Option<&'static str> {
    let kind: ProviderKind = provider.kind.as_deref()?.parse().ok()?;
    if provider.base_url.is_some() {
        return None;
    }
    usual(kind).next().map(|usual| usual.model)
}

fn resolve(
    name: &str,
    provider: &ProviderSettings,
    config: &Config,
) -> Result<ProviderConfig, Box<Diagnostic>> {
    let wrong = |key: &str, code: &'static str, message: String| match config.origin(&[
        "providers",
        name,
        key,
    ]) {
        Some(origin) => origin.diagnostic(code, message),
        None => Diagnostic::new(code, message),
    };
    let Some(kind) = &provider.kind else {
        let message = format!("provider `{name}` has no `kind`");
        return Err(wrong("kind", "ORC-0518", message)
            .suggest(Some(format!("orchestrator config set providers.{name}.kind anthropic")))
            .into());
    };
    let kind: ProviderKind =
        kind.parse().map_err(|error: orchestrator_gateway::GatewayError| {
            Box::new(wrong("kind", error.code(), error.to_string()))
        })?;
    let valid_name = ProviderName::new(name)
        .map_err(|error| Box::new(wrong("kind", "ORC-0518", error.to_string())))?;
    let mut made = ProviderConfig::new(valid_name, kind);
    if let Some(url) = &provider.base_url {
        made = made.with_base_url(url);
    }
    match &provider.key {
        Some(KeySource::Env(variable)) => match config.variable(variable) {
            Some(key) => {
                if let Some(url) = &provider.base_url {
                    trust::judge(config, name, url, variable)?;
                }
                made = made.with_key(SecretString::new(key));
            }
            None => {
                let message = format!(
                    "the key of provider `{name}` is looked for in `{variable}`, which is not set"
                );
                return Err(wrong("key", "ORC-0516", message)
                    .suggest(Some(format!("export {variable}=..., or put it into `.env`")))
                    .into());
            }
        },
        Some(KeySource::Secret(_)) => {
            let message = format!(
                "the key of provider `{name}` is in the credential store, which this version does \
                 not offer yet"
            );
            return Err(wrong("key", "ORC-0517", message)
                .suggest(Some(format!(
                    "name a variable: orchestrator config set providers.{name}.key.env NAME"
                )))
                .into());
        }
        None if kind.needs_key() && provider.base_url.is_none() => {
            match usual(kind).find_map(|usual| config.variable(usual.variable)) {
                Some(key) => made = made.with_key(SecretString::new(key)),
                None => {
                    let variable = usual(kind).next().map_or("API_KEY", |usual| usual.variable);
                    let message =
                        format!("provider `{name}` has no `key`, and `{variable}` is not set");
                    return Err(wrong("key", "ORC-0516", message)
                        .suggest(Some(format!("export {variable}=..., or put it into `.env`")))
                        .into());
                }
            }
        }
        None => {}
    }
    let limit = |count: Option<u32>| count.and_then(NonZeroU32::new);
    let usual = Timeouts::default();
    Ok(made
        .with_limits(Limits {
            requests_per_minute: limit(provider.limits.requests_per_minute),
            tokens_per_minute: limit(provider.limits.tokens_per_minute),
            concurrent: limit(provider.limits.concurrent),
        })
        .with_timeouts(Timeouts {
            answer: provider.timeouts.answer.unwrap_or(usual.answer),
            idle: provider.timeouts.idle.unwrap_or(usual.idle),
        }))
}
