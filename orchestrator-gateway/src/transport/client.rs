//! The one HTTP client of the gateway.

use reqwest::{Url, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_platform_verifier::Verifier;
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long connecting may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A pool of connections that every provider shares. Cheap to clone; nothing is set up before the
/// first request.
///
/// TLS is rustls with ring, named here and not installed for the whole process. Certificates are
/// judged by the platform's store (on Linux the system's CA bundle, or `SSL_CERT_FILE`), not by a
/// list of our own: companies that inspect traffic put their CA there, and a store that the system
/// updates does not age with the binary. `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`
/// are obeyed except for loopback addresses, which are never sent through a proxy. Redirects are
/// not followed: they would carry the key to another host.
#[derive(Debug, Clone, Default)]
pub struct Client {
    routes: Arc<Routes>,
}

#[derive(Debug, Default)]
struct Routes {
    /// `http` to this machine: neither proxy nor certificates, so nothing has to be loaded.
    plain_loopback: OnceLock<Built>,
    tls_loopback: OnceLock<Built>,
    remote: OnceLock<Built>,
}

#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) http: reqwest::Client,
    /// Why no certificate can be trusted, when none can.
    pub(crate) no_roots: Option<Arc<str>>,
}

/// A client that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot set the HTTP client up: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A pool without connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for `url`, set up at its first use.
    pub(crate) fn for_url(&self, url: &Url) -> Result<Built, ClientError> {
        let loopback = is_loopback(url);
        let (slot, roots) = match (loopback, url.scheme()) {
            (true, "http") => (&self.routes.plain_loopback, false),
            (true, _) => (&self.routes.tls_loopback, true),
            (false, _) => (&self.routes.remote, true),
        };
        if let Some(built) = slot.get() {
            return Ok(built.clone());
        }
        let built = build(loopback, roots)?;
        Ok(slot.get_or_init(|| built).clone())
    }
}

fn build(loopback: bool, roots: bool) -> Result<Built, ClientError> {
    let (tls, no_roots) = tls(roots)?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Duration::from_secs(30))
        .user_agent(concat!("orchestrator/", env!("CARGO_PKG_VERSION")));
    if loopback {
        builder = builder.no_proxy();
    }
    Ok(Built { http: builder.build()?, no_roots })
}

/// The TLS configuration. Without certificates to trust it trusts nobody: `https` then fails with
/// the reason, while `http` to this machine still works.
fn tls(roots: bool) -> Result<(ClientConfig, Option<Arc<str>>), rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let mut no_roots = None;
    let verifier = if roots { Some(Verifier::new(provider)) } else { None };
    let mut config = match verifier {
        Some(Ok(verifier)) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        Some(Err(error)) => {
            no_roots = Some(error.to_string().into());
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
        None => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, no_roots))
}

/// Whether `url` names this very machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_name_and_address() {
        let check = |url: &str, expected| {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        };
        check("http://127.0.0.1:11434/v1", true);
        check("http://127.8.9.1/", true);
        check("http://[::1]:80/", true);
        check("http://localhost/", true);
        check("http://models.localhost/", true);
        check("http://localhost.example.com/", false);
        check("http://10.0.0.1/", false);
        check("https://api.openai.com/", false);
    }

    #[test]
    fn every_route_can_be_set_up_and_is_set_up_once() {
        let client = Client::new();
        for url in ["http://127.0.0.1/", "https://127.0.0.1/", "https://example.com/"] {
            let url: Url = url.parse().unwrap();
            client.for_url(&url).unwrap();
        }
        let routes = &client.clone().routes;
        assert!(routes.plain_loopback.get().is_some());
        assert!(routes.tls_loopback.get().is_some());
        assert!(routes.remote.get().is_some());
    }
}
