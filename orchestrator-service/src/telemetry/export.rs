//! The exporter: OTLP over HTTP with the one HTTP and TLS stack of this program.

use crate::ServiceError;
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::Verifier;
use std::{sync::Arc, time::Duration};
use tokio::runtime::{Builder, Handle, Runtime};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a collector takes traces (OTLP specification, "OTLP/HTTP Request").
const TRACES: &str = "/v1/traces";

/// An exporter to `endpoint`, and the runtime that its requests need: they are made from a thread
/// of the SDK's own, also when the program's runtime has ended.
pub(super) fn exporter(endpoint: &str) -> Result<(SpanExporter, Runtime), ServiceError> {
    let failed = |error: &dyn std::fmt::Display| ServiceError::Telemetry(error.to_string());
    let url: reqwest::Url = endpoint
        .parse()
        .map_err(|error| ServiceError::Telemetry(format!("`{endpoint}` is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ServiceError::Telemetry(format!("`{endpoint}` is neither http nor https")));
    }
    let whole = match url.path() {
        path if path.ends_with(TRACES) => endpoint.to_owned(),
        _ => format!("{}{TRACES}", endpoint.trim_end_matches('/')),
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let client = Client { http: http(&url)?, runtime: runtime.handle().clone() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(whole)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| failed(&error))?;
    Ok((exporter, runtime))
}

fn http(url: &reqwest::Url) -> Result<reqwest::Client, ServiceError> {
    let failed = |error: &dyn std::fmt::Display| ServiceError::Telemetry(error.to_string());
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
        Ok(self.runtime.spawn(work).await??)
    }
}
