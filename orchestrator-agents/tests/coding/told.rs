//! A recorded stream, told in short: one line a step, and the verdict.

use orchestrator_agents::coding::{
    Action, Adapter, Endpoint, Event, Exit, Format, Order, Outcome, Reach, Scope, Start, Step,
    Verdict,
};
use orchestrator_gateway::SecretString;
use serde_json::Value;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// An order for a text, with nothing in reach.
pub(crate) fn order() -> Order {
    Order {
        prompt: "say hello".into(),
        instructions: String::new(),
        model: Some("mock-model".into()),
        directory: PathBuf::from("/work"),
        home: PathBuf::from("/home/agent"),
        start: Start::New("33333333-2222-4333-8444-555555555555".into()),
        schema: None,
        endpoint: Some(Endpoint {
            url: "http://127.0.0.1:4000".into(),
            token: SecretString::new("token-of-the-attempt"),
            formats: vec![Format::Anthropic, Format::Responses, Format::Chat],
        }),
        reach: Reach::default(),
        confined: false,
        live: false,
        mcp: Vec::new(),
        arguments: Vec::new(),
    }
}

/// The text of a file beside the recorded streams.
pub(crate) fn beside(of: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coding/transcripts").join(of);
    let path = path.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares what a recorded stream says with the `.told` file beside it.
#[track_caller]
pub(crate) fn check(adapter: &dyn Adapter, order: &Order, of: &str, name: &str, exit: Exit) {
    let got = told(adapter, order, &beside(of, &format!("{name}.jsonl")), exit);
    assert_eq!(got, beside(of, &format!("{name}.told")), "{of}/{name}");
}

/// The lines of a recorded conversation: each with its `dir`, `in` or `out`, and its `msg`.
#[track_caller]
pub(crate) fn recorded(of: &str, name: &str) -> Vec<Value> {
    let lines = beside(of, &format!("{name}.jsonl"));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What it printed to its standard error.
#[track_caller]
pub(crate) fn stderr(of: &str, name: &str) -> String {
    beside(of, &format!("{name}.stderr.txt"))
}

/// The steps of a recorded stream that ended with `exit`, one a line, and what came of it.
pub(crate) fn told(adapter: &dyn Adapter, order: &Order, stream: &str, exit: Exit) -> String {
    let mut dialogue = adapter.dialogue(order);
    let mut text = String::new();
    let _ = dialogue.start();
    let lines = stream.lines().flat_map(|line| dialogue.line(line));
    let steps: Vec<Step> = lines.collect();
    for step in &steps {
        // Pieces are repeated by the whole.
        if !matches!(step, Step::Said(Event::Delta(_))) {
            let _ = writeln!(text, "{}", short(step));
        }
    }
    match dialogue.verdict(exit) {
        Verdict::Done(finish) => {
            let _ = writeln!(text, "done {:?} denied {}", finish.text, finish.denied.len());
        }
        Verdict::Failed(failure) => {
            let _ = writeln!(text, "failed {}: {}", failure.class, failure.message);
        }
        Verdict::Silent => text.push_str("silent\n"),
    }
    text
}

/// What an action is for, or else what it is.
fn what(action: &Action) -> String {
    if action.summary.is_empty() { action.headline() } else { action.summary.clone() }
}

/// One step in one line.
pub(crate) fn short(step: &Step) -> String {
    match step {
        Step::Write(line) => format!("write {line}"),
        Step::Close => "close".into(),
        Step::GiveUp(failure) => format!("give up {}", failure.class),
        Step::Said(event) => match event {
            Event::Session { id, .. } => format!("session {id}"),
            Event::Delta(text) => format!("delta {text:?}"),
            Event::Thought(text) => format!("thought {text:?}"),
            Event::Message { text, .. } => format!("message {text:?}"),
            Event::ToolStarted { action, .. } => {
                format!("tool {:?} {}", action.kind, what(action))
            }
            Event::ToolEnded { result, .. } => match result.outcome {
                Outcome::Done => "tool done".into(),
                Outcome::Failed => "tool failed".into(),
                Outcome::Denied => "tool denied".into(),
            },
            Event::Permission { action, .. } => format!("may {:?} {}", action.kind, what(action)),
            Event::Withdrawn { .. } => "withdrawn".into(),
            Event::Retrying(retry) => format!("retry {:?}", retry.status),
            Event::Used(counted) => {
                let scope = match counted.scope {
                    Scope::Since => "since",
                    Scope::Process => "process",
                    Scope::Session => "session",
                    Scope::Lineage => "lineage",
                };
                let lines = counted.models.iter().map(|line| {
                    let usage = &line.usage;
                    format!(
                        " {} {}+{}r+{}w>{}({})",
                        line.model.as_deref().unwrap_or("?"),
                        usage.input,
                        usage.cache_read,
                        usage.cache_write,
                        usage.output,
                        usage.reasoning
                    )
                });
                format!("used {scope}{}", lines.collect::<String>())
            }
            Event::Notice(_) => "notice".into(),
            Event::Unknown { kind } => format!("unknown {kind}"),
            Event::Garbage { line } => format!("garbage {line:?}"),
            Event::Ended(ended) => match &ended.result {
                Ok(_) => "ended well".into(),
                Err(failure) => format!("ended {}", failure.class),
            },
        },
    }
}
