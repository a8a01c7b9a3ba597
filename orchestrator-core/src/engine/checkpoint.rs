//! Recording the states of an attempt's place, beside its work.

use super::driver::Input;
use crate::{
    command::{AttemptKey, Command},
    id::TurnNumber,
    port::{WorkspaceOrder, Workspaces},
    workspace::Opened,
};
use std::sync::Arc;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

/// Records the states of one place, one after the other.
pub(super) struct Checkpoints {
    recorder: Arc<Recorder>,
    /// What is being recorded; it ends with the attempt.
    running: Mutex<JoinSet<()>>,
}

struct Recorder {
    workspaces: Arc<dyn Workspaces>,
    order: Arc<WorkspaceOrder>,
    opened: Arc<Opened>,
    key: AttemptKey,
    inbox: mpsc::UnboundedSender<Input>,
}

impl Checkpoints {
    pub(super) fn new(
        workspaces: Arc<dyn Workspaces>,
        order: Arc<WorkspaceOrder>,
        opened: Arc<Opened>,
        key: AttemptKey,
        inbox: mpsc::UnboundedSender<Input>,
    ) -> Self {
        let recorder = Arc::new(Recorder { workspaces, order, opened, key, inbox });
        Self { recorder, running: Mutex::default() }
    }

    /// Begins to record the state after `turn`.
    pub(super) async fn after(&self, turn: TurnNumber) {
        let recorder = self.recorder.clone();
        self.running.lock().await.spawn(async move { recorder.record(Some(turn)).await });
    }

    /// Waits until what was begun is recorded.
    pub(super) async fn settle(&self) {
        let mut running = self.running.lock().await;
        while running.join_next().await.is_some() {}
    }

    /// Records the state in which the attempt has left its place.
    pub(super) async fn last(&self) {
        self.settle().await;
        self.recorder.record(None).await;
    }
}

impl Recorder {
    /// Records the state; that it cannot be is no reason to stop the work.
    async fn record(&self, turn: Option<TurnNumber>) {
        match self.workspaces.checkpoint(&self.order, &self.opened, turn).await {
            Ok(None) => {}
            Ok(Some(checkpoint)) => {
                let (told, written) = oneshot::channel();
                let checkpoint = Box::new(checkpoint);
                let command = Command::NoteCheckpoint { attempt: self.key.clone(), checkpoint };
                // A driver that is gone records nothing any more.
                let _ = self.inbox.send(Input::Durable(Box::new(command), told));
                let _ = written.await;
            }
            Err(failure) => {
                tracing::warn!(task = %self.key.task, %failure, "a state could not be recorded");
            }
        }
    }
}
