//! The ledger: what calls may spend, what they have reserved, and what they have spent.
//!
//! A call reserves the most that it can cost before it is made, in every scope at once, and is
//! settled with what it really cost. What is reserved counts against a limit like what is spent, so
//! that calls at the same time can never exceed it together. A store keeps the sums and makes each
//! reservation one transaction; which sums are touched, which limits hold, and whether a reservation
//! fits is decided here, by pure functions that every store calls:
//!
//! ```text
//!   Reserve ──▶ limits_of(rules, payer, runs) ──▶ sums of each ──▶ decide ──▶ held, or refused
//!   the call ends ──▶ Settlement ──▶ the hold becomes what was spent, or nothing
//!   its process dies ──▶ the owner's lease lapses ──▶ the hold becomes spent, as assumed
//! ```
//!
//! | A hold | by | becomes |
//! |---|---|---|
//! | held | the real usage | settled: that much is spent |
//! | held | an end without usage | assumed: all that was held is spent |
//! | held | a call that was never made or was refused | released: nothing is spent |
//! | held | the end of its owner's lease | assumed |
//! | assumed | the real usage, or that there is none, late | settled, released |
//! | settled, released | anything | what it is |

mod amount;
mod decide;
mod limit;
mod payer;
mod scope;

pub use amount::{Amounts, MOST, Sums, Unit};
pub use decide::{Refusal, RefusalKind, Standing, decide};
pub use limit::{Limit, Rule, RunBudget, Window, limits_of};
pub use payer::Payer;
pub use scope::{Scope, ScopeKind};

#[cfg(test)]
mod tests;
