//! Keys that sign receipts.

use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use std::{fmt, str::FromStr};
use zeroize::Zeroizing;

/// A private key. It shows itself to nobody, and its bytes are wiped when it is dropped.
pub struct SigningKey {
    bytes: Zeroizing<Vec<u8>>,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new key from the randomness of the system.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the system has none.
    pub fn generate() -> Result<Self, KeyError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        Self::from_bytes(document.as_ref())
    }

    /// The key that [`SigningKey::to_bytes`] gave.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] when the bytes are no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyError::Invalid)?;
        Ok(Self { bytes: Zeroizing::new(bytes.to_vec()), pair })
    }

    /// The key as PKCS #8, version 2, to be kept where secrets are.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.bytes.clone()
    }

    /// What others know it by.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        hex(self.pair.sign(message).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

/// A public key: `ed25519:` and 64 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    pub(super) fn accepts(&self, message: &[u8], signature: &str) -> bool {
        unhex(signature).is_some_and(|signature| {
            UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature).is_ok()
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = text.strip_prefix("ed25519:").and_then(unhex);
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(KeyError::Invalid)
    }
}

/// What is no key, or cannot be made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system gives no randomness.
    #[error("cannot make a key: the system gives no randomness")]
    Random,
    /// It is no Ed25519 key.
    #[error("this is no Ed25519 key that can be read")]
    Invalid,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that lower-case hexadecimal digits stand for.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? * 16 + digit(*pair.get(1)?)?)).collect()
}
