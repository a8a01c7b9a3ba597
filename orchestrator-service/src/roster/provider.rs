//! Model providers: those of the settings, or else those whose key is in the environment.

use super::trust;
use crate::{
    config::{Config, KeySource, ProviderSettings},
    document::Diagnostic,
    error::secrets,
};
use orchestrator_core::{
    agent::AgentSpec,
    id::{ProviderName, SecretName},
    port::{ManagedSecret, SecretsError},
    workflow::did_you_mean,
};
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
    /// The secret that holds its key, which is only read when the provider is to be called.
    pub(crate) secret: Option<SecretName>,
}

/// Says what the credential store holds: asked only when a provider needs it.
pub(crate) type Kept<'a> = &'a dyn Fn() -> Result<Vec<ManagedSecret>, SecretsError>;

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

/// The keys of providers that are in variables, whether or not anything uses them.
pub(crate) fn keys_in_variables(config: &Config) -> Vec<SecretString> {
    let accounts = config.settings().accounts();
    let named = accounts.iter().filter_map(|(_, provider)| match &provider.key {
        Some(KeySource::Env(variable)) => Some(variable.as_str()),
        _ => None,
    });
    let usual = USUAL.iter().map(|usual| usual.variable);
    named.chain(usual).filter_map(|name| config.variable(name)).map(SecretString::new).collect()
}

/// The accounts by name: those of `[providers]`, and `NAME.ACCOUNT` where one has several.
pub(super) fn read(config: &Config, kept: Kept<'_>) -> BTreeMap<String, Provider> {
    let settings = config.settings();
    let mut providers: BTreeMap<String, Provider> = settings
        .accounts()
        .into_iter()
        .map(|(name, provider)| {
            let usual = usual_model(&provider);
            let (config, secret) = match resolve(&name, &provider, config, kept) {
                Ok((config, secret)) => (Ok(config), secret),
                Err(wrong) => (Err(wrong), None),
            };
            (name, Provider { config, model: usual, found_by: None, secret })
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
                secret: None,
            };
            providers.insert(usual.name.to_owned(), provider);
        }
    }
    providers
}

/// The providers when none is called but `agents` have been: those of the settings, whether or not
/// their keys are at hand, and those that these agents ran on. What is in the environment is not
/// looked at, so that the same is found everywhere.
pub(super) fn of_a_recording(config: &Config, agents: &[AgentSpec]) -> BTreeMap<String, Provider> {
    let settings = &config.settings().providers;
    let made = |name: &str, kind: Option<&str>| {
        // Nobody calls it, so that any kind will do where none is known.
        let kind = kind.and_then(|kind| kind.parse().ok()).unwrap_or(ProviderKind::OpenAiChat);
        Some(ProviderConfig::new(ProviderName::new(name).ok()?, kind))
    };
    let mut providers: BTreeMap<String, Provider> = settings
        .iter()
        .filter_map(|(name, provider)| {
            let config = Ok(made(name, provider.kind.as_deref())?);
            let model = usual_model(provider);
            Some((name.clone(), Provider { config, model, found_by: None, secret: None }))
        })
        .collect();
    for agent in agents {
        let name = agent.provider.as_str();
        // As it was found where the recording was made: by the variable that usually holds its key.
        let usual = USUAL.iter().find(|usual| settings.is_empty() && usual.name == name);
        let Some(config) = made(name, usual.map(|usual| usual.kind.as_str())) else { continue };
        providers.entry(name.to_owned()).or_insert_with(|| Provider {
            config: Ok(config),
            model: usual.map(|usual| usual.model),
            found_by: usual.map(|usual| usual.variable),
            secret: None,
        });
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
    kept: Kept<'_>,
) -> Result<(ProviderConfig, Option<SecretName>), Box<Diagnostic>> {
    let wrong = |key: &str, code: &'static str, message: String| match config
        .origin(&config.account_path(name, key))
    {
        Some(origin) => origin.diagnostic(code, message),
        None => Diagnostic::new(code, message),
    };
    let Some(kind) = &provider.kind else {
        let message = format!("provider `{name}` has no `kind`");
        return Err(wrong("kind", "ORC-0518", message)
            .suggest(Some(format!(
                "orchestrator config set {} anthropic",
                config.account_path(name, "kind").join(".")
            )))
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
    let mut secret = None;
    match &provider.key {
        Some(KeySource::Env(variable)) => match config.variable(variable) {
            Some(key) => {
                if let Some(url) = &provider.base_url {
                    trust::judge(config, name, url, trust::Key::Variable(variable))?;
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
        Some(KeySource::Secret(wanted)) => {
            let all = kept().map_err(|error| {
                let found = wrong("key", secrets::code(&error), error.to_string());
                Box::new(found.suggest(Some(secrets::help(&error))))
            })?;
            let Some(found) = all.iter().find(|secret| secret.name.as_str() == wanted) else {
                let message = format!(
                    "the key of provider `{name}` is looked for in the secret `{wanted}`, which is \
                     not in the credential store"
                );
                let near = did_you_mean(wanted, all.iter().map(|secret| secret.name.as_str()));
                let mend = format!("orchestrator secrets set {wanted}");
                let mend = near.map_or(mend.clone(), |near| format!("{near} or else {mend}"));
                return Err(wrong("key", "ORC-0517", message).suggest(Some(mend)).into());
            };
            if let Some(url) = &provider.base_url {
                trust::judge(config, name, url, trust::Key::Secret(wanted))?;
            }
            secret = Some(found.name.clone());
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
    let made = made
        .with_limits(Limits {
            requests_per_minute: limit(provider.limits.requests_per_minute),
            tokens_per_minute: limit(provider.limits.tokens_per_minute),
            input_tokens_per_minute: limit(provider.limits.input_tokens_per_minute),
            output_tokens_per_minute: limit(provider.limits.output_tokens_per_minute),
            concurrent: limit(provider.limits.concurrent),
        })
        .with_timeouts(Timeouts {
            answer: provider.timeouts.answer.unwrap_or(usual.answer),
            idle: provider.timeouts.idle.unwrap_or(usual.idle),
        });
    Ok((made, secret))
}
