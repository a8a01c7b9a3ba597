//! Processes that are killed share tight budgets, and nothing is overspent.
//!
//! The long forms are `cargo xtask prove budget` and `prove load`; they are told of in `docs/reliability.md`.

mod proof;

use orchestrator_core::money::MicroUsd;
use proof::{Load, Plan, Target, load, prove, serve};

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

/// A little load on `target`.
fn on(target: Target) -> Load {
    Load {
        seed: 1,
        calls: 400,
        at_once: 16,
        budget: MicroUsd(300_000),
        upstream: ([127, 0, 0, 1], 0).into(),
        target,
    }
}

#[test]
fn the_load_generator_sees_what_is_overspent_and_what_is_not() {
    let front = load(&on(Target::Front)).expect("load that can be put on");
    println!("{}", front.line());
    assert_eq!(front.overspend_usd, 0, "{}", front.line());
    assert!(front.answered > 0 && front.refused > 0, "{}", front.line());
    let nothing = Target::Other { url: None, key: "key".to_owned(), model: None };
    let nothing = load(&on(nothing)).expect("load that can be put on");
    assert!(nothing.overspend_usd > 0, "{}", nothing.line());
}
