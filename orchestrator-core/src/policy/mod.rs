//! Policies, each a pure function of its inputs: what follows a failure, when to stop calling, when
//! an attempt gets nowhere.

mod breaker;
mod decide;
mod earlier;
mod progress;
mod retry;
mod tally;

pub use breaker::{Breaker, BreakerPolicy, BreakerState};
pub use decide::{
    Case, Decision, MAX_ATTEMPTS_IN_TOTAL, MAX_INTERRUPTIONS, MAX_PARKS, MAX_REPAIRS, MAX_WAIT,
    PATIENCE, decide,
};
pub use progress::{NoProgress, ProgressPolicy};
pub use retry::RetryPolicy;
pub use tally::Tally;
