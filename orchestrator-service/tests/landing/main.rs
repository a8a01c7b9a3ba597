//! Tasks of several processes that are killed land on one branch: it stays green, nothing is lost and
//! nothing lands twice.
//!
//! The long form is `cargo xtask prove landing`; `docs/reliability.md` tells of it.

mod proof;

use proof::{Plan, prove, serve};

/// The name of the test below: a worker is this program, asked for that test alone.
const NAME: &str = "work_of_processes_that_are_killed_lands_once_and_keeps_the_branch_green";

#[test]
fn work_of_processes_that_are_killed_lands_once_and_keeps_the_branch_green() {
    if serve().expect("the work of a worker") {
        return;
    }
    let worker = [NAME, "--exact", "--nocapture"].map(str::to_owned).to_vec();
    let plan = Plan { seed: 1, rounds: 1, tasks: 20, processes: 3, kills: 3, worker, talks: false };
    let (figures, failures) = prove(&plan).expect("a proof that can be made");
    println!("{}", figures.line());
    assert_eq!(failures, Vec::<String>::new(), "{}", figures.line());
    assert!(figures.kills > 0 && figures.mended > 0, "{}", figures.line());
}
