//! Taking up all that nobody drives: for servers, after a start or a crash.

use super::{Engine, EngineError, report::RunHandle};
use crate::{id::RunId, port::StoreError};
use futures_util::{StreamExt, stream};

/// How many open runs are listed together.
const PAGE: usize = 1_000;

/// How many runs are taken up at once.
const AT_ONCE: usize = 32;

impl Engine {
    /// Takes up every open run that nobody alive drives and whose agents are here. Leases that are
    /// still in force are respected, but for those of the
    /// [dead](super::EngineBuilder::dead_when).
    ///
    /// Runs come in the order of their ids. One that cannot be taken up is logged and left alone.
    ///
    /// # Errors
    /// The open runs could not be listed.
    pub async fn recover(&self) -> Result<Vec<RunHandle>, EngineError> {
        let mut taken = Vec::new();
        let mut after = None;
        loop {
            let page = self.shared.store.open_runs(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(taken);
            };
            after = Some(last.id.clone());
            let handles: Vec<Option<RunHandle>> = stream::iter(page)
                .map(|open| self.recover_one(open.id))
                .buffered(AT_ONCE)
                .collect()
                .await;
            taken.extend(handles.into_iter().flatten());
        }
    }

    async fn recover_one(&self, id: RunId) -> Option<RunHandle> {
        match self.shared.take_up(&id, None).await {
            Ok(Some(listener)) => Some(RunHandle::new(id, self.shared.clone(), listener)),
            // This engine has it already, somebody else has, or it has just ended.
            Ok(None)
            | Err(EngineError::Ended { .. } | EngineError::Store(StoreError::LeaseHeld { .. })) => {
                None
            }
            Err(error) => {
                tracing::warn!(run = %id, %error, "an open run could not be taken up");
                None
            }
        }
    }
}
