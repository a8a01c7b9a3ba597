//! What a program says, for people: lines in the log of its attempt, and how it goes.

use super::super::{Action, Outcome, Retry, ToolResult};
use crate::model::prompt;
use orchestrator_core::{
    port::{AttemptHost, LogLine, LogStream, Progress},
    time::format_duration,
    usage::{Cost, Usage},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The most bytes of a message in one line of the log.
const LINE: usize = 4 << 10;
/// How many unreadable lines are shown; the others are counted.
const GARBAGE: u64 = 3;
/// How many kinds of unknown events are told apart.
const KINDS: usize = 64;

/// Says what was used and what it cost so far, by somebody who knows it better than the program.
pub(super) type Booked = Arc<dyn Fn() -> (Usage, Cost) + Send + Sync>;

/// The log and the progress of one attempt.
pub(super) struct Voice<'a> {
    host: &'a dyn AttemptHost,
    booked: Option<Booked>,
    /// By the program's own count.
    used: (Usage, Cost),
    doing: String,
    unknown: BTreeMap<String, u64>,
    garbage: u64,
}

impl fmt::Debug for Voice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("doing", &self.doing).finish_non_exhaustive()
    }
}

impl<'a> Voice<'a> {
    pub(super) fn new(host: &'a dyn AttemptHost, booked: Option<Booked>) -> Self {
        let (used, doing) = ((Usage::default(), Cost::default()), String::new());
        Self { host, booked, used, doing, unknown: BTreeMap::new(), garbage: 0 }
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.host.log(LogLine { stream: LogStream::Note, text: text.into() });
    }

    /// It does something else now.
    pub(super) fn doing(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.doing != what {
            self.doing = what;
            self.tell();
        }
    }

    pub(super) fn used(&mut self, usage: Usage, cost: Cost) {
        self.used.0 += usage;
        self.used.1 += cost;
        self.tell();
    }

    fn tell(&self) {
        let (usage, cost) = self.booked.as_ref().map_or(self.used, |booked| booked());
        self.host.progress(Progress { doing: self.doing.clone(), usage, cost });
    }

    pub(super) fn message(&mut self, text: &str) {
        for line in text.lines() {
            let mut rest = line;
            while rest.len() > LINE {
                let end = (0..=LINE).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(LINE);
                let (part, more) = rest.split_at(end);
                self.host.log(LogLine { stream: LogStream::Model, text: part.to_owned() });
                rest = more;
            }
            self.host.log(LogLine { stream: LogStream::Model, text: rest.to_owned() });
        }
    }

    pub(super) fn tool(&mut self, action: &Action) {
        let what = prompt::brief(&action.headline());
        self.doing(what.clone());
        self.note(what);
    }

    pub(super) fn tool_ended(&mut self, action: Option<&Action>, result: &ToolResult) {
        let what = match result.outcome {
            Outcome::Done => return self.doing("waiting for the model"),
            Outcome::Failed => "failed",
            Outcome::Denied => "was not allowed",
        };
        let tool = action.map_or("a tool", |action| action.tool.as_str());
        let said = match &result.output {
            serde_json::Value::String(text) => prompt::brief(text),
            serde_json::Value::Null => String::new(),
            other => prompt::brief(&other.to_string()),
        };
        let said = if said.is_empty() { said } else { format!(": {said}") };
        self.note(format!("{tool} {what}{said}"));
        self.doing("waiting for the model");
    }

    pub(super) fn retrying(&mut self, retry: &Retry) {
        let mut text = String::from("a call of the model failed and is made again");
        if let Some(status) = retry.status {
            text.push_str(&format!(" (HTTP {status})"));
        }
        if let Some(wait) = retry.wait {
            text.push_str(&format!(" in {}", format_duration(wait)));
        }
        if !retry.message.is_empty() {
            text.push_str(&format!(": {}", prompt::brief(&retry.message)));
        }
        self.note(text);
        self.doing("waiting to call the model again");
    }

    /// An event that the adapter does not know. Each kind is shown once.
    pub(super) fn unknown(&mut self, kind: &str) {
        if let Some(count) = self.unknown.get_mut(kind) {
            *count += 1;
            return;
        }
        let kind = if self.unknown.len() < KINDS { prompt::brief(kind) } else { "others".into() };
        if !self.unknown.contains_key(&kind) {
            self.note(format!("an event of the program is not known here: {kind}"));
        }
        *self.unknown.entry(kind).or_default() += 1;
    }

    /// A line that cannot be read.
    pub(super) fn garbage(&mut self, line: &str) {
        self.garbage += 1;
        if self.garbage <= GARBAGE {
            let text = prompt::brief(line);
            self.host.log(LogLine { stream: LogStream::Stdout, text });
        }
    }

    /// How many lines could not be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.garbage
    }

    /// Says what was counted.
    pub(super) fn finish(&self) {
        let repeated = self.unknown.iter().filter(|(_, count)| **count > 1);
        let repeated: Vec<_> =
            repeated.map(|(kind, count)| format!("{kind} ({count} times)")).collect();
        if !repeated.is_empty() {
            self.note(format!("events that are not known here: {}", repeated.join(", ")));
        }
        if self.garbage > GARBAGE {
            let more = self.garbage - GARBAGE;
            self.note(format!("{more} more lines of its output could not be read"));
        }
    }
}
