//! Where the key comes from that opens the file.

use orchestrator_core::secret::SecretString;
use std::{fmt, path::PathBuf, sync::Arc};

/// What a passphrase is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To open the file.
    Open,
    /// To set it, in the place of another key or none.
    New,
}

/// Where the key of a file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// In a file of 32 bytes; `None` is the usual one. It is made when it is missing.
    KeyFile(Option<PathBuf>),
    /// In somebody's head.
    Passphrase,
    /// In the keyring of the operating system, which opens it when somebody signs in.
    Keyring,
}

impl KeyPlace {
    /// Its name: `key file`, `passphrase` or `keyring`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::KeyFile(_) => "key file",
            Self::Passphrase => "passphrase",
            Self::Keyring => "keyring",
        }
    }
}

/// The keyring of the operating system. Its calls may wait for somebody who unlocks it.
///
/// An error is the reason in words: there is no keyring, it stays locked, it does not answer.
pub trait Keyring: Send + Sync {
    /// What is kept under `entry`; none when there is nothing.
    ///
    /// # Errors
    /// A keyring that cannot be read.
    fn read(&self, entry: &str) -> Result<Option<SecretString>, String>;

    /// Keeps `value` under `entry`, in the place of what was there.
    ///
    /// # Errors
    /// A keyring that cannot be written.
    fn keep(&self, entry: &str, value: &SecretString) -> Result<(), String>;
}

/// The keys that are at hand.
#[derive(Clone)]
pub struct Keys {
    /// The key file when nothing else is said. None where nobody knows a place for it.
    pub usual_key_file: Option<PathBuf>,
    /// The key file that is meant whatever the credential file says.
    pub named_key_file: Option<PathBuf>,
    /// Gives a passphrase, or none when there is nobody to ask.
    pub passphrase: Arc<dyn Fn(Ask) -> Option<SecretString> + Send + Sync>,
    /// The keyring of this system.
    pub keyring: Arc<dyn Keyring>,
    /// Where the key of a new file is kept.
    pub for_new: KeyPlace,
}

impl fmt::Debug for Keys {
    /// The places alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("usual_key_file", &self.usual_key_file)
            .field("named_key_file", &self.named_key_file)
            .field("for_new", &self.for_new)
            .finish_non_exhaustive()
    }
}
