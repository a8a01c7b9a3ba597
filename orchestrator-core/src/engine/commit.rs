//! Making events durable, through a store that does not always say what it did.

use super::Shared;
use crate::{
    event::Recorded,
    id::Sequence,
    port::{Append, Lease, StoreError},
};
use std::{sync::Arc, time::Duration};

/// How often an append is tried whose outcome is unknown, and how long is waited before the second
/// try; before each further one twice as long. In all some ten seconds.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(300);

impl Shared {
    /// Appends, and when the store cannot say whether it did, finds out and tries again.
    ///
    /// # Errors
    /// The store refused, or could not be reached for some ten seconds. After the latter nobody
    /// knows whether the events are in the log.
    pub(super) async fn append(&self, append: &Arc<Append>) -> Result<(), StoreError> {
        let mut unsure = false;
        let mut tries = 1;
        let mut pause = PAUSE;
        loop {
            let failure = match self.store.append(append.clone()).await {
                Ok(()) => return Ok(()),
                // An earlier try may have been carried out after it was given up.
                Err(conflict @ StoreError::Conflict { .. }) if unsure => {
                    return match self.holds(append).await? {
                        true => Ok(()),
                        false => Err(conflict),
                    };
                }
                Err(failure @ StoreError::Unavailable { .. }) => failure,
                Err(other) => return Err(other),
            };
            tracing::warn!(run = %append.run, %failure, tries, "an append has to be tried again");
            if tries == TRIES {
                return Err(failure);
            }
            unsure = true;
            tries += 1;
            self.clock.until(self.clock.now().after(pause)).await;
            pause *= 2;
            match self.holds(append).await {
                Ok(true) => return Ok(()),
                Ok(false) | Err(StoreError::Unavailable { .. }) => {}
                Err(other) => return Err(other),
            }
        }
    }

    /// Creates a run, and when the store cannot say whether it did, finds out and tries again.
    ///
    /// # Errors
    /// As for [`Shared::append`]; and the run exists.
    pub(super) async fn create(&self, first: &Append, lease: &Lease) -> Result<(), StoreError> {
        let mut unsure = false;
        let mut tries = 1;
        let mut pause = PAUSE;
        loop {
            let failure = match self.store.create(first.clone(), lease.clone()).await {
                Ok(()) => return Ok(()),
                Err(exists @ StoreError::RunExists(_)) if unsure => {
                    return match self.holds(first).await? {
                        true => Ok(()),
                        false => Err(exists),
                    };
                }
                Err(failure @ StoreError::Unavailable { .. }) => failure,
                Err(other) => return Err(other),
            };
            if tries == TRIES {
                return Err(failure);
            }
            unsure = true;
            tries += 1;
            self.clock.until(self.clock.now().after(pause)).await;
            pause *= 2;
        }
    }

    /// Whether the log holds the events of `append` where they belong. Rows without events are
    /// written again rather than looked for.
    async fn holds(&self, append: &Append) -> Result<bool, StoreError> {
        if append.events.is_empty() {
            return Ok(false);
        }
        let limit = append.events.len() + 1;
        let found = match self.store.events(&append.run, append.expected, limit).await {
            Err(StoreError::NoSuchRun(_)) if append.expected == Sequence(0) => Vec::new(),
            found => found?,
        };
        // Compared by what no two writers share, not by values: numbers may be written another way.
        let same = |a: &Recorded, b: &Recorded| {
            a.seq == b.seq
                && a.at == b.at
                && a.event.kind() == b.event.kind()
                && a.event.task() == b.event.task()
        };
        let held = found.len() == append.events.len()
            && found.iter().zip(&append.events).all(|(a, b)| same(a, b));
        if !held && let Some(last) = found.last() {
            return Err(StoreError::Conflict {
                run: append.run.clone(),
                expected: append.expected,
                actual: last.seq,
            });
        }
        Ok(held)
    }
}
