//! A fate at every point in turn: crashes and faults, each followed by the same end.

use super::{Chaos, Ending, Job, Laboratory, Outcome, scripted};
use crate::faults::{Fate, Fault, Op};
use std::collections::{BTreeMap, BTreeSet};

/// One run of a proof: what befell it, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The point, counted in calls that are more than a look for news.
    pub number: u64,
    /// What befell the call.
    pub fate: Fate,
    /// How many calls it befell, this one the first.
    pub length: u64,
    /// What was wrong afterwards; empty when all is well.
    pub violations: Vec<String>,
}

impl Point {
    /// What happens in `job` when this befalls it, once more.
    pub fn replay(&self, job: &Job) -> Outcome {
        let points = self.number..self.number + self.length;
        outcome(job, points.map(|number| (number, self.fate)).collect())
    }
}

/// What a proof has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// How the work ends when nothing befalls it.
    pub undisturbed: Outcome,
    /// How many points there were.
    pub points: u64,
    /// How many runs were made.
    pub tried: u64,
    /// The points after which something was wrong.
    pub failed: Vec<Point>,
}

/// Lets the engine's process end before and after every call in turn; each time another one recovers
/// the work, and it must end as it does undisturbed.
pub fn every_crash(job: &Job) -> Proof {
    prove(job, &[Fate::CrashBefore, Fate::CrashAfter], 1)
}

/// Lets every call to the store and the blobs in turn fail: before it has happened, after it, as if
/// somebody else had written, for lack of space, and for a while together with those behind it. Each
/// time the work must end as it does undisturbed.
pub fn every_fault(job: &Job) -> Proof {
    let fates = [
        Fate::FailBefore(Fault::Unavailable),
        Fate::FailAfter(Fault::Unavailable),
        Fate::FailBefore(Fault::Conflict),
        Fate::FailBefore(Fault::Full),
    ];
    let mut proof = prove(job, &fates, 1);
    let outage =
        prove_from(job, proof.undisturbed, &[Fate::FailBefore(Fault::Unavailable)], OUTAGE);
    proof.failed.extend(outage.failed);
    Proof { tried: proof.tried + outage.tried, failed: proof.failed, ..outage }
}

/// How many calls in a row an outage fails: more than an append is tried again.
const OUTAGE: u64 = 15;

fn prove(job: &Job, fates: &[Fate], length: u64) -> Proof {
    prove_from(job, outcome(job, BTreeMap::new()), fates, length)
}

fn prove_from(job: &Job, undisturbed: Outcome, fates: &[Fate], length: u64) -> Proof {
    let points = undisturbed.points;
    let mut proof = Proof { undisturbed, points, tried: 0, failed: Vec::new() };
    if !proof.undisturbed.violations.is_empty() {
        let violations = proof.undisturbed.violations.clone();
        proof.failed.push(Point { number: 0, fate: Fate::Pass, length: 0, violations });
        return proof;
    }
    for number in 0..points {
        let op = usize::try_from(number).ok().and_then(|at| proof.undisturbed.ops.get(at).copied());
        for &fate in fates.iter().filter(|fate| op.is_some_and(|op| can_befall(op, **fate))) {
            let mut point = Point { number, fate, length, violations: Vec::new() };
            point.violations = compare(&proof.undisturbed, point.replay(job));
            proof.tried += 1;
            if !point.violations.is_empty() {
                proof.failed.push(point);
            }
        }
    }
    proof
}

fn outcome(job: &Job, fates: BTreeMap<u64, Fate>) -> Outcome {
    let laboratory = Laboratory {
        seed: 0,
        without: BTreeSet::new(),
        jobs: vec![job.clone()],
        agents: scripted(Some(3)),
        chaos: Chaos::exact(fates),
        ending: Ending::Exact,
    };
    laboratory.run()
}

/// Whether `fate` makes sense for a call of `op`, so that nothing is tried that changes nothing.
fn can_befall(op: Op, fate: Fate) -> bool {
    match fate {
        Fate::Pass | Fate::Delay(_) | Fate::CrashBefore | Fate::CrashAfter => true,
        Fate::FailBefore(Fault::Conflict) => op == Op::Append,
        Fate::FailBefore(Fault::Full) | Fate::FailAfter(_) => op.is_write(),
        Fate::FailBefore(_) => op.is_storage(),
    }
}

/// What is other than undisturbed.
fn compare(undisturbed: &Outcome, disturbed: Outcome) -> Vec<String> {
    let mut violations = disturbed.violations;
    for (what, end) in &undisturbed.results {
        match disturbed.results.get(what) {
            Some(other) if other == end => {}
            other => violations.push(format!("{what} ends {other:?}, undisturbed {end:?}")),
        }
    }
    for what in disturbed.results.keys().filter(|what| !undisturbed.results.contains_key(*what)) {
        violations.push(format!("{what} does not exist undisturbed"));
    }
    if disturbed.recorded != undisturbed.recorded {
        let (here, there) = (disturbed.recorded, undisturbed.recorded);
        violations.push(format!("{here} turns are recorded, undisturbed {there}"));
    }
    violations
}
