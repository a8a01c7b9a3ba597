//! Whether a provider takes a key, asked without a model call.

use super::Gateway;
use crate::ProviderKind;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    time::format_duration,
};
use std::time::Duration;

/// What a provider says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCheck {
    /// It takes it.
    Accepted,
    /// It refuses it, with this status: 401 or 403, or 400 of kind `gemini`.
    Refused(u16),
    /// It answers with another status, such as 404 where a server has no list of models.
    Unclear(u16),
}

impl Gateway {
    /// Asks `provider` for its list of models, which costs nothing and asks no model, and says
    /// whether it takes the key. Waits for at most `limit`, and tries once.
    ///
    /// # Errors
    /// A provider that is not configured, cannot be reached or does not answer in time.
    pub async fn check_key(
        &self,
        provider: &ProviderName,
        limit: Duration,
    ) -> Result<KeyCheck, Failure> {
        let Some(account) = self.accounts.get(provider) else {
            let message = format!("cannot ask provider `{provider}`: it is not configured");
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        let status =
            tokio::time::timeout(limit, account.provider.look()).await.map_err(|_| {
                let (host, limit) = (&account.host, format_duration(limit));
                let message =
                    format!("provider `{provider}` at `{host}` did not answer within {limit}");
                Failure::new(ErrorClass::Transient, message)
            })??;
        Ok(match status {
            200..=299 => KeyCheck::Accepted,
            401 | 403 => KeyCheck::Refused(status),
            // Google says so of a key that it does not know.
            400 if account.kind == ProviderKind::Gemini => KeyCheck::Refused(status),
            other => KeyCheck::Unclear(other),
        })
    }
}
