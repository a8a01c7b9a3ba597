//! What a program has done, on its way into the attempt's journal.
//!
//! What is heard goes into a queue, in the order in which it was heard, and one writer records it.
//! So nobody waits until a turn is durable before more is read, unless the queue is full; and
//! nothing is passed over or overtaken.

use super::super::{Action, Outcome, ToolResult};
use orchestrator_core::{
    error::Failure,
    event::Content,
    id::{MessageNumber, TurnNumber},
    port::{AttemptHost, Call, RecordedTurn, Step},
};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};

/// How many entries may wait.
pub(super) const QUEUE: usize = 256;

/// How many bytes of a tool's input or output a turn keeps; the transcript has all of it.
const KEPT: usize = 64 * 1024;

/// The longest part of a turn in what a new session is told of it.
const TOLD: usize = 4 * 1024;
/// All that a new session is told of the turns before it.
const TOLD_IN_ALL: usize = 48 * 1024;

/// Something to be recorded.
#[derive(Debug)]
pub(super) enum Entry {
    /// The program has said the name of its session.
    Session(String),
    /// It is at work: a pause waits for the turn that it is in.
    Working,
    /// A turn was done.
    Turn {
        call: Call,
        output: Value,
        /// Whether another follows.
        goes_on: bool,
    },
    /// The program has a message.
    Delivered(MessageNumber),
}

/// Why nothing more is recorded.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    failure: Mutex<Option<Failure>>,
    told: Notify,
}

impl Stopped {
    fn with(&self, failure: Failure) {
        let mut place = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert(failure);
        self.told.notify_one();
    }

    /// Resolves once nothing more is recorded.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// Why, if so.
    pub(super) fn why(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Records what comes until the other side is gone. After a failure what comes is let go.
pub(super) async fn write(
    mut coming: mpsc::Receiver<Entry>,
    host: &dyn AttemptHost,
    stopped: &Stopped,
) {
    let mut writer = Writer { host, open: None };
    while let Some(entry) = coming.recv().await {
        if let Err(failure) = writer.write(entry).await {
            stopped.with(failure);
            break;
        }
    }
    while coming.recv().await.is_some() {}
}

struct Writer<'a> {
    host: &'a dyn AttemptHost,
    /// The turn that the program is in.
    open: Option<TurnNumber>,
}

impl Writer<'_> {
    async fn write(&mut self, entry: Entry) -> Result<(), Failure> {
        match entry {
            Entry::Session(id) => self.host.session(&id).await,
            Entry::Working => self.begin(&Call::new("model", "program", "")).await.map(drop),
            Entry::Delivered(number) => self.host.delivered(number).await,
            Entry::Turn { call, output, goes_on } => {
                let turn = self.begin(&call).await?;
                self.open = None;
                self.host.finish(turn, &call, output, Vec::new()).await?;
                if goes_on {
                    self.begin(&call).await?;
                }
                Ok(())
            }
        }
    }

    /// The turn that is open, or else one that is opened.
    async fn begin(&mut self, call: &Call) -> Result<TurnNumber, Failure> {
        if let Some(open) = self.open {
            return Ok(open);
        }
        // All that the journal held was given back before.
        let turn = match self.host.begin(call).await? {
            Step::Perform(turn) => turn,
            Step::Recorded(_) => TurnNumber(0),
        };
        self.open = Some(turn);
        Ok(turn)
    }
}

/// The turn in which the model said `text`.
pub(super) fn said(text: &str, model: Option<&str>) -> Entry {
    let call = Call::new("model", model.unwrap_or("unnamed"), "");
    let output = json!({ "text": brief(text, KEPT), "model": model });
    Entry::Turn { call, output, goes_on: false }
}

/// The turn in which a tool was used.
pub(super) fn used(action: Option<&Action>, input: &Value, result: &ToolResult) -> Entry {
    let tool = action.map_or("unnamed", |action| action.tool.as_str());
    let call = Call::new("tool", tool, input.to_string());
    let outcome = match result.outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Denied => "denied",
    };
    let output = json!({
        "tool": tool,
        "input": bounded(input),
        "outcome": outcome,
        "output": bounded(&result.output),
    });
    Entry::Turn { call, output, goes_on: true }
}

/// The value, or the beginning of its text where it is too large or too deep for the journal.
fn bounded(value: &Value) -> Value {
    // One level is that of the turn itself.
    if Content::admits(&json!([value])) {
        match value {
            Value::String(text) if text.len() > KEPT => return brief(text, KEPT).into(),
            Value::Array(_) | Value::Object(_) => {}
            other => return other.clone(),
        }
        let text = value.to_string();
        return if text.len() > KEPT { brief(&text, KEPT).into() } else { value.clone() };
    }
    "[nested too deeply to be kept]".into()
}

/// The beginning of `text`, and how much follows.
fn brief(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… [{} more bytes are in the transcript]", &text[..end], text.len() - end)
}

/// What `turns` were, for a session that did not see them; the last of them when they are long.
pub(super) fn told(turns: &[RecordedTurn]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut left = TOLD_IN_ALL;
    for turn in turns.iter().rev() {
        let text = match turn.kind.as_str() {
            "model" => match turn.output.get("text").and_then(Value::as_str) {
                Some(said) => format!("You said:\n{}", brief(said, TOLD)),
                None => continue,
            },
            "tool" => {
                let part = |name: &str| turn.output.get(name).map(plain).unwrap_or_default();
                format!(
                    "You used {} ({}): {}\nwhich left: {}",
                    turn.name,
                    part("outcome"),
                    brief(&part("input"), TOLD),
                    brief(&part("output"), TOLD)
                )
            }
            kind => format!("{kind} {}: {}", turn.name, brief(&plain(&turn.output), TOLD)),
        };
        let Some(rest) = left.checked_sub(text.len()) else {
            parts.push("(what came before is left out)".to_owned());
            break;
        };
        left = rest;
        parts.push(text);
    }
    parts.reverse();
    parts.join("\n\n")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ActionKind;
    use super::*;

    fn output(entry: Entry) -> Value {
        match entry {
            Entry::Turn { output, .. } => output,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn turns_are_bounded_in_size_and_depth() {
        let mut deep = json!(1);
        for _ in 0..80 {
            deep = json!([deep]);
        }
        let result = ToolResult { outcome: Outcome::Done, output: deep };
        let action = Action::new("Bash", ActionKind::Run);
        let input = json!({ "content": "é".repeat(60_000) });
        let kept = output(used(Some(&action), &input, &result));
        assert!(Content::admits(&kept));
        assert!(kept["input"].as_str().is_some_and(|text| text.contains("more bytes")), "{kept}");
        assert!(kept.to_string().len() < 70_000);
        assert_eq!(kept["output"], "[nested too deeply to be kept]");
        assert_eq!(output(said("hi", None)), json!({ "text": "hi", "model": null }));
    }

    #[test]
    fn a_new_session_is_told_of_the_last_turns() {
        let turn = |number: u32, entry: Entry| match entry {
            Entry::Turn { call, output, .. } => RecordedTurn::new(TurnNumber(number), call, output),
            other => panic!("{other:?}"),
        };
        let action = Action::run("Bash", "ls");
        let result = ToolResult { outcome: Outcome::Denied, output: json!("no") };
        let turns = [
            turn(1, said("I look around.", Some("m"))),
            turn(2, used(Some(&action), &json!({ "command": "ls" }), &result)),
        ];
        assert_eq!(
            told(&turns),
            "You said:\nI look around.\n\nYou used Bash (denied): {\"command\":\"ls\"}\nwhich left: no"
        );
        let long = vec![turn(1, said(&"x".repeat(5_000), None)); 40];
        let text = told(&long);
        assert!(
            text.len() < TOLD_IN_ALL + 1_000 && text.starts_with("(what came before"),
            "{text}"
        );
    }
}
