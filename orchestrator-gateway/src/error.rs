//! What can be wrong with the gateway's configuration.

/// A configuration that cannot work, or a provider that is not in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A kind that nobody knows.
    #[error(
        "unknown provider kind `{0}`; use `anthropic`, `openai-responses`, `openai-chat`, `gemini`, \
         `deepseek` or `ollama`"
    )]
    UnknownKind(String),
    /// A base URL that cannot be used.
    #[error("cannot use the base-url of provider `{provider}`: {reason}")]
    BaseUrl {
        /// The provider.
        provider: String,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
    /// A key that no HTTP header can carry.
    #[error(
        "cannot use the key of provider `{provider}`: it holds characters that no HTTP header can \
         carry; store it again without line breaks or accents"
    )]
    Key {
        /// The provider.
        provider: String,
    },
    /// Two entries of one name.
    #[error("provider `{0}` is configured twice; give one of them another name")]
    Duplicate(String),
}

impl GatewayError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownKind(_) => "ORC-0502",
            Self::BaseUrl { .. } => "ORC-0503",
            Self::Key { .. } => "ORC-0504",
            Self::Duplicate(_) => "ORC-0505",
        }
    }
}
