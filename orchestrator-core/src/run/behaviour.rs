//! By which rules a run is decided: numbered, so that a newer program goes on with an older run as
//! it began.

use serde::{Deserialize, Serialize};

/// The number of the rules by which a run is decided. It is in the run's first event; whoever
/// resumes the run, with whatever version of the program, decides by it to the end.
///
/// A change of what the same commands lead to gets the next number, and the place that decides asks
/// [`Behaviour::has`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Behaviour(pub u32);

impl Default for Behaviour {
    /// The first rules: those of a log that names none.
    fn default() -> Self {
        Self(1)
    }
}

/// A change of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Each class of failure is followed by the remedy of its own: waiting for a reset however far,
    /// asking a person, repairing an output, compacting a prompt. Before, all of these ended the
    /// task.
    Remedies,
    /// A budget whose window has an end is asked about until then, and tried again by itself. Before,
    /// a person was asked however soon it was renewed.
    Renewals,
}

impl Behaviour {
    /// The rules of this version of the program.
    pub const CURRENT: Self = Self(3);

    /// Whether these rules contain `change`.
    pub fn has(self, change: Change) -> bool {
        self.0
            >= match change {
                Change::Remedies => 2,
                Change::Renewals => 3,
            }
    }
}
