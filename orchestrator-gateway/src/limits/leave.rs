//! Leave to make one call.

use super::{AccountState, Counted, flow::Taken};
use orchestrator_core::{time::Timestamp, usage::Usage};
use std::sync::atomic::Ordering;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// Leave to make one call; it takes a place until it is dropped. What is not told of it stays as it
/// was estimated, and says nothing of the account.
#[derive(Debug)]
pub(crate) struct Leave {
    state: AccountState,
    model: Box<str>,
    pub(super) taken: Option<Taken>,
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// Whether the breaker waits for how it ends.
    pub(super) is_probe: bool,
}

impl Leave {
    pub(super) fn new(state: AccountState, model: &str) -> Self {
        state.inner.load.fetch_add(1, Ordering::Relaxed);
        Self { state, model: model.into(), taken: None, place: None, is_probe: false }
    }

    /// The call has used `usage` in all.
    pub(crate) fn used(&mut self, usage: &Usage) {
        let Some(taken) = self.taken.take() else { return };
        // A cache that serves a part of the prompt spares the limit of its input, as the providers
        // say that have one.
        let really = Counted {
            all: usage.total().0,
            input: usage.input.0.saturating_add(usage.cache_write.0),
            output: usage.output.0,
        };
        let now = Instant::now();
        let mut flow = self.state.flow();
        flow.correct(taken, really, now);
        flow.answered(&self.model, usage.output.0, now);
        drop(flow);
        self.state.inner.freed.notify_waiters();
    }

    /// The provider refused the call: it has used no tokens.
    pub(crate) fn used_nothing(&mut self) {
        if let Some(taken) = self.taken.take() {
            let none = Counted { all: 0, input: 0, output: 0 };
            self.state.flow().correct(taken, none, Instant::now());
            self.state.inner.freed.notify_waiters();
        }
    }

    /// The call was not made.
    pub(crate) fn not_made(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.state.flow().undo(taken, Instant::now());
            self.state.inner.freed.notify_waiters();
        }
    }

    /// The other side is well: it has answered, if only that it will not.
    pub(crate) fn went_well(&mut self) {
        self.is_probe = false;
        self.state.breaker().succeeded();
    }

    /// The call ended in a way that speaks against the other side.
    pub(crate) fn failed(&mut self, now: Timestamp) {
        self.is_probe = false;
        self.state.breaker().failed(now);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.state.inner.load.fetch_sub(1, Ordering::Relaxed);
        if self.is_probe {
            self.state.breaker().abandoned();
        }
    }
}
