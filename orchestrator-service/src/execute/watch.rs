//! From the engine's observer to a queue that a front-end takes from.

use super::Happening;
use orchestrator_core::{
    event::Recorded,
    id::{AttemptNumber, RunId, TaskName},
    port::{Observer, Progress},
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Both ends of the queue.
pub(super) struct Watch {
    pub(super) observer: Arc<Queue>,
    pub(super) happenings: mpsc::UnboundedReceiver<Happening>,
}

/// The end that the engine fills.
#[derive(Debug)]
pub(super) struct Queue(Mutex<Option<mpsc::UnboundedSender<Happening>>>);

impl Watch {
    pub(super) fn new() -> Self {
        let (sender, happenings) = mpsc::unbounded_channel();
        Self { observer: Arc::new(Queue(Mutex::new(Some(sender)))), happenings }
    }
}

impl Queue {
    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn send(&self, happening: Happening) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(_)) = sender.as_ref().map(|sender| sender.send(happening)) {
            sender.take();
        }
    }
}

impl Observer for Queue {
    fn recorded(&self, _: &RunId, events: &[Recorded]) {
        for event in events {
            self.send(Happening::Recorded(Box::new(event.clone())));
        }
    }

    fn progress(&self, _: &RunId, task: &TaskName, attempt: AttemptNumber, progress: &Progress) {
        let progress = progress.clone();
        self.send(Happening::Progress { task: task.clone(), attempt, progress });
    }
}
