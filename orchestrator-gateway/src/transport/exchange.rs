//! One request and its answer.

use crate::provider::{Billing, CallFailure, Endpoint};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use orchestrator_core::error::{ErrorClass, Failure};
use reqwest::{Url, header::HeaderMap};
use std::{error::Error, time::Duration};
use tokio::time::timeout;

/// The most bytes of an answer that are read: 64 MiB, far beyond what any model writes.
const MAX_BODY: usize = 64 << 20;

/// How often a connection that could not be made is tried again at once.
const CONNECT_RETRIES: usize = 2;

/// The head of an answer, and its body still to come.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Posts `json` to `url` and waits for the head of the answer.
///
/// Connecting is tried up to three times within a second or so: nothing was sent by then. All
/// other failures are returned, for the engine's durable retry to decide. One of a connection that
/// was made may cost something: the server may have the request.
pub(crate) async fn send(
    endpoint: &Endpoint,
    url: &Url,
    headers: HeaderMap,
    json: Vec<u8>,
) -> Result<Incoming, CallFailure> {
    let client = endpoint
        .client
        .for_url(url)
        .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    let json = Bytes::from(json);
    let exchange = || async {
        client.http.post(url.clone()).headers(headers.clone()).body(json.clone()).send().await
    };
    let answer = exchange
        .retry(quick())
        .when(|error| error.is_connect() && !error.is_timeout())
        .notify(|error, delay| {
            tracing::debug!(
                provider = %endpoint.name,
                error = deepest(error),
                delay_ms = delay.as_millis(),
                "connecting again"
            );
        });
    let limit = endpoint.timeouts.answer;
    let response = match timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let failure = unreachable(endpoint, &error, client.no_roots.as_deref());
            let billing = if error.is_connect() { Billing::None } else { Billing::Possible };
            return Err(CallFailure { failure, used: None, billing });
        }
        Err(_) => {
            let failure = endpoint.transient(format!("did not answer within {}", seconds(limit)));
            return Err(CallFailure { failure, used: None, billing: Billing::Possible });
        }
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Incoming {
        status,
        headers,
        body: Body { stream: response.bytes_stream().boxed(), left: MAX_BODY },
    })
}

/// Gets `url` once, and gives the status of the answer; what it says is not read.
pub(crate) async fn look(
    endpoint: &Endpoint,
    url: &Url,
    headers: HeaderMap,
) -> Result<u16, Failure> {
    let client = endpoint
        .client
        .for_url(url)
        .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    match client.http.get(url.clone()).headers(headers).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(unreachable(endpoint, &error, client.no_roots.as_deref())),
    }
}

/// How a connection that could not be made is tried again.
pub(super) fn quick() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(CONNECT_RETRIES)
        .with_jitter()
}

fn unreachable(endpoint: &Endpoint, error: &reqwest::Error, no_roots: Option<&str>) -> Failure {
    let (host, name) = (&endpoint.host, &endpoint.name);
    let hint = match no_roots {
        Some(reason) => format!(
            "this machine has no CA certificates ({reason}): install the system's \
             `ca-certificates` or set SSL_CERT_FILE"
        ),
        None => format!(
            "check the network, the proxy settings and the `base-url` of [providers.{name}]"
        ),
    };
    let what =
        if error.is_timeout() { "connecting took too long".to_owned() } else { deepest(error) };
    let class = ErrorClass::Transient;
    Failure::new(class, format!("cannot reach `{host}` for provider `{name}`: {what}; {hint}"))
}

/// What lies at the bottom of an error: the layers above it only say that a request failed, and
/// with which URL.
pub(super) fn deepest(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = error.source();
    let mut deepest = "the request could not be sent".to_owned();
    while let Some(inner) = cause {
        deepest = inner.to_string();
        cause = inner.source();
    }
    deepest
}

pub(super) fn seconds(duration: Duration) -> String {
    orchestrator_core::time::format_duration(duration)
}

/// The body of an answer.
pub(crate) struct Body {
    stream: BoxStream<'static, Result<Bytes, reqwest::Error>>,
    left: usize,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Body {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// `Transient` when the connection breaks or falls silent; `Incompatible` when there is no end
    /// in sight.
    pub(crate) async fn next(&mut self, endpoint: &Endpoint) -> Result<Option<Bytes>, Failure> {
        let idle = endpoint.timeouts.idle;
        let bytes = match timeout(idle, self.stream.next()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(error))) => {
                let reason = deepest(&error);
                return Err(endpoint.transient(format!("broke its answer off: {reason}")));
            }
            Err(_) => {
                let idle = seconds(idle);
                return Err(endpoint.transient(format!("sent nothing for {idle} in its answer")));
            }
        };
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            let name = &endpoint.name;
            let message = format!("the answer of provider `{name}` exceeds {MAX_BODY} bytes");
            return Err(Failure::new(ErrorClass::Incompatible, message));
        };
        self.left = left;
        Ok(Some(bytes))
    }

    /// Up to `limit` bytes of an error's body; what cannot be read is left out.
    pub(crate) async fn start(mut self, endpoint: &Endpoint, limit: usize) -> Vec<u8> {
        let mut start = Vec::new();
        while start.len() < limit {
            match self.next(endpoint).await {
                Ok(Some(bytes)) => start.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
        start.truncate(limit);
        start
    }

    /// Takes the end of the body if it is already here, so that the connection can serve again.
    pub(crate) fn finish(mut self) {
        while let Some(Some(Ok(_))) = self.stream.next().now_or_never() {}
    }
}
