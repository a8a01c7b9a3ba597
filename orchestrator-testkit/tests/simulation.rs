//! The engine in the simulator: 500 seeds, each twice, and the run alone.

use orchestrator_testkit::sim::{Figures, Simulation, Times, campaign};

fn check(figures: &Figures) {
    let failed: Vec<String> = figures
        .failed
        .iter()
        .map(|(seed, what)| format!("{what}\n  again: cargo xtask prove sim --seed {seed} --trace"))
        .collect();
    assert!(failed.is_empty(), "{figures}\n{}", failed.join("\n"));
}

#[test]
fn five_hundred_seeds_keep_every_promise_and_are_the_same_twice() {
    let figures = campaign(0, 500, Times::Twice, Simulation::new);
    check(&figures);
    // What does not happen proves nothing.
    assert_eq!(figures.seeds, 500);
    assert!(figures.runs > 1_000 && figures.crashes > 300, "{figures}");
    assert!(figures.performed > figures.recorded, "{figures}");
    assert!(figures.permitted > 50 && figures.delivered > 50, "{figures}");
}

#[test]
fn a_run_alone_keeps_every_promise() {
    for seed in 0..300 {
        let outcome = Simulation::new(seed).run_alone();
        let violations = outcome.violations.join("\n");
        let again = format!("cargo xtask prove sim --alone --seed {seed} --trace");
        assert!(violations.is_empty(), "{violations}\n  again: {again}");
    }
}
