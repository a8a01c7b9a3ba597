//! The credential file as it is written: `orchestrator.credentials/v1`.

use super::{
    passphrase::Cost,
    seal::{Broken, Bytes, Key, Sealed, random},
};
use orchestrator_core::{id::SecretName, port::SecretsError, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};
use zeroize::Zeroizing;

/// The schema of the file.
const SCHEMA: &str = "orchestrator.credentials/v1";
/// What the schema of every version begins with.
const FAMILY: &str = "orchestrator.credentials/v";
/// The most bytes that are read: more than any use makes, and little for any machine.
pub(super) const LONGEST: u64 = 16 << 20;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    schema: String,
    /// Random: what is sealed for one file does not open in another.
    id: Bytes,
    /// How many data keys there have been.
    generation: u64,
    key: KeyRecord,
    secrets: BTreeMap<SecretName, SecretRecord>,
}

/// The data key, sealed under a key that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRecord {
    pub(super) source: Source,
    data_key: Sealed,
}

/// Where the key is kept that opens the data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Source {
    /// A key file; without a path the usual one.
    KeyFile {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
    },
    /// A passphrase.
    Passphrase { argon2id: Cost },
    /// An entry of the keyring of the operating system.
    Keyring { entry: String },
}

impl Source {
    /// What is bound to the data key. The path of a key file is not: the file may be moved.
    fn line(&self) -> String {
        match self {
            Self::KeyFile { .. } => "key-file".into(),
            Self::Passphrase { argon2id } => format!("passphrase {}", argon2id.line()),
            Self::Keyring { entry } => format!("keyring {entry}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRecord {
    set_at_ms: Timestamp,
    value: Sealed,
}

impl Document {
    /// A file without secrets, and its data key.
    pub(super) fn new(source: Source, key: &Key, data_key: &Key) -> Result<Self, Broken> {
        let id = Bytes(random::<16>()?.to_vec());
        Self::make(id, 1, source, key, data_key)
    }

    fn make(
        id: Bytes,
        generation: u64,
        source: Source,
        key: &Key,
        data_key: &Key,
    ) -> Result<Self, Broken> {
        let bound = bound(&id, generation, &["data key", &source.line()]);
        let data_key = Sealed::new(key, &bound, data_key.as_slice())?;
        let key = KeyRecord { source, data_key };
        Ok(Self { schema: SCHEMA.into(), id, generation, key, secrets: BTreeMap::new() })
    }

    /// Reads the bytes of the file `place`.
    ///
    /// # Errors
    /// What is no credential file, or one of a newer version. Nothing of its content is repeated:
    /// somebody may have written a key into it by hand.
    pub(super) fn read(bytes: &[u8], place: &str) -> Result<Self, SecretsError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let damaged = |reason: String| SecretsError::Damaged { place: place.into(), reason };
        let wrong = |error: serde_json::Error| {
            damaged(format!(
                "line {}, column {} is not as it was written",
                error.line(),
                error.column()
            ))
        };
        let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
        if head.schema != SCHEMA {
            let version = head.schema.strip_prefix(FAMILY).and_then(|v| v.parse::<u32>().ok());
            return Err(match version {
                Some(version) => SecretsError::TooNew {
                    place: place.into(),
                    found: format!("{FAMILY}{version}"),
                },
                None => damaged("it is not a credential file".into()),
            });
        }
        let document: Self = serde_json::from_slice(bytes).map_err(wrong)?;
        if let Source::Passphrase { argon2id } = &document.key.source {
            argon2id.judge().map_err(|reason| damaged(reason.into()))?;
        }
        Ok(document)
    }

    /// The bytes of the file.
    pub(super) fn write(&self) -> Result<Vec<u8>, Broken> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|_| Broken)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn source(&self) -> &Source {
        &self.key.source
    }

    /// What tells one data key from another.
    pub(super) fn version(&self) -> (Vec<u8>, u64) {
        (self.id.0.clone(), self.generation)
    }

    /// The data key, opened with `key`; none when it is another's.
    pub(super) fn data_key(&self, key: &Key) -> Option<Key> {
        let parts = ["data key", &self.key.source.line()];
        let opened = self.key.data_key.open(key, &bound(&self.id, self.generation, &parts))?;
        opened.as_slice().try_into().ok().map(Zeroizing::new)
    }

    /// The names with the instants at which they were set.
    pub(super) fn names(&self) -> impl Iterator<Item = (&SecretName, Timestamp)> {
        self.secrets.iter().map(|(name, record)| (name, record.set_at_ms))
    }

    /// Whether there is a secret of that name.
    pub(super) fn has(&self, name: &SecretName) -> bool {
        self.secrets.contains_key(name)
    }

    /// The value of `name`: none when there is no such secret, and none within when it does not
    /// open with the data key.
    pub(super) fn get(
        &self,
        name: &SecretName,
        data_key: &Key,
    ) -> Option<Option<Zeroizing<Vec<u8>>>> {
        let record = self.secrets.get(name)?;
        Some(record.value.open(data_key, &self.bound(name, record.set_at_ms)))
    }

    /// Seals `value` under the data key as `name`.
    pub(super) fn set(
        &mut self,
        name: &SecretName,
        value: &[u8],
        at: Timestamp,
        data_key: &Key,
    ) -> Result<(), Broken> {
        let value = Sealed::new(data_key, &self.bound(name, at), value)?;
        self.secrets.insert(name.clone(), SecretRecord { set_at_ms: at, value });
        Ok(())
    }

    /// Forgets `name`; says whether it was there.
    pub(super) fn remove(&mut self, name: &SecretName) -> bool {
        self.secrets.remove(name).is_some()
    }

    /// The same secrets, all sealed anew under `new_data_key`, which `key` opens.
    ///
    /// # Errors
    /// The name of a secret that does not open, or that nothing can be sealed.
    pub(super) fn rotated(
        &self,
        data_key: &Key,
        source: Source,
        key: &Key,
        new_data_key: &Key,
    ) -> Result<Self, Option<SecretName>> {
        let generation = self.generation.checked_add(1).ok_or(None)?;
        let made = Self::make(self.id.clone(), generation, source, key, new_data_key);
        let mut made = made.map_err(|Broken| None)?;
        for (name, at) in self.names() {
            let value = self.get(name, data_key).flatten().ok_or_else(|| Some(name.clone()))?;
            made.set(name, &value, at, new_data_key).map_err(|Broken| None)?;
        }
        Ok(made)
    }

    fn bound(&self, name: &SecretName, at: Timestamp) -> String {
        bound(&self.id, self.generation, &["secret", name.as_str(), &at.0.to_string()])
    }
}

/// What is sealed along: which file, which data key, and what it is. No part holds a line feed.
fn bound(id: &Bytes, generation: u64, parts: &[&str]) -> String {
    format!("{SCHEMA}\n{:02x?}\n{generation}\n{}", id.0, parts.join("\n"))
}
