//! Where a run stands.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a run stands.
///
/// | from | to | when |
/// |---|---|---|
/// | – | `running` | it is created |
/// | `running` | `waiting` | nothing runs, and all that is open waits for a person or a time |
/// | `waiting` | `running` | something starts |
/// | `running`, `waiting` | `paused` | somebody asked for a pause |
/// | `paused` | `running` | it was resumed |
/// | `running` | `cancelling` | somebody asks it to stop while attempts run |
/// | `running` | `succeeded` | every task ended, and none failed whose failure counts |
/// | `running` | `failed` | every task ended, and one failed |
/// | `running`, `cancelling` | `cancelled` | it was asked to stop and nothing runs any more |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// Under way.
    Running,
    /// Nothing runs: it waits for a person or a time.
    Waiting,
    /// Nothing is started until it is resumed; attempts may still be ending.
    Paused,
    /// Asked to stop; attempts are still ending.
    Cancelling,
    /// Done as asked.
    Succeeded,
    /// A task failed.
    Failed,
    /// Stopped.
    Cancelled,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether the run is over.
    pub fn is_final(self) -> bool {
        match self {
            Self::Running | Self::Waiting | Self::Paused | Self::Cancelling => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with that stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
