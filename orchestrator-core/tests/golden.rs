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
const V4: &str = include_str!("golden/events-v4.jsonl");
const V5: &str = include_str!("golden/events-v5.jsonl");

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
fn events_of_version_4_load_and_fold() {
    let run = Run::replay(&load(V4)).expect("a golden log");
    assert_eq!(run.status(), RunStatus::Cancelled);
    let task = |name: &str| run.task(run.place(name).expect("a task")).expect("a task");
    let (old, extra) = (task("old"), task("extra"));
    assert_eq!(
        extra.workspace().and_then(|opened| opened.base.clone()).map(|c| c.to_string()),
        Some("b".repeat(40))
    );
    assert_eq!(extra.checkpoint().map(|commit| commit.as_str()), Some("d".repeat(40).as_str()));
    let facts = extra.facts().expect("what it made");
    assert!(facts.is_verified());
    assert_eq!(facts.landed.as_ref().map(|landed| landed.target.as_str()), Some("main"));
    assert_eq!(extra.feedback().last().map(|told| told.message.as_str()), Some("solve it"));
    assert!(old.facts().is_some_and(|facts| !facts.is_verified()));
    // What is not declared to be proved is neither verified nor not.
    assert_eq!((old.verified(), extra.verified()), (None, None));
    assert!(run.carried_commits().is_empty(), "the task does not work in a worktree here");
}

#[test]
fn events_of_version_5_load_and_fold() {
    let run = Run::replay(&load(V5)).expect("a golden log");
    let extra = run.task(run.place("extra").expect("a task")).expect("a task");
    let facts = extra.facts().expect("what it made");
    let landed = facts.landed.as_ref().expect("where it landed");
    assert_eq!((landed.evidence.is_some(), landed.outputs.len()), (true, 1));
    let request = facts.requested.as_ref().expect("a pull request");
    assert_eq!((request.url.as_str(), request.number), ("https://forge.example/7", Some(7)));
    assert_eq!(facts.blobs().count(), 5, "diff, evidence, output; evidence and output of landing");
    assert_eq!(run.status(), RunStatus::Cancelled);
    let allowed: Vec<String> = run
        .allowances()
        .iter()
        .map(|allowed| format!("{} {} {}", allowed.agent, allowed.rule, allowed.by))
        .collect();
    assert_eq!(allowed, ["pm run(make all) ann", "pm network(crates.io) ann"]);
    let boss = run.task(run.place("boss").expect("a task")).expect("a task");
    let delivered: Vec<bool> = boss.messages().iter().map(|m| m.delivered.is_some()).collect();
    assert_eq!(delivered, [true, false]);
    assert_eq!(boss.asks().count(), 0, "what an attempt asked ends with it");
}

#[test]
fn what_is_written_now_is_what_the_newest_golden_file_says() {
    assert_eq!(VERSION, 5, "add a golden file for the new version");
    let written: Vec<String> =
        load(V5).iter().map(|event| serde_json::to_string(event).expect("an event")).collect();
    let golden: Vec<&str> = V5.lines().collect();
    assert_eq!(written, golden);
}

#[test]
fn every_kind_of_event_is_in_the_newest_golden_file() {
    let kinds: BTreeSet<&str> = load(V5).iter().map(|recorded| recorded.event.kind()).collect();
    assert_eq!(kinds, Event::KINDS.iter().copied().collect());
}
