//! An account that requests are passed to.

use super::Api;
use crate::{
    AccountState, GatewayError, Limits, ProviderConfig, ProviderKind, SecretString, Timeouts,
    meter::Format,
    place::Place,
    prices::{PriceEntry, PriceTable},
    transport::is_loopback,
};
use http::{HeaderMap, HeaderValue, header};
use orchestrator_core::id::ProviderName;
use reqwest::Url;

/// Where an account is, and what it is called with.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub(super) name: ProviderName,
    pub(super) api: Api,
    base: Url,
    /// The host and port, for messages.
    pub(super) host: String,
    key: Option<SecretString>,
    key_header: Option<HeaderValue>,
    pub(super) timeouts: Timeouts,
    is_free: bool,
    /// It has no Responses API.
    is_chat_only: bool,
    pub(super) state: AccountState,
}

impl Upstream {
    /// An account at `base_url`, to which `/v1`, or `/v1beta` for Gemini, is added when it has no
    /// path.
    ///
    /// # Errors
    /// [`GatewayError::BaseUrl`].
    pub fn new(name: ProviderName, api: Api, base_url: &str) -> Result<Self, GatewayError> {
        let usual = match api {
            Api::Anthropic | Api::OpenAi => "/v1",
            Api::Gemini => "/v1beta",
        };
        Self::below(name, api, base_url, usual)
    }

    /// The account of a `[providers]` entry.
    ///
    /// # Errors
    /// [`GatewayError`] for an entry that cannot work.
    pub fn of(config: &ProviderConfig) -> Result<Self, GatewayError> {
        let api = Api::of(config.kind);
        let usual = config.kind.default_path();
        let place = config.base_url.as_deref().unwrap_or(config.kind.default_base_url());
        let mut upstream = Self::below(config.name.clone(), api, place, usual)?;
        upstream.is_free = config.kind == ProviderKind::Ollama && is_loopback(&upstream.base);
        upstream.is_chat_only = api == Api::OpenAi && !config.has_responses();
        upstream.timeouts = config.timeouts;
        upstream.state = config.state();
        match &config.key {
            Some(key) => upstream.with_key(key.clone()),
            None => Ok(upstream),
        }
    }

    fn below(name: ProviderName, api: Api, url: &str, usual: &str) -> Result<Self, GatewayError> {
        let Place { base, host } = Place::new(&name, url, usual)?;
        let (timeouts, state) = (Timeouts::default(), AccountState::new(Limits::default()));
        let (key, key_header, is_free, is_chat_only) = (None, None, false, false);
        Ok(Self { name, api, base, host, key, key_header, timeouts, is_free, is_chat_only, state })
    }

    /// The same with a key.
    ///
    /// # Errors
    /// [`GatewayError::Key`].
    pub fn with_key(mut self, key: SecretString) -> Result<Self, GatewayError> {
        if key.is_empty() {
            return Ok(self);
        }
        if self.base.scheme() == "http" && !is_loopback(&self.base) {
            tracing::warn!(provider = %self.name, host = self.host, "the key is sent without encryption");
        }
        let prefix = if self.api == Api::OpenAi { "Bearer " } else { "" };
        let mut header = HeaderValue::from_str(&format!("{prefix}{}", key.expose()))
            .map_err(|_| GatewayError::Key { provider: self.name.to_string() })?;
        header.set_sensitive(true);
        (self.key, self.key_header) = (Some(key), Some(header));
        Ok(self)
    }

    /// The same with other timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same within `limits`, of which nothing is used yet.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.state = AccountState::new(limits);
        self
    }

    /// Its name.
    pub fn name(&self) -> &ProviderName {
        &self.name
    }

    /// Whether a request of `api`, in `format` where it is a call, can be passed to it as it is.
    pub(super) fn speaks(&self, api: Api, format: Option<Format>) -> bool {
        self.api == api && !(self.is_chat_only && format == Some(Format::Responses))
    }

    /// The key itself, to see that no answer repeats it.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(SecretString::expose)
    }

    /// Puts the key where the API expects it.
    pub(super) fn sign(&self, headers: &mut HeaderMap) {
        let Some(value) = self.key_header.clone() else { return };
        match self.api {
            Api::Anthropic => headers.insert("x-api-key", value),
            Api::OpenAi => headers.insert(header::AUTHORIZATION, value),
            Api::Gemini => headers.insert("x-goog-api-key", value),
        };
    }

    /// The URL of `path` below the base. Gemini has two versions beside each other: where the base
    /// ends with one, it is the client's.
    pub(super) fn url(&self, version: &str, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        let base = self.base.path().trim_end_matches('/');
        let root = base.strip_suffix("/v1beta").or_else(|| base.strip_suffix("/v1"));
        match (self.api, root) {
            (Api::Gemini, Some(root)) => url.set_path(&format!("{root}/{version}/{path}")),
            _ => url.set_path(&format!("{base}/{path}")),
        }
        url.set_query(query);
        url
    }

    /// The price of `model`. A model on this machine is free unless the user has put a price on it.
    pub(super) fn price<'a>(&self, prices: &'a PriceTable, model: &str) -> Option<&'a PriceEntry> {
        if self.is_free {
            prices.find_own(&self.name, model)
        } else {
            prices.find(&self.name, model)
        }
    }

    /// Whether what has no price is free.
    pub(super) fn is_local(&self) -> bool {
        self.is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProviderKind;

    fn name() -> ProviderName {
        ProviderName::new("p").unwrap()
    }

    #[test]
    fn places_and_keys_by_table() {
        let check = |api: Api, base: &str, url: &str, header: &str| {
            let upstream = Upstream::new(name(), api, base).unwrap();
            assert_eq!(upstream.url("v1", "x/y", Some("a=b")).as_str(), url);
            let mut headers = HeaderMap::new();
            upstream.with_key(SecretString::new("k")).unwrap().sign(&mut headers);
            let sent: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(sent, [header]);
            assert!(!format!("{headers:?}").contains("\"k\""), "{headers:?}");
        };
        check(Api::Anthropic, "https://h", "https://h/v1/x/y?a=b", "x-api-key");
        check(Api::OpenAi, "https://h/openai/v1/", "https://h/openai/v1/x/y?a=b", "authorization");
        check(Api::Gemini, "http://[::1]:8", "http://[::1]:8/v1/x/y?a=b", "x-goog-api-key");
        check(Api::Gemini, "http://h/a/v1beta", "http://h/a/v1/x/y?a=b", "x-goog-api-key");
        check(Api::Gemini, "http://h/a/other", "http://h/a/other/x/y?a=b", "x-goog-api-key");
        for bad in ["", "h", "ftp://h", "https://u:p@h", "https://h?key=1", "data:x"] {
            let error = Upstream::new(name(), Api::OpenAi, bad).unwrap_err();
            assert_eq!(error.code(), "ORC-0503", "{bad}");
        }
        let upstream = Upstream::new(name(), Api::OpenAi, "https://h").unwrap();
        assert_eq!(upstream.with_key(SecretString::new("a\nb")).unwrap_err().code(), "ORC-0504");
    }

    #[test]
    fn every_kind_of_provider_has_a_place() {
        for kind in ProviderKind::ALL {
            let config = ProviderConfig::new(name(), kind).with_key(SecretString::new("k"));
            let upstream = Upstream::of(&config).unwrap();
            assert_eq!(upstream.is_local(), kind == ProviderKind::Ollama);
            assert!(!format!("{upstream:?}").contains("\"k\""));
        }
    }
}
