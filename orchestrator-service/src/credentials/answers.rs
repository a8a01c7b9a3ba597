//! Kept answers of models, without any that would tell a secret.

use super::KnownSecrets;
use async_trait::async_trait;
use orchestrator_core::{
    id::CacheKey,
    port::{KeptResponse, Responses, StoreError},
    time::Timestamp,
};
use std::sync::Arc;

/// Keeps what `inner` keeps, but for answers in which a known secret stands: hidden, it would be
/// another answer than the model gave.
pub(crate) struct GuardedResponses {
    inner: Arc<dyn Responses>,
    known: KnownSecrets,
}

impl GuardedResponses {
    pub(crate) fn new(inner: Arc<dyn Responses>, known: KnownSecrets) -> Self {
        Self { inner, known }
    }
}

#[async_trait]
impl Responses for GuardedResponses {
    async fn response(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError> {
        self.inner.response(key, now).await
    }

    async fn keep_response(&self, response: KeptResponse) -> Result<(), StoreError> {
        if self.known.redactor().value(&mut response.body.clone()) {
            tracing::debug!(key = %response.key, "an answer that tells a secret is not kept");
            return Ok(());
        }
        self.inner.keep_response(response).await
    }

    async fn forget_responses(&self, before: Timestamp, dry_run: bool) -> Result<u64, StoreError> {
        self.inner.forget_responses(before, dry_run).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        id::{ProjectId, ProviderName, TenantId},
        memory::MemoryResponses,
        secret::SecretString,
    };
    use serde_json::json;

    #[tokio::test]
    async fn an_answer_that_tells_a_secret_is_not_kept() {
        let known = KnownSecrets::default();
        known.learn([SecretString::new("sk-live-0123456789abcdef")]);
        let guarded = GuardedResponses::new(Arc::new(MemoryResponses::default()), known);
        for (text, is_kept) in [("nothing to hide", true), ("use sk-live-0123456789abcdef", false)]
        {
            let key = CacheKey::of(&json!(text));
            let response = KeptResponse {
                key: key.clone(),
                tenant: TenantId::default(),
                project: ProjectId::default(),
                run: None,
                provider: ProviderName::new("p").unwrap(),
                model: "m".into(),
                at: Timestamp(1),
                expires: Timestamp(9),
                body: json!({ "text": text }),
            };
            guarded.keep_response(response).await.unwrap();
            let found = guarded.response(&key, Timestamp(2)).await.unwrap();
            assert_eq!(found.is_some(), is_kept, "{text}");
        }
    }
}
