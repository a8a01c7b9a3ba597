//! A crash and a fault at every call over the reference workflows.

use orchestrator_testkit::{
    sim::{Job, Proof, every_crash, every_fault},
    workflows,
};
use std::sync::Mutex;

/// Proves each workflow, as many at once as there are cores.
fn check(prove: fn(&Job) -> Proof) {
    let queue = Mutex::new(workflows::all().into_iter());
    let next = || queue.lock().expect("the queue").next();
    let failures: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(reference) = next() {
                    let proof = prove(&reference.job);
                    assert!(proof.points > 10, "{} has no points", reference.name);
                    assert!(proof.tried > proof.points, "{} was not tried", reference.name);
                    for point in proof.failed {
                        let at = format!("{} at {} {:?}", reference.name, point.number, point.fate);
                        let what = format!("{at}: {}", point.violations.join("; "));
                        failures.lock().expect("the failures").push(what);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("the failures");
    assert!(failures.is_empty(), "{} points:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_crash_at_every_call_changes_no_result() {
    check(every_crash);
}

#[test]
fn a_fault_at_every_call_changes_no_result() {
    check(every_fault);
}
