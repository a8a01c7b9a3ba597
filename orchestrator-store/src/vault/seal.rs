//! AES-256-GCM, and random bytes: the one place that touches either.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use zeroize::{Zeroize, Zeroizing};

/// The length of every key here, in bytes.
pub(super) const KEY: usize = 32;

/// A key, overwritten when it is dropped.
pub(super) type Key = Zeroizing<[u8; KEY]>;

/// Neither the key nor anything else may be used: the random source or the cipher has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Fills an array with random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Broken> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Broken)?;
    Ok(bytes)
}

/// A random key.
pub(super) fn random_key() -> Result<Key, Broken> {
    random().map(Zeroizing::new)
}

/// Something sealed: bytes that only its key opens, for the one use that it was sealed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    /// Random, and so never the same twice under one key: there are far fewer than the 2^32
    /// messages for which that holds (NIST SP 800-38D, section 8.3).
    nonce: Bytes,
    /// The content, with the tag of 16 bytes behind it.
    sealed: Bytes,
}

impl Sealed {
    /// Seals `content` under `key` for the use that `bound` names.
    pub(super) fn new(key: &Key, bound: &str, content: &[u8]) -> Result<Self, Broken> {
        let nonce: [u8; NONCE_LEN] = random()?;
        // Room for the tag, so that no copy of the content is left behind by growing.
        let mut bytes = Vec::with_capacity(content.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(content);
        let (aad, once) = (Aad::from(bound), Nonce::assume_unique_for_key(nonce));
        match cipher(key)?.seal_in_place_append_tag(once, aad, &mut bytes) {
            Ok(()) => Ok(Self { nonce: Bytes(nonce.to_vec()), sealed: Bytes(bytes) }),
            Err(_) => {
                bytes.zeroize();
                Err(Broken)
            }
        }
    }

    /// The content; none when the key, the use or a byte of it is another.
    pub(super) fn open(&self, key: &Key, bound: &str) -> Option<Zeroizing<Vec<u8>>> {
        let nonce = Nonce::try_assume_unique_for_key(&self.nonce.0).ok()?;
        let mut bytes = Zeroizing::new(self.sealed.0.clone());
        let aad = Aad::from(bound);
        let length = cipher(key).ok()?.open_in_place(nonce, aad, &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

fn cipher(key: &Key) -> Result<LessSafeKey, Broken> {
    UnboundKey::new(&AES_256_GCM, key.as_slice()).map(LessSafeKey::new).map_err(|_| Broken)
}

/// Bytes, as base64 in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_use_open_it() {
        let key = random_key().unwrap();
        let sealed = Sealed::new(&key, "use", b"content").unwrap();
        assert_eq!(sealed.open(&key, "use").unwrap().as_slice(), b"content");
        assert!(sealed.open(&key, "another use").is_none());
        assert!(sealed.open(&random_key().unwrap(), "use").is_none());
        for at in 0..sealed.sealed.0.len() {
            let mut changed = sealed.clone();
            changed.sealed.0[at] ^= 1;
            assert!(changed.open(&key, "use").is_none(), "a bit flipped at {at} goes unnoticed");
            changed.sealed.0.truncate(at);
            assert!(changed.open(&key, "use").is_none(), "cut at {at} goes unnoticed");
        }
        let mut changed = sealed.clone();
        changed.nonce.0[0] ^= 1;
        assert!(changed.open(&key, "use").is_none());
        changed.nonce.0.clear();
        assert!(changed.open(&key, "use").is_none());
        assert_ne!(Sealed::new(&key, "use", b"content").unwrap(), sealed, "never the same twice");
    }
}
