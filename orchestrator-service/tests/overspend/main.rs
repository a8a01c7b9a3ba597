//! Processes that are killed share tight budgets, and nothing is overspent.
//!
//! The long form is `cargo xtask prove budget`; both are told of in `docs/reliability.md`.

mod proof;

use proof::{Plan, prove, serve};

/// The name of the test below: a worker is this program, asked for that test alone.
const NAME: &str = "nothing_is_overspent_by_processes_that_are_killed";

#[test]
fn nothing_is_overspent_by_processes_that_are_killed() {
    if serve().expect("the work of a worker") {
        return;
    }
    let words = [NAME, "--exact", "--nocapture"].map(str::to_owned).to_vec();
    let plan = Plan { seed: 1, calls: 800, processes: 4, worker: words, talks: false };
    let (figures, failures) = prove(&plan).expect("a proof that can be made");
    println!("{}", figures.line());
    assert_eq!(failures, Vec::<String>::new(), "{}", figures.json().expect("figures"));
}
