//! Old data still loads: one golden file for each version of the stored records.
//!
//! A golden file is never edited. When a record must change in a way that `serde` defaults cannot
//! bridge, the version grows, a new file is added, and the old one is kept.

use orchestrator_core::{
    event::{Event, Recorded, VERSION},
    run::{Run, RunStatus},
};
use std::collections::BTreeSet;

const V1: &str = include_str!("golden/events-v1.jsonl");

fn load(text: &str) -> Vec<Recorded> {
    text.lines().map(|line| serde_json::from_str(line).expect("a golden line")).collect()
}

#[test]
fn events_of_version_1_load_and_fold() {
    let events = load(V1);
    let run = Run::replay(&events).expect("a golden log");
    assert_eq!(run.status(), RunStatus::Cancelled);
    assert_eq!(run.cost().known.to_string(), "0.003105");
}

#[test]
fn what_is_written_now_is_what_the_newest_golden_file_says() {
    assert_eq!(VERSION, 1, "add a golden file for the new version");
    let written: Vec<String> =
        load(V1).iter().map(|event| serde_json::to_string(event).expect("an event")).collect();
    let golden: Vec<&str> = V1.lines().collect();
    assert_eq!(written, golden);
}

#[test]
fn every_kind_of_event_is_in_the_newest_golden_file() {
    let kinds: BTreeSet<&str> = load(V1).iter().map(|recorded| recorded.event.kind()).collect();
    assert_eq!(kinds, Event::KINDS.iter().copied().collect());
}
