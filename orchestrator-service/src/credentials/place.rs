//! Where the credential file and its key lie, and who gives a passphrase.

use super::{KnownSecrets, keyring::SystemKeyring};
use crate::Environment;
use orchestrator_core::secret::SecretString;
use orchestrator_store::vault::{Ask, FileVault, KeyPlace, Keys};
use std::{fmt, path::PathBuf, sync::Arc};

/// The name of the file in the directory of the user's settings.
const FILE: &str = "credentials.json";
/// The name of the usual key file in the directory of the user's data.
const KEY_FILE: &str = "credentials.key";
/// The passphrase of the file.
pub(super) const PASSPHRASE: &str = "ORCHESTRATOR_PASSPHRASE";
/// The passphrase that is to take its place.
pub(super) const NEW_PASSPHRASE: &str = "ORCHESTRATOR_NEW_PASSPHRASE";
/// The key file, in the place of any other.
const NAMED_KEY_FILE: &str = "ORCHESTRATOR_KEY_FILE";

/// Which passphrase is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passphrase {
    /// The one that opens the file.
    Current,
    /// One to be set: to be typed twice.
    New,
}

/// Asks a person for a passphrase; none when nobody can be asked or gives one. Called only where the
/// environment has none, on a thread that may wait.
#[derive(Clone)]
pub struct AskPassphrase(Arc<dyn Fn(Passphrase) -> Option<SecretString> + Send + Sync>);

impl AskPassphrase {
    /// Asks with `ask`.
    pub fn new(ask: impl Fn(Passphrase) -> Option<SecretString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl Default for AskPassphrase {
    /// Nobody is asked.
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for AskPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskPassphrase").finish_non_exhaustive()
    }
}

/// The user's credential file; none where neither `XDG_CONFIG_HOME` nor `HOME` says where it lies.
///
/// Only the process's own environment is asked: a project's `.env` chooses neither the key nor the
/// passphrase of the user's secrets.
pub(crate) fn vault(
    environment: &Environment,
    ask: &AskPassphrase,
    known: &KnownSecrets,
) -> Option<FileVault> {
    let path = environment.user_directory()?.join(FILE);
    Some(FileVault::new(path, keys(environment, ask, known, false)))
}

/// The keys that are at hand. With `changing` a passphrase that is set must be a new one: that of
/// the environment is the one that it takes the place of.
pub(super) fn keys(
    environment: &Environment,
    ask: &AskPassphrase,
    known: &KnownSecrets,
    changing: bool,
) -> Keys {
    let secret = |name: &str| environment.get(name).map(SecretString::new);
    let current = secret(PASSPHRASE);
    let new = secret(NEW_PASSPHRASE).or_else(|| current.clone().filter(|_| !changing));
    let named_key_file =
        environment.get(NAMED_KEY_FILE).map(|path| environment.directory.join(path));
    let for_new = match (&current, &named_key_file) {
        (Some(_), None) => KeyPlace::Passphrase,
        _ => KeyPlace::KeyFile(None),
    };
    let (ask, known) = (ask.clone(), known.clone());
    let passphrase = move |which| {
        let given = match which {
            Ask::Open => current.clone().or_else(|| ask.0(Passphrase::Current)),
            Ask::New => new.clone().or_else(|| ask.0(Passphrase::New)),
        };
        known.learn(given.clone());
        given
    };
    Keys {
        usual_key_file: usual_key_file(environment),
        named_key_file,
        passphrase: Arc::new(passphrase),
        keyring: Arc::new(SystemKeyring),
        for_new,
    }
}

fn usual_key_file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.data_directory()?.join(KEY_FILE))
}
