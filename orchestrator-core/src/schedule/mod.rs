//! Who runs next: among the tasks of a run that are ready, and among the runs that share limits.

mod gate;
mod groups;
mod limits;
mod ready;

pub use gate::{Gate, HeldUp, LimitScope, Open, Want};
pub use groups::GroupClaim;
pub use limits::{Admission, LimitPolicy, Limits};
pub use ready::{HEAD_START_MS, ReadyQueue, urgency};
