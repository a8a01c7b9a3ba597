//! What an attempt and the driver of its run share: what was said, whether to stop, what a person
//! answered.

use crate::{
    event::{Message, Reply},
    id::{MessageNumber, QuestionNumber},
    port::{LogLine, Steer},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, watch};

/// The most lines that are kept of one attempt; what is beyond them is counted.
const MAX_LINES: usize = 5_000;

/// The most bytes of them.
const MAX_BYTES: usize = 512 * 1024;

/// The longest line; the rest of it is cut.
const MAX_LINE: usize = 8 * 1024;

/// Whether an attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Stop {
    #[default]
    No,
    /// Once the turn in progress is done: the task goes on later.
    Pause,
    /// At once: the task goes on when somebody drives its run again.
    PutDown,
    /// At once, and for good.
    Now,
}

impl Stop {
    /// Whether the task goes on later.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Pause | Self::PutDown)
    }
}

/// Whether an attempt is to stop, and how many of its turns are in progress.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    stop: Stop,
    open: u32,
}

impl Order {
    fn is_due(self) -> bool {
        match self.stop {
            Stop::No => false,
            Stop::Pause => self.open == 0,
            Stop::PutDown | Stop::Now => true,
        }
    }
}

/// The desk of an attempt.
#[derive(Debug, Default)]
pub(super) struct Desk {
    order: watch::Sender<Order>,
    pending: Mutex<Pending>,
    answers: Mutex<Vec<(QuestionNumber, Reply)>>,
    answered: Notify,
    messages: Mutex<Messages>,
    steered: Notify,
}

/// Messages that the attempt has not been given.
#[derive(Debug, Default)]
struct Messages {
    waiting: VecDeque<Message>,
    /// The last one that came: an attempt that has just begun may be sent one that it began with.
    last: MessageNumber,
}

/// What an attempt has said and the log does not have yet.
#[derive(Debug, Default)]
struct Pending {
    lines: Vec<LogLine>,
    dropped: u64,
    kept_lines: usize,
    kept_bytes: usize,
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Tells the attempt to stop; a milder order does not replace a stricter one.
    pub(super) fn stop(&self, how: Stop) {
        self.order.send_modify(|order| order.stop = order.stop.max(how));
    }

    /// What it was told.
    pub(super) fn told(&self) -> Stop {
        self.order.borrow().stop
    }

    /// Resolves when the attempt has to stop, which a pause does not ask for within a turn.
    pub(super) async fn stopped(&self) {
        // The sender is this desk's own, so it outlives the wait.
        let _ = self.order.subscribe().wait_for(|order| order.is_due()).await;
    }

    /// Opens a turn, unless the attempt was told to stop.
    pub(super) fn open_turn(&self) -> bool {
        let mut opened = false;
        self.order.send_if_modified(|order| {
            opened = order.stop == Stop::No;
            order.open += u32::from(opened);
            false
        });
        opened
    }

    /// Closes a turn that was opened.
    pub(super) fn close_turn(&self) {
        self.order.send_modify(|order| order.open = order.open.saturating_sub(1));
    }

    /// Adds a line to what the attempt says.
    pub(super) fn say(&self, line: LogLine) {
        lock(&self.pending).push(line);
    }

    /// Takes what is new, if anything is.
    pub(super) fn said(&self) -> Option<(Vec<LogLine>, u64)> {
        let mut pending = lock(&self.pending);
        if pending.lines.is_empty() && pending.dropped == 0 {
            return None;
        }
        Some((std::mem::take(&mut pending.lines), std::mem::take(&mut pending.dropped)))
    }

    /// Hands over what a person answered to `question`.
    pub(super) fn answer(&self, question: QuestionNumber, reply: Reply) {
        lock(&self.answers).push((question, reply));
        self.answered.notify_waiters();
    }

    /// Hands over a message.
    pub(super) fn steer(&self, message: Message) {
        let mut messages = lock(&self.messages);
        if message.number > messages.last {
            messages.last = message.number;
            messages.waiting.push_back(message);
            self.steered.notify_waiters();
        }
    }

    /// Waits for the next message. It is taken only when this resolves.
    pub(super) async fn next_message(&self) -> Steer {
        loop {
            let mut steered = std::pin::pin!(self.steered.notified());
            steered.as_mut().enable();
            if let Some(message) = lock(&self.messages).waiting.pop_front() {
                return message.steer();
            }
            steered.await;
        }
    }

    /// Waits for what a person answers to `question`.
    pub(super) async fn answer_to(&self, question: QuestionNumber) -> Reply {
        loop {
            let mut answered = std::pin::pin!(self.answered.notified());
            answered.as_mut().enable();
            let found = lock(&self.answers).iter().position(|(of, _)| *of == question);
            if let Some(index) = found {
                return lock(&self.answers).swap_remove(index).1;
            }
            answered.await;
        }
    }
}
