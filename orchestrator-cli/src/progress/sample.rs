//! Events of a run, for the tests of what is shown.

use super::board::Board;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    event::{Ask, AskKind, Content, Event, Recorded, RunCreated, SkipReason},
    id::{AgentName, AttemptNumber, Epoch, ProviderName, RunId, Sequence, TaskName},
    money::MicroUsd,
    time::Timestamp,
    usage::{Spend, TokenCount, Usage},
    workflow::Workflow,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const START: Timestamp = Timestamp(1_000);

pub(super) fn task(name: &str) -> TaskName {
    TaskName::new(name).expect("a name")
}

/// The id of the run.
pub(super) fn run() -> RunId {
    RunId::new("r_1").expect("an id")
}

/// The creation of a run with tasks of these names.
pub(super) fn created(names: &[&str]) -> Event {
    let mut workflow = Workflow::new("demo").expect("a name");
    for name in names {
        workflow = workflow.task(name, "dev", "do it", &[]).expect("a name");
    }
    Event::RunCreated(Box::new(RunCreated {
        run: run(),
        tenant: Default::default(),
        project: Default::default(),
        directory: "/p".into(),
        workflow: Arc::new(workflow),
        source: "demo.yaml".into(),
        inputs: Arc::new(json!({})),
        bindings: Arc::default(),
        agents: Vec::new(),
        budget: None,
        max_parallel: 4,
        parent: None,
        origin: None,
        library: Default::default(),
        takes_over: Default::default(),
        estimate: None,
        behaviour: Default::default(),
        cassette: None,
        uncommitted: false,
    }))
}

pub(super) fn started(name: &str, attempt: u32) -> Event {
    Event::AttemptStarted {
        task: task(name),
        attempt: AttemptNumber(attempt),
        epoch: Epoch(1),
        agent: AgentName::new("dev").expect("a name"),
        child: None,
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
        cached: None,
    }
}

pub(super) fn failed(name: &str, next: Option<u64>) -> Event {
    let next = next.map(|at| {
        let next = json!({ "at": at, "agent": 0 });
        serde_json::from_value(next).expect("a next attempt")
    });
    Event::AttemptFailed {
        task: task(name),
        attempt: AttemptNumber(1),
        failure: Failure::new(ErrorClass::Transient, "the line broke\x1b[2J\nand more"),
        next,
        ask: None,
    }
}

pub(super) fn skipped(name: &str, because: &str) -> Event {
    let reason = SkipReason::Needs { task: task(because) };
    Event::TaskSkipped { task: task(name), reason }
}

/// A person is asked for an approval.
pub(super) fn approval(name: &str) -> Event {
    let ask = Ask::new(AskKind::Approval, "Land it?");
    Event::PersonAsked { task: task(name), ask: Box::new(ask) }
}

/// The list of a `for-each` task is known.
pub(super) fn expanded(name: &str, count: u32) -> Event {
    Event::TaskExpanded { task: task(name), count, items: Content::Inline(Value::Null) }
}

/// `event` as the `seq`th, one second after the one before.
pub(super) fn recorded(seq: u64, event: Event) -> Recorded {
    Recorded { seq: Sequence(seq), at: Timestamp(START.0 + seq * 1_000), event }
}

/// The board after these events, a second apart.
pub(super) fn board(events: Vec<Event>) -> Board {
    let mut board = Board::new("r_1", START);
    for (seq, event) in (0..).zip(events) {
        board.record(&run(), &recorded(seq, event));
    }
    board
}
