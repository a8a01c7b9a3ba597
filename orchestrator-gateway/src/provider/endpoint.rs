//! Where a provider is, and with what key.

use crate::{
    Client, GatewayError, ProviderConfig, ProviderKind, SecretString, Timeouts,
    failure::{self, ErrorBody},
    limits::AccountState,
    place::Place,
    transport::{Incoming, is_loopback},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    time::Timestamp,
};
use reqwest::{Url, header::HeaderValue};

/// The most bytes of an error's body that are read.
const MAX_ERROR_BODY: usize = 64 << 10;

/// One configured provider's address, key and patience.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: ProviderName,
    pub(crate) kind: ProviderKind,
    pub(crate) base: Url,
    /// The host and port, for messages.
    pub(crate) host: String,
    pub(crate) key: Option<SecretString>,
    pub(crate) timeouts: Timeouts,
    pub(crate) client: Client,
    /// Who is told what answers say of the limits.
    state: AccountState,
}

impl Endpoint {
    pub(crate) fn new(config: &ProviderConfig, client: Client) -> Result<Self, GatewayError> {
        let text = config.base_url.as_deref().unwrap_or(config.kind.default_base_url());
        let Place { base, host } = Place::new(&config.name, text, config.kind.default_path())?;
        let key = config.key.clone().filter(|key| !key.is_empty());
        if key.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            tracing::warn!(provider = %config.name, %host, "the key is sent without encryption");
        }
        let endpoint = Self {
            name: config.name.clone(),
            kind: config.kind,
            base,
            host,
            key,
            timeouts: config.timeouts,
            client,
            state: AccountState::new(config.limits),
        };
        endpoint.key_header("")?;
        Ok(endpoint)
    }

    /// The same, with the account's state.
    pub(crate) fn with_state(mut self, state: AccountState) -> Self {
        self.state = state;
        self
    }

    /// Takes note of what the head of an answer says of the limits of `model`.
    pub(crate) fn heard(&self, model: &str, answer: &Incoming, now: Timestamp) {
        self.state.heard(model, &answer.headers, now);
    }

    /// The URL of `path` below the base.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        // One segment at a time, so that nothing in the name of a model leads out of the base.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }

    /// Whether the model runs on this very machine.
    pub(crate) fn is_local(&self) -> bool {
        self.kind == ProviderKind::Ollama && is_loopback(&self.base)
    }

    /// The key after `prefix`, as a header that no log shows.
    pub(crate) fn key_header(&self, prefix: &str) -> Result<Option<HeaderValue>, GatewayError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.expose()))
            .map_err(|_| GatewayError::Key { provider: self.name.to_string() })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// A transient failure: provider so-and-so `did`.
    pub(crate) fn transient(&self, did: impl AsRef<str>) -> Failure {
        let (name, host, did) = (&self.name, &self.host, did.as_ref());
        Failure::new(ErrorClass::Transient, format!("provider `{name}` at `{host}` {did}"))
    }

    /// The failure that an answer without success means, and what its body says.
    pub(crate) async fn refusal(
        &self,
        model: &str,
        answer: Incoming,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> (Failure, ErrorBody) {
        let bytes = answer.body.start(self, MAX_ERROR_BODY).await;
        let body = ErrorBody::read(&bytes);
        let (status, headers) = (answer.status, &answer.headers);
        (failure::from_answer(self, model, status, headers, &body, now()), body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(kind: ProviderKind, url: &str) -> Result<Endpoint, GatewayError> {
        let config = ProviderConfig::new(ProviderName::new("p").unwrap(), kind).with_base_url(url);
        Endpoint::new(&config, Client::new())
    }

    #[test]
    fn paths_are_joined() {
        let check = |kind: ProviderKind, url: &str, expected: &str| {
            assert_eq!(endpoint(kind, url).unwrap().url("x/y").as_str(), expected);
        };
        let chat = ProviderKind::OpenAiChat;
        check(chat, "https://api.openai.com", "https://api.openai.com/v1/x/y");
        check(chat, "https://h/openai/v1/", "https://h/openai/v1/x/y");
        check(chat, "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/x/y");
        check(ProviderKind::Anthropic, "https://h", "https://h/v1/x/y");
        check(ProviderKind::Anthropic, "https://h/v1", "https://h/v1/x/y");
        check(ProviderKind::DeepSeek, "https://h", "https://h/x/y");
        check(ProviderKind::OpenAiResponses, "https://h", "https://h/v1/x/y");
        check(ProviderKind::Gemini, "https://h", "https://h/v1beta/x/y");
        let strange = endpoint(ProviderKind::Gemini, "https://h").unwrap();
        let strange = strange.url("models/../a?b#c:countTokens");
        assert_eq!(strange.as_str(), "https://h/v1beta/models/a%3Fb%23c:countTokens");
        for kind in ProviderKind::ALL {
            assert!(endpoint(kind, kind.default_base_url()).is_ok());
        }
    }

    #[test]
    fn bad_places_and_keys_are_refused() {
        for bad in ["", "api.openai.com", "ftp://h/", "https://u:p@h/", "https://h/?key=1"] {
            let error = endpoint(ProviderKind::OpenAiChat, bad).unwrap_err();
            assert_eq!(error.code(), "ORC-0503", "{bad}");
        }
        let config = ProviderConfig::new(ProviderName::new("p").unwrap(), ProviderKind::Anthropic)
            .with_key(SecretString::new("two\nlines"));
        let error = Endpoint::new(&config, Client::new()).unwrap_err();
        assert_eq!(error.code(), "ORC-0504");
        assert!(!error.to_string().contains("lines"));
    }

    #[test]
    fn only_ollama_on_this_machine_is_local() {
        let local = |kind, url| endpoint(kind, url).unwrap().is_local();
        assert!(local(ProviderKind::Ollama, "http://127.0.0.1:11434/v1"));
        assert!(!local(ProviderKind::Ollama, "http://gpu.lan:11434/v1"));
        assert!(!local(ProviderKind::OpenAiChat, "http://127.0.0.1:11434/v1"));
    }
}
