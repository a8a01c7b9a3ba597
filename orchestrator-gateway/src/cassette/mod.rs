//! Cassettes: every exchange with models in a file, to be answered from later.
//!
//! A [`Recorder`] writes what passes through a gateway; a [`Player`] answers from a [`Cassette`], with
//! no key, no connection and no cost. A request finds its record by all that it says; among records
//! of equal requests first one of the same task and attempt, then one of the same task, then whichever
//! is next; each is given out once.
//!
//! Programs that call through the [front](crate::front) are recorded as HTTP, byte for byte.
//!
//! A call that was stopped is recorded as far as it had come, with who stopped it. In a replay it comes
//! as far again; then it breaks off where the provider had broken it off, and where the caller had
//! stopped it nothing more comes until the caller stops it again.
//!
//! The file is JSON lines: a [`Header`], then one exchange a line in the order in which they ended.
//! Known secrets are hidden in each line before it is written. A request is compared in the same form,
//! so that a prompt with a secret finds its record where the secret is known; where it is not, a
//! hidden place of the record stands for any text.

mod error;
mod exchange;
mod file;
mod http;
mod nearest;
mod player;
mod recorder;
mod request;
mod scrub;

#[cfg(test)]
mod tests;

pub use error::CassetteError;
pub use file::{Cassette, Header, SCHEMA};
pub use player::Player;
pub use recorder::Recorder;
pub use scrub::Known;

pub(crate) use exchange::{Stopped, StoppedBy};
pub(crate) use http::{Body, HttpResponse, asked};
pub(crate) use player::{HttpPlayed, unstopped};
pub(crate) use recorder::{Begun, Pending};

use async_trait::async_trait;
use orchestrator_core::id::RunId;

/// Says which task a run is part of. Names of tasks tell equal requests apart, and the ids of runs
/// are others each time.
#[async_trait]
pub trait Places: Send + Sync {
    /// The task that started `run`, after the names of the tasks above it with `/` between them;
    /// nothing when no task did.
    async fn above(&self, run: &RunId) -> Option<String>;
}
