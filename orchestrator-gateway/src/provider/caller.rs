//! A protocol at one place: what all calls have in common.

use super::{
    CallFailure, Delta, Endpoint, Provider, Request, Response, Sink,
    quirks::Quirks,
    read::{self, Dialect},
};
use crate::transport::{self, Body};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
    usage::TokenCount,
};
use reqwest::{
    Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The most bytes that are read of an answer to a count.
const MAX_COUNT_BODY: usize = 64 << 10;

/// What tells one protocol from the others.
pub(super) trait Protocol: Send + Sync + std::fmt::Debug {
    /// The header that carries the key, and what stands before the key in it.
    fn key_header(&self) -> (HeaderName, &'static str);

    /// Another header that every request has.
    fn version_header(&self) -> Option<(HeaderName, HeaderValue)> {
        None
    }

    /// Where calls of `model` go, below the base.
    fn path(&self, model: &str) -> String;

    /// What stands after the `?` of that place.
    fn query(&self) -> Option<&'static str> {
        None
    }

    /// The document that asks.
    fn body(&self, request: &Request, quirks: Quirks) -> Value;

    /// Why `request` cannot be said in this protocol at all.
    fn objection(&self, request: &Request) -> Option<String> {
        let _ = request;
        None
    }

    /// How an answer is read.
    fn dialect(&self) -> Box<dyn Dialect>;

    /// Where and with which document the tokens of `request` are counted, and where in the answer
    /// their number is. `None` when the protocol counts none.
    fn count(&self, request: &Request, quirks: Quirks) -> Option<(String, Value, &'static str)> {
        let _ = (request, quirks);
        None
    }

    /// The tokens of `request` where they can be counted exactly without asking anybody.
    fn count_here(&self, request: &Request) -> Option<TokenCount> {
        let _ = request;
        None
    }
}

/// A protocol, bound to one endpoint.
#[derive(Debug)]
pub(super) struct Caller<P> {
    endpoint: Endpoint,
    protocol: P,
    /// What each model turned out not to take. Learnt from refusals, so that only the first call
    /// of a process pays for learning with a round trip.
    learnt: Mutex<BTreeMap<String, Quirks>>,
}

impl<P: Protocol> Caller<P> {
    pub(super) fn new(endpoint: Endpoint, protocol: P) -> Self {
        Self { endpoint, protocol, learnt: Mutex::default() }
    }

    fn headers(&self, accept: &'static str) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.extend(self.protocol.version_header());
        let (name, prefix) = self.protocol.key_header();
        let key = self.endpoint.key_header(prefix);
        if let Some(key) = key.map_err(|e| Failure::new(ErrorClass::Auth, e.to_string()))? {
            headers.insert(name, key);
        }
        Ok(headers)
    }

    fn url(&self, model: &str) -> Url {
        let mut url = self.endpoint.url(&self.protocol.path(model));
        url.set_query(self.protocol.query());
        url
    }

    fn quirks_of(&self, model: &str) -> Quirks {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(model).copied().unwrap_or_else(|| Quirks::expected(&self.endpoint))
    }

    fn learn(&self, model: &str, quirks: Quirks) {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.insert(model.to_owned(), quirks);
    }

    fn can_say(&self, request: &Request) -> Result<(), Failure> {
        match self.protocol.objection(request) {
            Some(reason) => {
                let (name, kind) = (&self.endpoint.name, self.endpoint.kind);
                let message = format!("cannot ask provider `{name}` of kind `{kind}`: {reason}");
                Err(Failure::new(ErrorClass::InvalidRequest, message))
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl<P: Protocol> Provider for Caller<P> {
    async fn complete(
        &self,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Response, CallFailure> {
        self.can_say(request)?;
        let (endpoint, model) = (&self.endpoint, request.model.as_str());
        let mut quirks = self.quirks_of(model);
        let mut learnt = false;
        // Each round gives up one parameter that was sent, so that this ends.
        let answer = loop {
            let json = self.protocol.body(request, quirks).to_string().into_bytes();
            let headers = self.headers("text/event-stream")?;
            sink(Delta::Sent);
            let answer = transport::send(endpoint, &self.url(model), headers, json).await?;
            endpoint.heard(model, &answer, now());
            if answer.status == 200 {
                break answer;
            }
            let (failure, body) = endpoint.refusal(model, answer, now).await;
            let next = quirks.after_refusal(endpoint.kind, request, failure.class, &body);
            let Some(next) = next else {
                return Err(failure.into());
            };
            tracing::info!(provider = %endpoint.name, model, refused = %body.message, "asking again in simpler form");
            quirks = next;
            learnt = true;
        };
        if learnt {
            self.learn(model, quirks);
        }
        let mut dialect = self.protocol.dialect();
        read::answer(endpoint, model, answer.body, dialect.as_mut(), now, sink).await
    }

    async fn look(&self) -> Result<u16, Failure> {
        let headers = self.headers("application/json")?;
        transport::look(&self.endpoint, &self.endpoint.url("models"), headers).await
    }

    async fn count(
        &self,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Option<TokenCount>, Failure> {
        self.can_say(request)?;
        if let Some(counted) = self.protocol.count_here(request) {
            return Ok(Some(counted));
        }
        let (endpoint, model) = (&self.endpoint, request.model.as_str());
        let mut quirks = self.quirks_of(model);
        loop {
            let Some((path, json, place)) = self.protocol.count(request, quirks) else {
                return Ok(None);
            };
            let (headers, url) = (self.headers("application/json")?, endpoint.url(&path));
            let json = json.to_string().into_bytes();
            let answer = transport::send(endpoint, &url, headers, json).await;
            let answer = answer.map_err(|broken| broken.failure)?;
            match answer.status {
                200 => {
                    self.learn(model, quirks);
                    return read_count(endpoint, answer.body, place).await.map(Some);
                }
                // A compatible server that counts nothing.
                404 | 405 | 501 => {
                    tracing::debug!(provider = %endpoint.name, status = answer.status, "counts no tokens");
                    return Ok(None);
                }
                _ => {}
            }
            // What is given up here would be given up by the call, too.
            let (failure, body) = endpoint.refusal(model, answer, now).await;
            let next = quirks.after_refusal(endpoint.kind, request, failure.class, &body);
            let Some(next) = next else {
                return Err(failure);
            };
            quirks = next;
        }
    }
}

/// The number at `place` of an answer to a count.
async fn read_count(endpoint: &Endpoint, body: Body, place: &str) -> Result<TokenCount, Failure> {
    let body = body.start(endpoint, MAX_COUNT_BODY).await;
    let number = serde_json::from_slice::<Value>(&body).ok().and_then(|json| json[place].as_u64());
    number
        .map(TokenCount)
        .ok_or_else(|| endpoint.transient(format!("sent no `{place}` when it was asked to count")))
}
