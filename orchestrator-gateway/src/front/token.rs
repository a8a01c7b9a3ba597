//! Tokens: random, known by their hashes alone.

use super::{Grant, Grants};
use crate::SecretString;
use async_trait::async_trait;
use orchestrator_core::time::Timestamp;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// What every token starts with, so that one that leaks is recognized.
pub const TOKEN_PREFIX: &str = "orc-attempt-";

/// How many random bytes a token has.
const RANDOM: usize = 32;

/// The SHA-256 of a token. It is what is kept and compared: how long a comparison takes tells
/// something about hashes, of which nothing about tokens follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of `token`.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Its bytes, for whoever keeps it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// A token that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The system gives no random numbers.
    #[error("cannot make a token: the system's random source does not answer")]
    NoRandom,
}

/// The tokens of this process.
#[derive(Debug, Default)]
pub struct Tokens {
    grants: RwLock<HashMap<TokenHash, Arc<Grant>>>,
}

impl Tokens {
    /// No tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a token for `grant`: [`TOKEN_PREFIX`] and 256 random bits in hexadecimal. It is kept
    /// nowhere else.
    ///
    /// # Errors
    /// [`TokenError`] when there is no randomness.
    pub fn issue(&self, grant: Grant) -> Result<SecretString, TokenError> {
        let mut random = [0; RANDOM];
        let source = rustls::crypto::ring::default_provider().secure_random;
        source.fill(&mut random).map_err(|_| TokenError::NoRandom)?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("{TOKEN_PREFIX}{digits}");
        self.write().insert(TokenHash::of(&token), Arc::new(grant));
        Ok(SecretString::new(token))
    }

    /// Ends a token at once; whether there was one. Calls that it has begun go on.
    pub fn revoke(&self, token: &SecretString) -> bool {
        self.write().remove(&TokenHash::of(token.expose())).is_some()
    }

    /// Ends every token whose grant is such; how many there were.
    pub fn revoke_where(&self, is_such: impl Fn(&Grant) -> bool) -> usize {
        let mut grants = self.write();
        let before = grants.len();
        grants.retain(|_, grant| !is_such(grant));
        before - grants.len()
    }

    /// Forgets the tokens that have ended by `now`.
    pub fn sweep(&self, now: Timestamp) -> usize {
        self.revoke_where(|grant| grant.expires <= now)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<TokenHash, Arc<Grant>>> {
        self.grants.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<TokenHash, Arc<Grant>>> {
        self.grants.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Grants for Tokens {
    async fn find(&self, token: &TokenHash) -> Option<Arc<Grant>> {
        self.read().get(token).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{id::ProviderName, ledger::Payer};

    fn grant(expires: u64) -> Grant {
        Grant::new(Payer::new(ProviderName::new("p").unwrap(), ""), Timestamp(expires))
    }

    #[tokio::test]
    async fn a_token_is_found_until_it_is_revoked() {
        let tokens = Tokens::new();
        let (first, second) = (tokens.issue(grant(1)).unwrap(), tokens.issue(grant(2)).unwrap());
        assert_ne!(first, second);
        assert_eq!(first.expose().len(), TOKEN_PREFIX.len() + 64);
        let found = |token: &SecretString| {
            let hash = TokenHash::of(token.expose());
            let tokens = &tokens;
            async move { tokens.find(&hash).await.map(|grant| grant.expires.0) }
        };
        assert_eq!(found(&first).await, Some(1));
        assert_eq!(found(&second).await, Some(2));
        assert!(tokens.revoke(&first) && !tokens.revoke(&first));
        assert_eq!((found(&first).await, tokens.len()), (None, 1));
        assert_eq!((tokens.sweep(Timestamp(1)), tokens.sweep(Timestamp(2))), (0, 1));
        assert!(tokens.is_empty());
    }

    #[test]
    fn neither_tokens_nor_whole_hashes_are_shown() {
        let tokens = Tokens::new();
        let token = tokens.issue(grant(1)).unwrap();
        let secret = token.expose().strip_prefix(TOKEN_PREFIX).unwrap();
        assert!(!format!("{tokens:?}").contains(secret));
        assert_eq!(format!("{:?}", TokenHash::of("x")).len(), "TokenHash(2d71…)".len());
    }
}
