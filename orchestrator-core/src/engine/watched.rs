//! Runs that are dropped halfway: nobody waits for them for ever.

use super::{EngineError, Shared};
use crate::id::RunId;
use std::sync::Arc;

/// Keeps watch over a run that has a place in the engine. When what brings it up or drives it is
/// dropped or panics, the run loses its place, and those who wait for it hear of it.
pub(super) struct Watched(Option<(Arc<Shared>, RunId)>);

impl Watched {
    pub(super) fn new(shared: &Arc<Shared>, run: &RunId) -> Self {
        Self(Some((shared.clone(), run.clone())))
    }

    /// Somebody else sees to the run from here on.
    pub(super) fn relieve(&mut self) {
        self.0 = None;
    }

    /// The run cannot be brought up.
    pub(super) fn give_up(&mut self, error: &EngineError) {
        if let Some((shared, run)) = self.0.take() {
            shared.forget(&run);
            shared.runs.remove(&run, || Err(error.clone()));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some((_, run)) = &self.0 {
            let message = format!("what drives run `{run}` was dropped or has panicked");
            self.give_up(&EngineError::Internal(message));
        }
    }
}
