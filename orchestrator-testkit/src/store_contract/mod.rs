//! What every store must do, as cases that any implementation can be put through.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use orchestrator_core::port::{Catalog, Store};
//! # async fn show<S: Store + Catalog + 'static>(open: fn() -> S) {
//! use orchestrator_testkit::store_contract;
//!
//! store_contract::run_all(|| async {
//!     let store = Arc::new(open());
//!     (store.clone() as Arc<dyn Store>, store as Arc<dyn Catalog>)
//! })
//! .await;
//! # }
//! ```
//!
//! A case panics where the store breaks a rule; the place of the panic names the rule. The random
//! case says its seed; [`random_against_model`] runs one seed again.

mod blobs;
mod cached;
mod catalog;
mod cleaning;
mod concurrent;
mod crowd;
mod fixture;
mod groups;
mod history;
mod leases;
mod log;
mod random;
mod signals;
mod spending;
mod tasks;

pub use blobs::run_all as run_all_blobs;
pub use crowd::{Fate, crowd, crowd_id};
pub use fixture::{Driver, Subject, ended, name, run_id, spend, started, succeeded_with_blobs};
pub use random::against_model as random_against_model;

use orchestrator_core::port::{Catalog, Store};
use std::sync::Arc;

/// How many random sequences [`run_all`] tries, and how long each is.
const RANDOM: (u64, usize) = (8, 150);

/// Puts stores through every case, each on an empty one of its own from `make`.
///
/// # Panics
/// When a store breaks a rule of the port.
pub async fn run_all<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = (Arc<dyn Store>, Arc<dyn Catalog>)>,
{
    let fresh = async || {
        let (store, catalog) = make().await;
        Subject { store, catalog }
    };
    log::a_run_begins_with_its_first_events(fresh().await).await;
    log::a_run_exists_once(fresh().await).await;
    log::an_unknown_run_is_named(fresh().await).await;
    log::events_come_in_order_and_in_parts(fresh().await).await;
    log::content_comes_back_as_it_was(fresh().await).await;
    log::a_writer_that_is_behind_or_ahead_is_refused(fresh().await).await;
    log::a_gap_in_the_numbers_is_refused(fresh().await).await;
    log::a_writer_under_another_epoch_is_fenced(fresh().await).await;
    log::a_refused_append_leaves_its_rows_unwritten(fresh().await).await;
    log::rows_change_without_events(fresh().await).await;
    log::an_append_may_be_shared(fresh().await).await;
    log::a_run_may_begin_with_ten_thousand_events(fresh().await).await;
    log::events_of_the_first_version_are_kept(fresh().await).await;
    leases::the_creator_holds_the_lease(fresh().await).await;
    leases::a_held_lease_is_refused_until_it_lapses(fresh().await).await;
    leases::an_owner_may_claim_again_and_fences_itself(fresh().await).await;
    leases::a_dead_holder_is_taken_over_by_its_epoch(fresh().await).await;
    leases::renewing_moves_the_expiry(fresh().await).await;
    leases::a_released_lease_is_free(fresh().await).await;
    leases::the_last_append_gives_the_lease_back(fresh().await).await;
    signals::signals_are_numbered_and_read_in_parts(fresh().await).await;
    signals::every_kind_of_signal_comes_back(fresh().await).await;
    signals::mail_names_who_was_signalled_since(fresh().await).await;
    signals::mail_loses_nothing_that_many_send(fresh().await).await;
    groups::a_group_has_one_holder(fresh().await).await;
    groups::a_group_is_free_when_its_holder_is_gone(fresh().await).await;
    groups::a_group_goes_with_a_run_that_is_removed(fresh().await).await;
    groups::one_of_many_gets_the_group(fresh().await).await;
    cached::a_result_is_found_until_it_expires(fresh().await).await;
    cached::results_are_forgotten_by_workflow_task_and_age(fresh().await).await;
    catalog::rows_are_replaced_by_their_key(fresh().await).await;
    catalog::runs_are_listed_newest_first_in_pages(fresh().await).await;
    catalog::runs_of_a_status_come_in_pages(fresh().await).await;
    catalog::open_runs_come_oldest_first(fresh().await).await;
    catalog::a_crowd_is_listed_by_status(fresh().await).await;
    catalog::run_filters_restrict(fresh().await).await;
    catalog::search_takes_its_text_literally(fresh().await).await;
    catalog::ids_are_found_by_prefix(fresh().await).await;
    catalog::a_foreign_cursor_is_refused(fresh().await).await;
    tasks::tasks_are_listed_in_the_order_of_the_workflow(fresh().await).await;
    tasks::outputs_come_back_whole(fresh().await).await;
    tasks::task_filters_restrict(fresh().await).await;
    tasks::attempts_come_in_the_order_of_their_starts(fresh().await).await;
    tasks::an_attempt_is_kept_once(fresh().await).await;
    spending::spending_is_summed_by_every_group(fresh().await).await;
    spending::large_sums_do_not_overflow(fresh().await).await;
    history::tasks_of_runs_that_succeeded_are_told(fresh().await).await;
    history::what_is_read_is_bounded(fresh().await).await;
    history::what_was_expected_is_kept_beside_what_came(fresh().await).await;
    cleaning::only_ended_runs_before_the_date_go(fresh().await).await;
    concurrent::one_of_two_writers_wins(fresh().await).await;
    concurrent::many_runs_go_on_beside_each_other(fresh().await).await;
    concurrent::one_of_many_claims_wins(fresh().await).await;
    for seed in 0..RANDOM.0 {
        random::against_model(fresh().await, seed, RANDOM.1).await;
    }
}

#[cfg(test)]
mod tests;
