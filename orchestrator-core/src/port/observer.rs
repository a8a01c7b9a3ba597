//! The observer port: whoever wants to watch runs as they go.

use crate::{
    event::Recorded,
    id::{AttemptNumber, RunId, TaskName},
    port::Progress,
};

/// Told of what happens, after it is durable. Must not block; it cannot change anything.
pub trait Observer: Send + Sync {
    /// These events of `run` are durable now.
    fn recorded(&self, run: &RunId, events: &[Recorded]);

    /// A running attempt says how it goes; nothing of this is recorded.
    fn progress(&self, run: &RunId, task: &TaskName, attempt: AttemptNumber, progress: &Progress) {
        let _ = (run, task, attempt, progress);
    }
}
