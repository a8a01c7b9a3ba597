//! The secrets port: where keys are kept, apart from everything else.

use crate::{id::SecretName, secret::SecretString, time::Timestamp};
use async_trait::async_trait;

/// A credential store that could not do what it was asked. Nothing was changed.
///
/// No variant holds a secret, nor anything that was read from where secrets are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The place cannot be read or written.
    #[error("cannot {action} `{place}`: {reason}")]
    Unavailable {
        /// What was attempted, such as `read`.
        action: &'static str,
        /// On what: a file, an address.
        place: String,
        /// What stood in the way.
        reason: String,
    },
    /// What is stored is not what was stored.
    #[error("the credential store `{place}` is damaged: {reason}")]
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "the credential store `{place}` has the form `{found}`, which this version does not know"
    )]
    TooNew {
        /// Where it is.
        place: String,
        /// The form that it says it has.
        found: String,
    },
    /// The key that was given does not open the store.
    #[error("the {key} does not open the credential store `{place}`")]
    WrongKey {
        /// What was tried, such as `passphrase`.
        key: &'static str,
        /// Where the store is.
        place: String,
    },
    /// The key that opens the store is not at hand.
    #[error("the {key} of the credential store `{place}` is not at hand: {reason}")]
    NoKey {
        /// What is needed, such as `passphrase`.
        key: &'static str,
        /// Where the store is.
        place: String,
        /// Where it was looked for.
        reason: String,
    },
    /// The key that is at hand must not be used.
    #[error("the key in `{place}` cannot be used: {reason}")]
    UnsafeKey {
        /// Where the key is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret that cannot be kept.
    #[error("cannot keep secret `{name}`: {reason}")]
    Unfit {
        /// Its name.
        name: SecretName,
        /// What is wrong with its value.
        reason: &'static str,
    },
}

/// What is known of a secret without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedSecret {
    /// Its name.
    pub name: SecretName,
    /// When it was last set, where the store knows.
    pub set_at: Option<Timestamp>,
    /// Where it is kept, for people: a file, the address of a manager.
    pub kept_in: String,
}

/// A place that keeps secrets by name: a file, a manager of secrets.
///
/// Values come in and go out in [`SecretString`] alone.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value of the secret `name`; none when there is no such secret.
    ///
    /// # Errors
    /// Any [`SecretsError`].
    async fn get(&self, name: &SecretName) -> Result<Option<SecretString>, SecretsError>;

    /// Keeps `value` under `name`, in the place of what was there. Durable on return.
    ///
    /// # Errors
    /// Any [`SecretsError`]; the old value is kept then.
    async fn set(
        &self,
        name: &SecretName,
        value: SecretString,
        now: Timestamp,
    ) -> Result<ManagedSecret, SecretsError>;

    /// Forgets the secret `name`; says whether there was one. Durable on return.
    ///
    /// # Errors
    /// Any [`SecretsError`]; the secret is kept then.
    async fn remove(&self, name: &SecretName) -> Result<bool, SecretsError>;

    /// What is kept, by name in order. Needs no key.
    ///
    /// # Errors
    /// Any [`SecretsError`] but those of keys.
    async fn names(&self) -> Result<Vec<ManagedSecret>, SecretsError>;
}
