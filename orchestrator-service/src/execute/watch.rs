//! From the engine's observer to a queue that a front-end takes from.

use super::Happening;
use orchestrator_core::{
    event::{Event, Recorded},
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
pub(super) struct Queue {
    sender: Mutex<Option<mpsc::UnboundedSender<Happening>>>,
    /// The runs that `then` has started, in their order.
    chained: Mutex<Vec<RunId>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let (sender, happenings) = mpsc::unbounded_channel();
        let observer = Queue { sender: Mutex::new(Some(sender)), chained: Mutex::default() };
        Self { observer: Arc::new(observer), happenings }
    }
}

impl Queue {
    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The runs that `then` has started so far, of any run that is driven here.
    pub(super) fn chained(&self) -> Vec<RunId> {
        self.chained.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(&self, happening: Happening) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(_)) = sender.as_ref().map(|sender| sender.send(happening)) {
            sender.take();
        }
    }
}

impl Observer for Queue {
    fn recorded(&self, run: &RunId, events: &[Recorded]) {
        for event in events {
            if let Event::ChainStarted { run, failure: None } = &event.event {
                let mut chained = self.chained.lock().unwrap_or_else(PoisonError::into_inner);
                chained.push(run.clone());
            }
            let recorded = Box::new(event.clone());
            self.send(Happening::Recorded { run: run.clone(), recorded });
        }
    }

    fn progress(&self, run: &RunId, task: &TaskName, attempt: AttemptNumber, progress: &Progress) {
        let (run, task, progress) = (run.clone(), task.clone(), progress.clone());
        self.send(Happening::Progress { run, task, attempt, progress });
    }
}
