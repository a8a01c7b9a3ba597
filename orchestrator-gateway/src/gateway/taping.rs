//! Recording what passes, and answering from what was recorded.

use super::Gateway;
use crate::cassette::{Player, Recorder};
use std::sync::Arc;

/// What stands beside the accounts, or in their place.
#[derive(Debug)]
pub(super) enum Tape {
    /// Every exchange is written down.
    Recorder(Recorder),
    /// Answers come from here, and no account is called.
    Player(Arc<Player>),
}

impl Gateway {
    /// The same that writes every exchange into a cassette. A call whose exchange cannot be written
    /// fails, with what it cost.
    #[must_use]
    pub fn recording(mut self, recorder: Recorder) -> Self {
        self.tape = Some(Tape::Recorder(recorder));
        self
    }

    /// The same that answers from a cassette: no key is needed, no connection is made, no limit,
    /// breaker or budget is asked, and nothing is spent. Usage and costs are told as they were
    /// recorded.
    #[must_use]
    pub fn replaying(mut self, player: impl Into<Arc<Player>>) -> Self {
        self.tape = Some(Tape::Player(player.into()));
        self
    }
}
