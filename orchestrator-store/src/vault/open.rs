//! From what the file says about its key to the key itself.

use super::{
    document::{Document, Source},
    file::FileVault,
    key_file,
    keys::{Ask, KeyPlace},
    passphrase::{Cost, SHORTEST},
    seal::{KEY, Key, random, random_key},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use orchestrator_core::{port::SecretsError, secret::SecretString};
use std::path::PathBuf;
use zeroize::Zeroizing;

impl FileVault {
    /// The data key of `document`: opened once for each data key that this value meets.
    pub(super) fn data_key(&self, document: &Document) -> Result<Key, SecretsError> {
        let version = document.version();
        let mut opened = self.opened();
        if let Some((known, key)) = opened.as_ref()
            && *known == version
        {
            return Ok(key.clone());
        }
        let (_, data_key) = self.keys_of(document)?;
        *opened = Some((version, data_key.clone()));
        Ok(data_key)
    }

    /// The key that is kept elsewhere, and the data key that it opens.
    pub(super) fn keys_of(&self, document: &Document) -> Result<(Key, Key), SecretsError> {
        let source = document.source();
        let key = match source {
            Source::KeyFile { path } => {
                let path = self.key_file(path.clone())?;
                let missing = || self.no_key(source, format!("there is no `{}`", path.display()));
                key_file::read(&path)?.ok_or_else(missing)?
            }
            Source::Passphrase { argon2id } => {
                let passphrase = self.keys.passphrase.as_ref()(Ask::Open);
                let nobody = || self.no_key(source, "nobody can be asked for it".into());
                argon2id.key(&passphrase.ok_or_else(nobody)?).map_err(|_| self.broken())?
            }
            Source::Keyring { entry } => {
                let found = self.keys.keyring.read(entry);
                let found = found.map_err(|reason| self.no_key(source, reason))?;
                let missing =
                    || self.no_key(source, format!("it has no entry `{entry}`, or is locked"));
                let key = decoded(&found.ok_or_else(missing)?);
                key.ok_or_else(|| self.no_key(source, format!("its entry `{entry}` is no key")))?
            }
        };
        match document.data_key(&key) {
            Some(data_key) => Ok((key, data_key)),
            None => {
                Err(SecretsError::WrongKey { key: place(source).as_str(), place: self.shown() })
            }
        }
    }

    /// A key for what is to be sealed anew, kept in `place`.
    pub(super) fn new_key(&self, place: &KeyPlace) -> Result<(Source, Key), SecretsError> {
        match place {
            KeyPlace::KeyFile(path) => {
                let at = self.key_file(path.clone())?;
                let key = key_file::read_or_make(&at)?;
                // Where the key is found by itself, the file need not name it.
                let usual = self.keys.usual_key_file.as_ref() == Some(&at);
                Ok((Source::KeyFile { path: (!usual).then_some(at) }, key))
            }
            KeyPlace::Passphrase => {
                let passphrase = self.keys.passphrase.as_ref()(Ask::New);
                let passphrase = passphrase.ok_or_else(|| SecretsError::NoKey {
                    key: "new passphrase",
                    place: self.shown(),
                    reason: "nobody can be asked for it".into(),
                })?;
                self.judge(&passphrase)?;
                let argon2id = Cost::usual().map_err(|_| self.broken())?;
                let key = argon2id.key(&passphrase).map_err(|_| self.broken())?;
                Ok((Source::Passphrase { argon2id }, key))
            }
            KeyPlace::Keyring => {
                // A name of its own for every key: a copy of an older file can still be opened.
                let entry = random::<8>().map_err(|_| self.broken())?;
                let entry = entry.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                let key = random_key().map_err(|_| self.broken())?;
                let value = SecretString::new(BASE64_STANDARD.encode(key.as_slice()));
                let source = Source::Keyring { entry };
                self.keep_in_keyring(&source, &value)?;
                Ok((source, key))
            }
        }
    }

    /// Keeps `value` where `source` says, and reads it back: a keyring that forgets would lose every
    /// secret.
    fn keep_in_keyring(&self, source: &Source, value: &SecretString) -> Result<(), SecretsError> {
        let Source::Keyring { entry } = source else { return Ok(()) };
        let failed = |reason| self.no_key(source, reason);
        self.keys.keyring.keep(entry, value).map_err(failed)?;
        let kept = self.keys.keyring.read(entry).map_err(failed)?;
        match kept.is_some_and(|kept| kept.expose() == value.expose()) {
            true => Ok(()),
            false => Err(failed("it does not keep what it is given".into())),
        }
    }

    fn judge(&self, passphrase: &SecretString) -> Result<(), SecretsError> {
        if passphrase.expose().chars().count() >= SHORTEST {
            return Ok(());
        }
        Err(SecretsError::UnsafeKey {
            place: "the passphrase".into(),
            reason: format!("it has fewer than {SHORTEST} characters"),
        })
    }

    /// The key file that is meant: the one that is named, else the one that the file names.
    pub(super) fn key_file(&self, path: Option<PathBuf>) -> Result<PathBuf, SecretsError> {
        let keys = &self.keys;
        let path = keys.named_key_file.clone().or(path).or_else(|| keys.usual_key_file.clone());
        path.ok_or_else(|| SecretsError::NoKey {
            key: KeyPlace::KeyFile(None).as_str(),
            place: self.shown(),
            reason: "there is no place for it".into(),
        })
    }

    fn no_key(&self, source: &Source, reason: String) -> SecretsError {
        SecretsError::NoKey { key: place(source).as_str(), place: self.shown(), reason }
    }
}

/// Where a key is kept, to go on like that.
pub(super) fn place(source: &Source) -> KeyPlace {
    match source {
        Source::KeyFile { path } => KeyPlace::KeyFile(path.clone()),
        Source::Passphrase { .. } => KeyPlace::Passphrase,
        Source::Keyring { .. } => KeyPlace::Keyring,
    }
}

/// A key as it is kept in a keyring, which takes text alone.
fn decoded(text: &SecretString) -> Option<Key> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.expose().trim()).ok()?);
    let key: [u8; KEY] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(key))
}
