//! Ctrl-C and its kin: the first time politely, the second time at once.

use crate::problem::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for what asks the process to stop.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    /// Starts to listen; from now on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// A system that refuses a handler.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::environment(&error));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    /// Resolves when one of them arrives. Dropping it loses nothing.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
