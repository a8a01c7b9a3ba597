//! What has changed since the rows were last taken.

use crate::{
    estimate::RunEstimate,
    id::TaskName,
    port::{AttemptRow, Rows, SpendRow},
};
use std::collections::BTreeSet;

/// Rows, and tasks whose rows have to be made. Nothing is noted while it is muted: a log that is
/// folded to go on with says nothing new.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    rows: Rows,
    tasks: BTreeSet<usize>,
    is_muted: bool,
}

impl Changed {
    pub(super) fn muted() -> Self {
        Self { is_muted: true, ..Self::default() }
    }

    pub(super) fn is_muted(&self) -> bool {
        self.is_muted
    }

    pub(super) fn unmute(&mut self) {
        self.is_muted = false;
    }

    /// The row of the task at `place` has changed.
    pub(super) fn note(&mut self, place: usize) {
        if !self.is_muted {
            self.tasks.insert(place);
        }
    }

    pub(super) fn attempt(&mut self, row: AttemptRow) {
        if !self.is_muted {
            self.rows.attempts.push(row);
        }
    }

    pub(super) fn spend(&mut self, lines: impl Iterator<Item = SpendRow>) {
        if !self.is_muted {
            self.rows.spend.extend(lines);
        }
    }

    /// So much was expected of it.
    pub(super) fn estimate(&mut self, estimate: Option<&RunEstimate>) {
        if !self.is_muted {
            self.rows.estimate = estimate.copied();
        }
    }

    /// These tasks are no more.
    pub(super) fn gone(&mut self, names: impl Iterator<Item = TaskName>) {
        if !self.is_muted {
            self.rows.gone.extend(names);
        }
    }

    /// Takes all of it: the rows but those of tasks, and which of these to make.
    pub(super) fn take(&mut self) -> (Rows, BTreeSet<usize>) {
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.tasks))
    }
}
