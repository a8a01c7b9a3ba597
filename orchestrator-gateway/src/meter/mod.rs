//! Reading what a call used from its answer, while the answer passes.
//!
//! A [`Meter`] is shown the bytes of an answer in whatever pieces they arrive and keeps no more than
//! one event or JSON document of them. It never fails: what it cannot read it passes over, and an
//! answer whose usage it has not read to the end is not [`Reading::is_final`].
//!
//! | The answer | is final |
//! |---|---|
//! | whole JSON | with its usage |
//! | Messages | with the usage beside a stop reason, or before `message_stop` |
//! | Chat Completions | with usage in the chunk without choices, beside a finish reason, or before `[DONE]` |
//! | Responses | with the usage of `response.completed`, `.incomplete` or `.failed` |
//! | Gemini | with usage at or after a finish or block reason |
//! | cut off, damaged, compressed, or an event of more than 8 MiB | as far as it was before |
//! | an event twice | as with one: counts replace each other, they are not added |
//! | a count that is no whole number | as without it |

mod chat;
mod gemini;
mod messages;
mod pieces;
mod responses;

use crate::sse::{DEFAULT_EVENT_LIMIT, Event, SseParser};
use orchestrator_core::usage::{TokenCount, Usage};
use pieces::Pieces;
use serde_json::Value;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Gemini `generateContent`.
    Gemini,
}

/// What an answer has said of its usage so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The tokens, by the last count of each kind.
    pub usage: Usage,
    /// Those of the tokens written to a cache that it keeps for an hour.
    pub hour_writes: TokenCount,
    /// Whether both sides were counted, and nothing more can follow.
    pub is_final: bool,
    /// The model that answers, by the server's word.
    pub served_model: Option<String>,
}

/// What the formats add up.
#[derive(Debug, Default)]
struct Counts {
    reading: Reading,
    has_input: bool,
    has_output: bool,
    /// The server has said why it stops.
    has_stopped: bool,
}

impl Counts {
    /// Nothing more follows: what both sides have is the usage.
    fn end(&mut self) {
        self.reading.is_final |= self.has_input && self.has_output;
    }

    fn model(&mut self, name: &Value) {
        if let (None, Some(name)) = (&self.reading.served_model, name.as_str()) {
            self.reading.served_model = Some(name.chars().take(200).collect());
        }
    }
}

/// Reads one answer.
#[derive(Debug)]
pub struct Meter {
    format: Format,
    input: Input,
    counts: Counts,
}

#[derive(Debug)]
enum Input {
    /// Nothing but white space yet.
    Start,
    Events(Box<SseParser>),
    Json(Pieces),
    /// What follows cannot be read.
    Blind,
}

impl Meter {
    /// For an answer of that form.
    pub fn new(format: Format) -> Self {
        Self { format, input: Input::Start, counts: Counts::default() }
    }

    /// For an answer that nobody but its reader can read, such as a compressed one.
    pub fn blind(format: Format) -> Self {
        Self { input: Input::Blind, ..Self::new(format) }
    }

    /// What has been read.
    pub fn reading(&self) -> &Reading {
        &self.counts.reading
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if let Input::Start = self.input {
            // A document starts with a bracket, and no event stream does, whatever its type says.
            match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return,
                Some(b'{' | b'[') => self.input = Input::Json(Pieces::new(DEFAULT_EVENT_LIMIT)),
                Some(_) => self.input = Input::Events(Box::default()),
            }
        }
        let (format, counts) = (self.format, &mut self.counts);
        let is_readable = match &mut self.input {
            Input::Start | Input::Blind => return,
            Input::Events(parser) => {
                let mut events = Vec::new();
                let fed = parser.feed(bytes, &mut events);
                events.iter().for_each(|event| read_event(format, event, counts));
                fed.is_ok()
            }
            Input::Json(pieces) => pieces.feed(bytes, &mut |piece| document(format, piece, counts)),
        };
        if !is_readable {
            tracing::debug!("the usage of an answer cannot be read any further");
            self.input = Input::Blind;
        }
    }
}

fn read_event(format: Format, event: &Event, counts: &mut Counts) {
    if event.is_done() {
        return counts.end();
    }
    let data = event.data.as_bytes();
    match format {
        Format::Messages => messages::event(data, counts),
        Format::Chat => chat::event(data, counts),
        Format::Responses => responses::event(data, counts),
        Format::Gemini => gemini::event(data, counts),
    }
}

fn document(format: Format, json: &[u8], counts: &mut Counts) {
    match format {
        Format::Messages => messages::whole(json, counts),
        Format::Chat => chat::whole(json, counts),
        Format::Responses => responses::whole(json, counts),
        // A stream without `alt=sse` is one list of what the events would be.
        Format::Gemini => gemini::event(json, counts),
    }
}

/// Whether `data` holds `text`: most events do not, and need not be parsed.
fn mentions(data: &[u8], text: &str) -> bool {
    memchr::memmem::find(data, text.as_bytes()).is_some()
}

/// The count named `key`.
fn count(usage: &Value, key: &str) -> Option<TokenCount> {
    usage.get(key)?.as_u64().map(TokenCount)
}

/// `a` without `b`.
fn less(a: TokenCount, b: TokenCount) -> TokenCount {
    TokenCount(a.0.saturating_sub(b.0))
}

#[cfg(test)]
mod tests;
