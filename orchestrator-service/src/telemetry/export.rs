//! The exporters: OTLP over HTTP with the one HTTP and TLS stack of this program.

use super::Notice;
use crate::ServiceError;
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::Verifier;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::runtime::{Builder, Handle, Runtime};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The runtime that requests to a collector need: they are made from threads of the SDK's own, also
/// when the program's runtime has ended.
pub(super) fn runtime() -> Result<Runtime, ServiceError> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()
        .map_err(|error| failed(&error))
}

/// Says once, for all that is sent, that it does not arrive.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost {
    notice: Notice,
    told: Arc<AtomicBool>,
}

impl Lost {
    pub(super) fn new(notice: Notice) -> Self {
        Self { notice, told: Arc::default() }
    }

    pub(super) fn tell(&self, why: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            self.notice.tell(&format!("telemetry does not arrive and is lost: {why}"));
        }
    }
}

/// An exporter of spans to `endpoint`, which is the whole address.
pub(super) fn spans(
    endpoint: &str,
    runtime: &Handle,
    lost: &Lost,
) -> Result<SpanExporter, ServiceError> {
    SpanExporter::builder()
        .with_http()
        .with_http_client(client(endpoint, runtime, lost)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| failed(&error))
}

/// An exporter of metrics to `endpoint`, which is the whole address.
pub(super) fn metrics(
    endpoint: &str,
    runtime: &Handle,
    lost: &Lost,
) -> Result<MetricExporter, ServiceError> {
    MetricExporter::builder()
        .with_http()
        .with_http_client(client(endpoint, runtime, lost)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::Telemetry(error.to_string())
}

fn client(endpoint: &str, runtime: &Handle, lost: &Lost) -> Result<Client, ServiceError> {
    let url: reqwest::Url = endpoint
        .parse()
        .map_err(|error| ServiceError::Telemetry(format!("`{endpoint}` is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ServiceError::Telemetry(format!("`{endpoint}` is neither http nor https")));
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let told = AtomicBool::new(false);
    let (runtime, lost) = (runtime.clone(), lost.clone());
    Ok(Client { http: http(&url)?, runtime, host, lost, told })
}

fn http(url: &reqwest::Url) -> Result<reqwest::Client, ServiceError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let tls = if url.scheme() == "https" {
        let verifier = Verifier::new(provider).map_err(|error| failed(&error))?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()
    } else {
        // Nothing is encrypted, so no certificate has to be loaded.
        builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    };
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| failed(&error))
}

#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    host: String,
    lost: Lost,
    /// Whether the log has it already that nothing arrives.
    told: AtomicBool,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let work = async move {
            let answer = http.execute(request.try_into()?).await?.error_for_status()?;
            let status = answer.status();
            let mut response = Response::new(answer.bytes().await?);
            *response.status_mut() = status;
            Ok::<_, reqwest::Error>(response)
        };
        // The address may hold a password.
        let sent = self.runtime.spawn(work).await?.map_err(reqwest::Error::without_url);
        if let Err(error) = &sent
            && !self.told.swap(true, Ordering::Relaxed)
        {
            let (host, error) = (&self.host, in_full(error));
            tracing::warn!(%host, %error, "the collector does not take telemetry");
            self.lost.tell(&format!("the collector at `{host}` does not take it: {error}"));
        }
        Ok(sent?)
    }
}

/// The error with what caused it: the first alone says no more than that something went wrong.
fn in_full(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
