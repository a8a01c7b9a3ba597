//! A request that is passed on as it is, and its answer as it comes.

use super::{
    Client,
    exchange::{deepest, quick, seconds},
};
use backon::Retryable;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use reqwest::Url;
use std::time::Duration;
use tokio::time::timeout;

/// What is passed on.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How long the head of the answer may take.
    pub(crate) patience: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum PassError {
    /// Nothing was sent.
    NotSent(String),
    /// It may have been sent, and nothing came in time.
    Silent(String),
    /// It may have been sent, and the connection broke.
    Broken(String),
}

/// Passes a request on and waits for the head of its answer. Connecting is tried up to three times
/// within a second or so; nothing else is.
pub(crate) async fn pass(
    client: &Client,
    request: Outgoing,
) -> Result<Response<reqwest::Body>, PassError> {
    let Outgoing { method, url, headers, body, patience } = request;
    let built = client.for_url(&url).map_err(|error| PassError::NotSent(error.to_string()))?;
    let exchange = || async {
        let request = built.http.request(method.clone(), url.clone()).headers(headers.clone());
        request.body(body.clone()).send().await
    };
    let answer = exchange.retry(quick()).when(|error| error.is_connect() && !error.is_timeout());
    match timeout(patience, answer).await {
        Ok(Ok(response)) => Ok(response.into()),
        Ok(Err(error)) if error.is_connect() => Err(PassError::NotSent(match &built.no_roots {
            Some(reason) => format!("this machine has no CA certificates ({reason})"),
            None if error.is_timeout() => "connecting took too long".to_owned(),
            None => deepest(&error),
        })),
        Ok(Err(error)) if error.is_builder() => Err(PassError::NotSent(deepest(&error))),
        Ok(Err(error)) => Err(PassError::Broken(deepest(&error))),
        Err(_) => Err(PassError::Silent(format!("it did not answer within {}", seconds(patience)))),
    }
}
