//! The engine's side of a running attempt: its log, its progress, its order to stop.

use super::Shared;
use crate::{
    command::AttemptKey,
    id::RunId,
    port::{AttemptHost, LogLine, Progress},
    time::Timestamp,
};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The most lines that are kept of one attempt; what is beyond them is counted.
pub(super) const MAX_LINES: usize = 5_000;

/// The most bytes of them.
pub(super) const MAX_BYTES: usize = 512 * 1024;

/// The longest line; the rest of it is cut.
const MAX_LINE: usize = 8 * 1024;

/// What an attempt has said and the log does not have yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) lines: Vec<LogLine>,
    pub(super) dropped: u64,
    kept_lines: usize,
    kept_bytes: usize,
}

/// Shared between the attempt, which writes, and the driver, which makes it durable.
pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    pub(super) run: RunId,
    pub(super) key: AttemptKey,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) pending: Arc<Mutex<Pending>>,
}

impl Pending {
    fn push(&mut self, mut line: LogLine) {
        if line.text.len() > MAX_LINE {
            let end = (0..=MAX_LINE).rev().find(|&i| line.text.is_char_boundary(i)).unwrap_or(0);
            line.text.truncate(end);
            line.text.push('…');
        }
        if self.kept_lines >= MAX_LINES || self.kept_bytes + line.text.len() > MAX_BYTES {
            self.dropped += 1;
            return;
        }
        self.kept_lines += 1;
        self.kept_bytes += line.text.len();
        self.lines.push(line);
    }

    /// Takes what is new, if anything is.
    pub(super) fn take(&mut self) -> Option<(Vec<LogLine>, u64)> {
        if self.lines.is_empty() && self.dropped == 0 {
            return None;
        }
        Some((std::mem::take(&mut self.lines), std::mem::take(&mut self.dropped)))
    }
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn progress(&self, progress: Progress) {
        for observer in &self.shared.observers {
            observer.progress(&self.run, &self.key.task, self.key.attempt, &progress);
        }
    }

    async fn cancelled(&self) {
        let mut stop = self.stop.clone();
        // The sender lives as long as the driver: without one there is nobody left to work for.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}
