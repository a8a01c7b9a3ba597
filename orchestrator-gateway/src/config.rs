//! What a provider is configured with.

use crate::{GatewayError, SecretString, limits::AccountState};
use orchestrator_core::id::ProviderName;
use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// The protocol that a provider speaks, and its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[non_exhaustive]
pub enum ProviderKind {
    /// The Anthropic Messages API.
    Anthropic,
    /// OpenAI Responses.
    OpenAiResponses,
    /// OpenAI Chat Completions: OpenAI itself and every compatible server by its base URL.
    OpenAiChat,
    /// The Gemini API of Google.
    Gemini,
    /// Chat Completions with the defaults of DeepSeek.
    DeepSeek,
    /// Chat Completions with the defaults of an Ollama server on this machine.
    Ollama,
}

impl ProviderKind {
    /// Every kind on offer.
    pub const ALL: [Self; 6] = [
        Self::Anthropic,
        Self::OpenAiResponses,
        Self::OpenAiChat,
        Self::Gemini,
        Self::DeepSeek,
        Self::Ollama,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiChat => "openai-chat",
            Self::Gemini => "gemini",
            Self::DeepSeek => "deepseek",
            Self::Ollama => "ollama",
        }
    }

    /// Its name in `gen_ai.provider.name`: OpenTelemetry semantic conventions for generative AI.
    pub(crate) fn semantic_name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiResponses | Self::OpenAiChat => "openai",
            Self::Gemini => "gcp.gemini",
            Self::DeepSeek => "deepseek",
            Self::Ollama => "ollama",
        }
    }

    /// Where its requests go unless the configuration names another place.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::OpenAiResponses | Self::OpenAiChat => "https://api.openai.com/v1",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
            Self::DeepSeek => "https://api.deepseek.com",
            Self::Ollama => "http://127.0.0.1:11434/v1",
        }
    }

    /// The path of a base URL that has none. Compatible servers are nearly always mounted at `/v1`,
    /// and nearly always named without it.
    pub(crate) fn default_path(self) -> &'static str {
        match self {
            Self::Anthropic | Self::OpenAiResponses | Self::OpenAiChat | Self::Ollama => "/v1",
            Self::Gemini => "/v1beta",
            Self::DeepSeek => "",
        }
    }

    /// Whether its default place asks for a key.
    pub fn needs_key(self) -> bool {
        self != Self::Ollama
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ProviderKind {
    type Err = GatewayError;

    fn from_str(name: &str) -> Result<Self, GatewayError> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| GatewayError::UnknownKind(name.chars().take(40).collect()))
    }
}

impl TryFrom<String> for ProviderKind {
    type Error = GatewayError;
    fn try_from(name: String) -> Result<Self, GatewayError> {
        name.parse()
    }
}

impl From<ProviderKind> for &'static str {
    fn from(kind: ProviderKind) -> Self {
        kind.as_str()
    }
}

/// How much may be asked of a provider at once. Default: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// The most requests in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// The most tokens in a minute, in and out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<NonZeroU32>,
    /// The most tokens of prompts in a minute; those that a cache serves do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens_per_minute: Option<NonZeroU32>,
    /// The most tokens of answers in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_minute: Option<NonZeroU32>,
    /// The most requests at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<NonZeroU32>,
}

/// How long a provider may keep silent. How long an answer may take in all is the task's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until the head of the answer arrives, connecting included. Default 5 minutes: a server
    /// that loads a model or thinks before it streams says nothing until then.
    #[serde(with = "orchestrator_core::time::text")]
    pub answer: Duration,
    /// Between two pieces of the answer. Default 5 minutes.
    #[serde(with = "orchestrator_core::time::text")]
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { answer: Duration::from_secs(300), idle: Duration::from_secs(300) }
    }
}

/// One `[providers.NAME]` entry with its key at hand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderConfig {
    /// The name of the entry.
    pub name: ProviderName,
    /// The protocol.
    pub kind: ProviderKind,
    /// Where requests go; `None` for the kind's default. With an empty path the usual one of the
    /// kind is added.
    pub base_url: Option<String>,
    /// The key, if the server wants one.
    pub key: Option<SecretString>,
    /// How much may be asked of it.
    pub limits: Limits,
    /// How long it may keep silent.
    pub timeouts: Timeouts,
    /// What counts its calls, where others in this process call it, too; `None` for a count of its own.
    pub state: Option<AccountState>,
}

impl ProviderConfig {
    /// A provider of `kind` with defaults for all else.
    pub fn new(name: ProviderName, kind: ProviderKind) -> Self {
        Self {
            name,
            kind,
            base_url: None,
            key: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            state: None,
        }
    }

    /// Whether OpenAI's Responses API can be expected there: at the vendor's own place, and where it is
    /// what the settings say is spoken.
    pub fn has_responses(&self) -> bool {
        match self.kind {
            ProviderKind::OpenAiResponses => true,
            ProviderKind::OpenAiChat => self.base_url.is_none(),
            ProviderKind::DeepSeek
            | ProviderKind::Ollama
            | ProviderKind::Anthropic
            | ProviderKind::Gemini => false,
        }
    }

    /// The same, whose limits and breaker hold for all that is made of it and of its clones together:
    /// gateways and fronts.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.state = Some(AccountState::new(self.limits));
        self
    }

    /// What counts its calls.
    pub(crate) fn state(&self) -> AccountState {
        self.state.clone().unwrap_or_else(|| AccountState::new(self.limits))
    }

    /// The same at another place.
    #[must_use]
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The same with a key.
    #[must_use]
    pub fn with_key(mut self, key: SecretString) -> Self {
        self.key = Some(key);
        self
    }

    /// The same with limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with other timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_name_and_others_are_unknown() {
        for kind in ProviderKind::ALL {
            assert_eq!(kind.as_str().parse::<ProviderKind>().unwrap(), kind);
        }
        let error = "open-ai".parse::<ProviderKind>().unwrap_err();
        assert_eq!(error.code(), "ORC-0502");
        for kind in ProviderKind::ALL {
            assert!(error.to_string().contains(kind.as_str()), "{error} names {kind}");
        }
        assert!(error.to_string().contains("open-ai"), "{error}");
    }

    #[test]
    fn limits_and_timeouts_read_as_in_the_configuration() {
        let limits: Limits = toml::from_str("requests-per-minute = 50\nconcurrent = 8").unwrap();
        assert_eq!(limits.requests_per_minute, NonZeroU32::new(50));
        assert!(toml::from_str::<Limits>("concurrent = 0").is_err());
        assert!(toml::from_str::<Limits>("concurent = 1").is_err());
        let timeouts: Timeouts = toml::from_str("idle = '30s'").unwrap();
        assert_eq!(timeouts.idle, Duration::from_secs(30));
        assert_eq!(timeouts.answer, Timeouts::default().answer);
    }
}
