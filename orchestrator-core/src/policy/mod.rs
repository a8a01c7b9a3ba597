//! Policies, each a pure function of its inputs: when to try again, when to stop calling.

mod breaker;
mod retry;

pub use breaker::{Breaker, BreakerPolicy, BreakerState};
pub use retry::{MAX_INTERRUPTIONS, MAX_RESET_WAIT, RetryDecision, RetryPolicy, decide};
