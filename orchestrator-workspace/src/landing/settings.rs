//! How queues are worked.

use std::{num::NonZeroUsize, time::Duration};

/// How work is brought onto a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each piece of work is one commit on the one before: history is a line.
    Linear,
    /// Each piece of work is merged: the commit has the attempt's own as its second parent.
    Merge,
}

/// How queues are worked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LandingSettings {
    /// How many pieces of work are put together and checked at once, at the most. Default: 4.
    pub batch: NonZeroUsize,
    /// How work is brought onto a branch. Default: [`Shape::Linear`].
    pub shape: Shape,
    /// Whether a checkout that is on the branch may be moved forward with it, if it is clean.
    /// Default: no.
    pub update_checkout: bool,
    /// How often it is begun anew because somebody else moved the branch meanwhile. Default: 8.
    pub moves: u32,
    /// How often whoever waits for another process looks again. Default: 200 ms.
    pub poll: Duration,
}

impl Default for LandingSettings {
    fn default() -> Self {
        Self {
            batch: const { NonZeroUsize::new(4).expect("4 is not 0") },
            shape: Shape::Linear,
            update_checkout: false,
            moves: 8,
            poll: Duration::from_millis(200),
        }
    }
}
