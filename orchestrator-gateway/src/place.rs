//! Where a provider is.

use crate::GatewayError;
use orchestrator_core::id::ProviderName;
use reqwest::Url;

/// A base URL that can be used.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) base: Url,
    /// The host and port, for messages.
    pub(crate) host: String,
}

impl Place {
    /// The place that `url` of `provider` names; `usual` is its path where it has none.
    ///
    /// # Errors
    /// [`GatewayError::BaseUrl`] with what to write instead.
    pub(crate) fn new(
        provider: &ProviderName,
        url: &str,
        usual: &str,
    ) -> Result<Self, GatewayError> {
        let bad = |reason: &str| GatewayError::BaseUrl {
            provider: provider.to_string(),
            reason: reason.to_owned(),
        };
        let mut base: Url = url.trim().parse().map_err(|error| {
            bad(&format!("it is not a URL ({error}); write one such as `https://host/v1`"))
        })?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad("it must start with `https://` or `http://` and a host"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("it holds a user name or password; use `key` instead"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(bad("it must end with its path, without `?` or `#`"));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(if path.is_empty() { usual } else { &path });
        let host = match (base.host_str().unwrap_or_default(), base.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        Ok(Self { base, host })
    }
}
