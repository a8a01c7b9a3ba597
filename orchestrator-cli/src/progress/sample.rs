//! Events of a run, for the tests of what is shown.

use super::board::Board;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    event::{Content, Event, NextAttempt, Recorded, RunCreated, SkipReason},
    id::{AgentName, AttemptNumber, Epoch, ProviderName, RunId, Sequence, TaskName},
    money::MicroUsd,
    time::Timestamp,
    usage::{Spend, TokenCount, Usage},
    workflow::Workflow,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const START: Timestamp = Timestamp(1_000);

fn task(name: &str) -> TaskName {
    TaskName::new(name).expect("a name")
}

/// The creation of a run with tasks of these names.
pub(super) fn created(names: &[&str]) -> Event {
    let mut workflow = Workflow::new("demo").expect("a name");
    for name in names {
        workflow = workflow.task(name, "dev", "do it", &[]).expect("a name");
    }
    Event::RunCreated(Box::new(RunCreated {
        run: RunId::new("r_1").expect("an id"),
        tenant: Default::default(),
        project: Default::default(),
        directory: "/p".into(),
        workflow: Arc::new(workflow),
        source: "demo.yaml".into(),
        inputs: Arc::new(json!({})),
        bindings: Vec::new(),
        agents: Vec::new(),
        budget: None,
        max_parallel: 4,
        parent: None,
    }))
}

pub(super) fn started(name: &str, attempt: u32) -> Event {
    Event::AttemptStarted {
        task: task(name),
        attempt: AttemptNumber(attempt),
        epoch: Epoch(1),
        agent: AgentName::new("dev").expect("a name"),
    }
}

/// Success, after 1,000 tokens for a quarter of a dollar.
pub(super) fn succeeded(name: &str) -> Event {
    let spend = Spend {
        provider: ProviderName::new("p").expect("a name"),
        model: "m".into(),
        requests: 1,
        usage: Usage { input: TokenCount(1_000), ..Usage::default() },
        cost: Some(MicroUsd(250_000)),
    };
    Event::AttemptSucceeded {
        task: task(name),
        attempt: AttemptNumber(1),
        output: Content::Inline(Value::Null),
        spend: vec![spend],
        artifacts: Vec::new(),
    }
}

pub(super) fn failed(name: &str, next: Option<u64>) -> Event {
    Event::AttemptFailed {
        task: task(name),
        attempt: AttemptNumber(1),
        failure: Failure::new(ErrorClass::Transient, "the line broke\x1b[2J\nand more"),
        next: next.map(|at| NextAttempt { at: Timestamp(at), agent: 0 }),
    }
}

pub(super) fn skipped(name: &str, because: &str) -> Event {
    let reason = SkipReason::Needs { task: task(because) };
    Event::TaskSkipped { task: task(name), reason }
}

/// `event` as the `seq`th, one second after the one before.
pub(super) fn recorded(seq: u64, event: Event) -> Recorded {
    Recorded { seq: Sequence(seq), at: Timestamp(START.0 + seq * 1_000), event }
}

/// The board after these events, a second apart.
pub(super) fn board(events: Vec<Event>) -> Board {
    let mut board = Board::new("r_1", START);
    for (seq, event) in (0..).zip(events) {
        board.record(&recorded(seq, event));
    }
    board
}
