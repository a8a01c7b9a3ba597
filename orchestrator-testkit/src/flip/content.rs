//! What a store can hold, in one small store.

use crate::store_contract::{Driver, name, spend};
use orchestrator_core::{
    estimate::{Draws, Sureness},
    event::Event,
    port::{Blobs, Rows, Signal, Store},
    prelude::*,
    time::Timestamp,
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers with its prompt, or with a text that is too large for the log.
struct Echo;

#[async_trait]
impl Agent for Echo {
    async fn perform(&self, work: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        match work.prompt() {
            "large" => Ok(Answer::text("0123456789abcdef".repeat(3_000))),
            "no" => Err(Failure::new(ErrorClass::Refused, "it will not do that")),
            prompt => Ok(Answer::text(prompt)),
        }
    }
}

/// Puts in a run with an event of every kind, and two that an engine drove to their end.
///
/// # Errors
/// When the store refuses, or a kind of event has no example here.
pub async fn fill(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let blob = blobs.put(b"a report\n").await.map_err(|e| text(&e))?;
    let mut driver = Driver::new("every-kind", 1_000);
    let mut first = driver.first();
    first.rows.estimate = Some(Draws::nothing(3).estimate(Sureness::CERTAIN));
    store.create(first, driver.lease()).await.map_err(|e| text(&e))?;
    driver.seq = driver.seq.next();
    let mut events = Vec::new();
    for document in every_kind(blob.as_str()) {
        let event = Event::deserialize(&document).map_err(|e| format!("{document}: {e}"))?;
        events.push(event);
    }
    let missing = |kind: &&&str| {
        let others = events.iter().map(Event::kind);
        **kind != "run-created" && !others.into_iter().any(|other| other == **kind)
    };
    if let Some(kind) = Event::KINDS.iter().find(missing) {
        return Err(format!("no example of the event `{kind}`"));
    }
    for some in events.chunks(5) {
        let rows = Rows {
            tasks: vec![driver.task("a", 0, TaskStatus::Running)],
            spend: vec![spend(&driver, "a", "dev", "m", Some(7))],
            ..Rows::default()
        };
        driver.append(store.as_ref(), some.to_vec(), rows).await.map_err(|e| text(&e))?;
    }
    let signal = Signal::Cancel { reason: "enough".into() };
    store.signal(&driver.run, signal, Timestamp(7)).await.map_err(|e| text(&e))?;
    drive(store, blobs).await.map_err(|error| error.to_string())
}

/// Two runs of an engine: one succeeds and leaves blobs, one fails.
async fn drive(
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
) -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder().store(store).blobs(blobs).own_agent("echo", Echo)?.build();
    let good = Workflow::new("good")?
        .task("one", "echo", "first", &[])?
        .task("two", "echo", "large", &["one"])?
        .task("three", "echo", "{{ tasks.one.output }} and third", &["two"])?;
    let bad = Workflow::new("bad")?.task("one", "echo", "no", &[])?;
    for workflow in [good, bad] {
        engine.start(StartRun::new(workflow.into())).await?.wait().await?;
    }
    Ok(())
}

/// An example of every kind of event but the first of a log.
fn every_kind(blob: &str) -> Vec<Value> {
    let task = name("a");
    let failure = json!({"class": "crashed", "message": "it was cut off"});
    let content = json!({"inline": {"text": "done", "number": 0.1}});
    let commit = "c".repeat(40);
    let ask = json!({"kind": "approval", "message": "Land it?", "expires": 9});
    vec![
        json!({"type": "attempt-started", "task": task, "attempt": 1, "epoch": 1, "agent": "dev"}),
        json!({"type": "session-known", "task": task, "attempt": 1, "session": "s-1"}),
        json!({"type": "turn-recorded", "task": task, "attempt": 1, "turn": {
            "number": 1, "kind": "model", "name": "m", "input": "abc", "output": content}}),
        json!({"type": "journal-cut", "task": task, "attempt": 1, "from": 1}),
        json!({"type": "attempt-logged", "task": task, "attempt": 1,
            "lines": [{"stream": "stdout", "text": "a line"}], "dropped": 2}),
        json!({"type": "attempt-succeeded", "task": task, "attempt": 1, "output": content,
            "artifacts": [{"name": "report.md", "media-type": "text/markdown", "blob": blob, "bytes": 9}]}),
        json!({"type": "attempt-failed", "task": task, "attempt": 1, "failure": failure,
            "next": {"at": 12, "agent": 0}}),
        json!({"type": "workspace-opened", "task": task, "attempt": 1, "opened": {"kind": "worktree",
            "directory": "/w/a", "base": commit, "branch": "orchestrator/r/a/1", "sandbox": "off"}}),
        json!({"type": "checkpoint-made", "task": task, "attempt": 1,
            "checkpoint": {"commit": commit, "turn": 1, "files": 2}}),
        json!({"type": "work-recorded", "task": task, "attempt": 1, "output": content,
            "work": {"commit": commit, "base": commit, "files": 1, "diff": blob,
                "listed": [{"path": "a.rs", "change": "modified"}]}}),
        json!({"type": "evidence-recorded", "task": task, "attempt": 1, "evidence": {"blob": blob,
            "verdict": "verified", "commit": commit, "outputs": [blob]}}),
        json!({"type": "landing-refused", "task": task, "attempt": 1, "refusal": {"target": "main",
            "tip": commit, "files": ["a.rs"], "message": "solve it", "evidence": blob}}),
        json!({"type": "work-landed", "task": task, "attempt": 1,
            "landed": {"target": "main", "commit": commit, "before": commit}}),
        json!({"type": "pull-request-opened", "task": task, "attempt": 1, "request": {"target": "main",
            "commit": commit, "url": "https://forge.example/7", "number": 7}}),
        json!({"type": "task-expanded", "task": task, "count": 2, "items": {"inline": [1, 2]}}),
        json!({"type": "tasks-added", "by": task, "tasks": [], "bindings": []}),
        json!({"type": "condition-met", "task": task, "question": "when"}),
        json!({"type": "task-delayed", "task": task, "until": 13}),
        json!({"type": "person-asked", "task": task, "ask": ask}),
        json!({"type": "person-answered", "task": task, "reply": {"verdict": "approved", "by": "ada"}}),
        json!({"type": "message-sent", "task": task, "message": {"number": 1, "text": "hurry",
            "interrupts": true}}),
        json!({"type": "message-delivered", "task": task, "attempt": 1, "number": 1}),
        json!({"type": "task-succeeded", "task": task, "output": content}),
        json!({"type": "task-carried", "task": task, "from": "r_0", "agent": "dev", "attempts": 1}),
        json!({"type": "stop-requested", "task": task, "failure": failure}),
        json!({"type": "task-skipped", "task": task, "reason": {"because": "when"}}),
        json!({"type": "task-cancelled", "task": task}),
        json!({"type": "task-failed", "task": task, "failure": failure}),
        json!({"type": "revision-requested", "by": task, "number": 1,
            "feedback": {"from": "b", "message": "shorter"}, "reopened": ["a", "b"]}),
        json!({"type": "signal-taken", "number": 1}),
        json!({"type": "pause-requested", "now": true}),
        json!({"type": "run-resumed"}),
        json!({"type": "budget-set", "usd": "7.5"}),
        json!({"type": "run-timed-out"}),
        json!({"type": "compensation-began", "task": task}),
        json!({"type": "undo-planned", "tasks": ["a"]}),
        json!({"type": "chain-planned", "task": task, "index": 0, "run": "r_9"}),
        json!({"type": "chain-started", "run": "r_9"}),
        json!({"type": "cancel-requested", "reason": "enough"}),
        json!({"type": "run-recovered", "lease": 2}),
        json!({"type": "run-ended", "status": "cancelled"}),
    ]
}
