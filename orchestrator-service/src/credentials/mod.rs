//! Credentials: where secrets are kept, which of them are known, and what keeps them from being
//! shown.

mod answers;
mod guard;
mod incoming;
mod keyring;
mod known;
mod place;
mod reveal;
mod store;

pub(crate) use answers::GuardedResponses;
pub(crate) use guard::{Guard, Guarded};
pub use known::{HidingWriter, KnownSecrets};
pub use place::{AskPassphrase, Passphrase};
pub use store::KeyChange;
