//! Keys from passphrases: Argon2id (RFC 9106), with its cost in the file.

use super::seal::{Broken, Bytes, KEY, Key, random};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use orchestrator_core::secret::SecretString;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// The fewest characters of a passphrase that is set.
pub(super) const SHORTEST: usize = 8;

/// What is read must lie within these: whoever changes the file can neither make guessing cheap nor
/// have the machine run out of memory. The floors are the least that OWASP's cheat sheet on storing
/// passwords names for Argon2id.
const MEMORY_KIB: RangeInclusive<u32> = 19 * 1024..=1024 * 1024;
const PASSES: RangeInclusive<u32> = 2..=64;
const LANES: RangeInclusive<u32> = 1..=16;
const SALT: RangeInclusive<usize> = 16..=64;

/// What a guess costs, and the salt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Bytes,
}

impl Cost {
    /// The second choice of RFC 9106, section 4, with a new salt: 64 MiB, 3 passes, 4 lanes.
    pub(super) fn usual() -> Result<Self, Broken> {
        let salt = Bytes(random::<16>()?.to_vec());
        Ok(Self { memory_kib: 64 * 1024, passes: 3, lanes: 4, salt })
    }

    /// All of it in a line, to be bound to what is sealed.
    pub(super) fn line(&self) -> String {
        let Self { memory_kib, passes, lanes, salt } = self;
        format!("argon2id m={memory_kib} t={passes} p={lanes} s={:02x?}", salt.0)
    }

    /// Why this cost must not be used, if it must not.
    pub(super) fn judge(&self) -> Result<(), &'static str> {
        let fits = MEMORY_KIB.contains(&self.memory_kib)
            && PASSES.contains(&self.passes)
            && LANES.contains(&self.lanes)
            && SALT.contains(&self.salt.0.len());
        fits.then_some(()).ok_or("what a guess at the passphrase costs is not within bounds")
    }

    /// The key that `passphrase` makes. Takes as long as it should: tenths of a second.
    pub(super) fn key(&self, passphrase: &SecretString) -> Result<Key, Broken> {
        self.judge().map_err(|_| Broken)?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY));
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| Broken)?);
        let mut key: Key = Zeroizing::new([0; KEY]);
        let mut memory = Zeroizing::new(vec![Block::default(); argon2.params().block_count()]);
        let text = passphrase.expose().as_bytes();
        argon2
            .hash_password_into_with_memory(text, &self.salt.0, key.as_mut(), memory.as_mut_slice())
            .map_err(|_| Broken)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(memory_kib: u32, passes: u32, lanes: u32, salt: &[u8]) -> Cost {
        Cost { memory_kib, passes, lanes, salt: Bytes(salt.to_vec()) }
    }

    #[test]
    fn the_key_is_that_of_argon2id() {
        // As OpenSSL's `openssl kdf` makes it with ARGON2ID: pass `correct horse`, this salt, iter 2,
        // lanes 1, memcost 19456.
        let key = cost(19_456, 2, 1, b"0123456789abcdef").key(&SecretString::new("correct horse"));
        let hex: String = key.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ae4d8c8b713876044c8347c76986a9b5655944aaacfffe9bea4dff9e7b6a1899");
    }

    #[test]
    fn a_cost_out_of_bounds_is_refused_before_it_is_paid() {
        assert_eq!(Cost::usual().unwrap().judge(), Ok(()));
        let salt = [0; 16];
        for bad in [
            cost(8, 2, 1, &salt),
            cost(u32::MAX, 2, 1, &salt),
            cost(19_456, 1, 1, &salt),
            cost(19_456, u32::MAX, 1, &salt),
            cost(19_456, 2, 0, &salt),
            cost(19_456, 2, 1_000, &salt),
            cost(19_456, 2, 1, &salt[..8]),
            cost(19_456, 2, 1, &[0; 1_000]),
        ] {
            assert!(bad.judge().is_err(), "{bad:?}");
            assert!(bad.key(&SecretString::new("correct horse")).is_err(), "{bad:?}");
        }
    }
}
