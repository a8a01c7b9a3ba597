//! The responses port: answers of models that may be used again for the same requests.

use super::StoreError;
use crate::{
    id::{CacheKey, ProjectId, ProviderName, RunId, TenantId},
    time::Timestamp,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest answer that is kept, in bytes of its JSON.
pub const MAX_RESPONSE: usize = 1 << 20;

/// How much is kept in all, in bytes of JSON; what was made longest ago goes first.
pub const MAX_RESPONSES: u64 = 64 << 20;

/// A model's answer that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeptResponse {
    /// All that it depends on: the whole request, and where it went.
    pub key: CacheKey,
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which project.
    pub project: ProjectId,
    /// The run that paid for it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Who answered.
    pub provider: ProviderName,
    /// Which model.
    pub model: String,
    /// When.
    pub at: Timestamp,
    /// Until when it may be used.
    pub expires: Timestamp,
    /// The answer, in the form of whoever keeps it.
    pub body: Value,
}

/// Where answers of models are kept. They are a saving and never the only copy of anything.
#[async_trait]
pub trait Responses: Send + Sync {
    /// The answer under `key`, unless it has expired at `now`.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn response(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError>;

    /// Keeps an answer, in the place of an earlier one of that key. One of more than
    /// [`MAX_RESPONSE`] bytes is not kept; when all have more than [`MAX_RESPONSES`], the oldest go.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn keep_response(&self, response: KeptResponse) -> Result<(), StoreError>;

    /// Forgets the answers that were made before `before`. Returns how many; with `dry_run` how many
    /// it would forget.
    ///
    /// # Errors
    /// Any failure of the storage.
    async fn forget_responses(&self, before: Timestamp, dry_run: bool) -> Result<u64, StoreError>;
}
