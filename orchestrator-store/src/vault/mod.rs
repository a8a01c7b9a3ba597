//! Secrets in one encrypted file.
//!
//! Each secret is sealed with AES-256-GCM under a random data key, its name and the file's id bound
//! to it. The data key is sealed in the same file under a key that is kept elsewhere: in a key file, in
//! the keyring of the operating system, or in somebody's head as a passphrase. So `rotate` and a new
//! passphrase need no second copy of anything, and the file alone tells nobody more than names.
//!
//! The file is replaced as a whole, under a lock that every writer holds: a crash leaves the old or
//! the new content, and two processes do not lose each other's entries. What cannot be read is
//! never written over.

mod document;
mod file;
mod key_file;
mod keys;
mod open;
mod passphrase;
mod seal;

pub use file::FileVault;
pub use keys::{Ask, KeyPlace, Keyring, Keys};
