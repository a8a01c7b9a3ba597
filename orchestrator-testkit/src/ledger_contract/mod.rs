//! What every ledger must do, as cases that any implementation can be put through.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use orchestrator_core::port::{Catalog, Ledger, Store};
//! # async fn show<S: Store + Catalog + Ledger + 'static>(open: fn() -> S) {
//! use orchestrator_testkit::ledger_contract::{self, Subject};
//!
//! ledger_contract::run_all(|| async {
//!     let store = Arc::new(open());
//!     Subject { store: store.clone(), catalog: store.clone(), ledger: store }
//! })
//! .await;
//! # }
//! ```

mod fixture;
mod holds;
mod leases;
mod limits;
mod many;

pub use fixture::{Subject, assert_sums_match_calls};

/// How many random sequences [`run_all`] tries, and how long each is.
const RANDOM: (u64, usize) = (8, 120);

/// Puts ledgers through every case, each on an empty one of its own from `make`.
///
/// # Panics
/// When a ledger breaks a rule of the port.
pub async fn run_all<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Subject>,
{
    holds::what_is_held_becomes_what_was_spent(make().await).await;
    holds::a_refused_call_holds_nothing(make().await).await;
    holds::a_reservation_is_made_once(make().await).await;
    holds::an_end_may_be_said_again_and_be_corrected(make().await).await;
    holds::an_unknown_reservation_is_named(make().await).await;
    holds::a_price_that_is_not_known_passes_without_a_limit_in_usd(make().await).await;
    holds::calls_that_no_run_made_are_in_reports(make().await).await;
    holds::calls_are_listed_by_run_and_in_pages(make().await).await;
    limits::the_budgets_of_the_run_and_of_those_above_hold(make().await).await;
    limits::each_window_counts_its_own_time(make().await).await;
    limits::a_window_of_hours_begins_anew_when_it_is_said_to(make().await).await;
    limits::a_limit_that_is_set_later_counts_what_was_before(make().await).await;
    limits::each_scope_counts_its_own_calls(make().await).await;
    limits::calls_outlive_their_run_and_its_sums_do_not(make().await).await;
    leases::what_a_dead_process_held_is_assumed(make().await).await;
    leases::a_lease_that_is_renewed_keeps_what_is_held(make().await).await;
    leases::a_late_answer_corrects_what_was_assumed(make().await).await;
    many::no_limit_is_exceeded_by_many_at_once(make().await).await;
    for seed in 0..RANDOM.0 {
        many::sums_are_those_of_the_calls(make().await, seed, RANDOM.1).await;
    }
}

#[cfg(test)]
mod tests;
