//! OpenAI Chat Completions, streaming, as OpenAI, DeepSeek, Ollama and many others serve it.
//!
//! A stream is `data` chunks with `choices[0].delta`, one of them with a `finish_reason`, then,
//! where `stream_options.include_usage` is understood, a chunk without choices that has `usage`,
//! and last `[DONE]`. `prompt_tokens` includes what was cached.

mod quirks;
mod wire;

use super::{CallFailure, Delta, Endpoint, Provider, Request, Response, Sink, read};
use crate::transport;
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
};
use quirks::Quirks;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError};

/// The adapter.
#[derive(Debug)]
pub(crate) struct OpenAiChat {
    endpoint: Endpoint,
    /// What each model turned out not to take. Learnt from refusals, so that only the first call
    /// of a process pays for learning with a round trip.
    learnt: Mutex<BTreeMap<String, Quirks>>,
}

impl OpenAiChat {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, learnt: Mutex::default() }
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let key = self.endpoint.key_header("Bearer ");
        if let Some(key) = key.map_err(|e| Failure::new(ErrorClass::Auth, e.to_string()))? {
            headers.insert(AUTHORIZATION, key);
        }
        Ok(headers)
    }

    fn quirks_of(&self, model: &str) -> Quirks {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(model).copied().unwrap_or_else(|| Quirks::expected(&self.endpoint))
    }

    fn learn(&self, model: &str, quirks: Quirks) {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.insert(model.to_owned(), quirks);
    }
}

#[async_trait]
impl Provider for OpenAiChat {
    async fn complete(
        &self,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Response, CallFailure> {
        let (endpoint, model) = (&self.endpoint, request.model.as_str());
        let mut quirks = self.quirks_of(model);
        let mut learnt = false;
        // Each round gives up one parameter that was sent, so that this ends.
        let answer = loop {
            let json = wire::body(request, quirks).to_string().into_bytes();
            sink(Delta::Sent);
            let url = endpoint.url("chat/completions");
            let answer = transport::send(endpoint, &url, self.headers()?, json).await?;
            if answer.status == 200 {
                break answer;
            }
            let (failure, body) = endpoint.refusal(model, answer, now).await;
            let next = quirks.after_refusal(request, failure.class, &body);
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
        let mut dialect = wire::Chat;
        read::answer(endpoint, model, answer.body, &mut dialect, now, sink).await
    }

    async fn look(&self) -> Result<u16, Failure> {
        transport::look(&self.endpoint, &self.endpoint.url("models"), self.headers()?).await
    }
}
