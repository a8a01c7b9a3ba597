//! Old data still loads: one golden file for each version of the stored records.
//!
//! A golden file is never edited. When a record must change in a way that `serde` defaults cannot
//! bridge, the version grows, a new file is added, and the old one is kept.

use orchestrator_core::{
    event::{Event, Recorded, VERSION},
    run::{Behaviour, Run, RunStatus},
};
use std::collections::BTreeSet;

const V1: &str = include_str!("golden/events-v1.jsonl");
const V2: &str = include_str!("golden/events-v2.jsonl");
const V3: &str = include_str!("golden/events-v3.jsonl");

fn load(text: &str) -> Vec<Recorded> {
    text.lines().map(|line| serde_json::from_str(line).expect("a golden line")).collect()
}

#[test]
fn events_of_version_1_load_and_fold_by_the_first_rules() {
    let run = Run::replay(&load(V1)).expect("a golden log");
    assert_eq!(run.status(), RunStatus::Cancelled);
    assert_eq!(run.cost().known.to_string(), "0.003105");
    assert_eq!(run.created().behaviour, Behaviour(1));
}

#[test]
fn events_of_versions_2_and_3_load_and_fold() {
    let run = Run::replay(&load(V3)).expect("a golden log");
    assert_eq!(run.run_row().budget.map(|usd| usd.to_string()).as_deref(), Some("7.5"));
    let run = Run::replay(&load(V2)).expect("a golden log");
    assert_eq!(run.status(), RunStatus::Cancelled);
    assert_eq!(run.cost().known.to_string(), "0.00621");
    let tasks: Vec<String> =
        run.tasks().map(|task| format!("{}:{}", task.name(), task.status())).collect();
    assert_eq!(
        tasks.join(" "),
        "boss:succeeded old:succeeded each:cancelled big:succeeded review:succeeded never:skipped \
         later:succeeded sign:succeeded odd:failed child:failed bad:failed rest:skipped \
         extra:succeeded each:0:cancelled each:1:succeeded old:undo:cancelled"
    );
}

#[test]
fn what_is_written_now_is_what_the_newest_golden_file_says() {
    assert_eq!(VERSION, 3, "add a golden file for the new version");
    let written: Vec<String> =
        load(V3).iter().map(|event| serde_json::to_string(event).expect("an event")).collect();
    let golden: Vec<&str> = V3.lines().collect();
    assert_eq!(written, golden);
}

#[test]
fn every_kind_of_event_is_in_the_newest_golden_file() {
    let kinds: BTreeSet<&str> = load(V3).iter().map(|recorded| recorded.event.kind()).collect();
    assert_eq!(kinds, Event::KINDS.iter().copied().collect());
}
