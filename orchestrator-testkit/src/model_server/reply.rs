//! What the server answers.

use orchestrator_core::usage::{TokenCount, Usage};

/// One scripted answer. Starts as [`Reply::text`], [`Reply::error`] or [`Reply::raw`]; the other
/// methods bend it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Reply {
    pub(super) kind: Kind,
    pub(super) headers: Vec<(String, String)>,
    pub(super) flaw: Option<Flaw>,
    pub(super) dribble: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Answer(Answer),
    /// An error in the shape of whichever protocol was asked.
    Error {
        status: u16,
        kind: String,
        message: String,
    },
    Raw {
        status: u16,
        body: String,
    },
    /// The answer to who asks how many tokens a request has.
    Count(u64),
}

/// An answer of status 200.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) pieces: Vec<String>,
    pub(super) reasoning: String,
    pub(super) calls: Vec<Call>,
    pub(super) usage: Option<Usage>,
    pub(super) ending: Ending,
    pub(super) stream: bool,
    pub(super) strange: bool,
}

/// A tool that the model calls.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, unless the script wants it otherwise.
    pub(super) arguments: String,
}

impl Call {
    /// The arguments in pieces, cut without regard to JSON.
    pub(super) fn fragments(&self) -> Vec<&str> {
        let mut rest = self.arguments.as_str();
        let mut fragments = Vec::new();
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(rest.ceil_char_boundary(7));
            fragments.push(piece);
            rest = left;
        }
        fragments
    }
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// The model is done, or waits for the tools that it calls: `end_turn`, `stop`, `tool_use`.
    #[default]
    Done,
    /// The bound is reached: `max_tokens`, `length`.
    MaxTokens,
    /// The model declines: `refusal`, `content_filter`.
    Refusal,
}

/// What goes wrong with a stream, after so many of its events.
#[derive(Debug, Clone)]
pub(super) enum Flaw {
    Cut(usize),
    Hang(usize),
    Damage(usize),
    Fail { after: usize, kind: String, message: String },
}

impl Reply {
    fn of(kind: Kind) -> Self {
        Self { kind, headers: Vec::new(), flaw: None, dribble: false }
    }

    /// Answers `text`, word by word, with 100 tokens in and 20 out unless said otherwise.
    pub fn text(text: impl AsRef<str>) -> Self {
        let usage = Usage { input: TokenCount(100), output: TokenCount(20), ..Usage::default() };
        Self::of(Kind::Answer(Answer {
            pieces: text.as_ref().split_inclusive(' ').map(str::to_owned).collect(),
            reasoning: String::new(),
            calls: Vec::new(),
            usage: Some(usage),
            ending: Ending::Done,
            stream: true,
            strange: false,
        }))
    }

    /// Answers nothing but the call of a tool.
    pub fn tool_call(id: &str, name: &str, arguments: &serde_json::Value) -> Self {
        Self::text("").calling(id, name, arguments.to_string())
    }

    /// Answers whoever asks how many tokens a request has.
    pub fn count(tokens: u64) -> Self {
        Self::of(Kind::Count(tokens))
    }

    /// Answers `json` as text.
    pub fn json(json: &serde_json::Value) -> Self {
        Self::text(json.to_string())
    }

    /// Refuses with an HTTP status and an error body in the shape of the protocol.
    pub fn error(status: u16, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of(Kind::Error { status, kind: kind.into(), message: message.into() })
    }

    /// Answers `status` with exactly this body.
    pub fn raw(status: u16, body: impl Into<String>) -> Self {
        Self::of(Kind::Raw { status, body: body.into() })
    }

    /// With one more response header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn answer(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Kind::Answer(answer) = &mut self.kind {
            change(answer);
        }
        self
    }

    /// With these token counts. Its parts do not overlap, as everywhere in the orchestrator; each
    /// protocol's own way of counting is made of them.
    pub fn usage(self, usage: Usage) -> Self {
        self.answer(|answer| answer.usage = Some(usage))
    }

    /// Without any token count.
    pub fn no_usage(self) -> Self {
        self.answer(|answer| answer.usage = None)
    }

    /// With reasoning before the text.
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        self.answer(|answer| answer.reasoning = text.into())
    }

    /// With the call of a tool after what there is. The arguments need not be JSON; Gemini, which
    /// sends no others, then ends with `MALFORMED_FUNCTION_CALL` instead.
    pub fn calling(self, id: &str, name: &str, arguments: impl Into<String>) -> Self {
        let call = Call { id: id.into(), name: name.into(), arguments: arguments.into() };
        self.answer(|answer| answer.calls.push(call))
    }

    /// With another reason for its end.
    pub fn ending(self, ending: Ending) -> Self {
        self.answer(|answer| answer.ending = ending)
    }

    /// As one JSON document even when a stream was asked for.
    pub fn not_streamed(self) -> Self {
        self.answer(|answer| answer.stream = false)
    }

    /// With events, fields and blocks among the others that no client knows.
    pub fn with_unknown_events(self) -> Self {
        self.answer(|answer| answer.strange = true)
    }

    /// Breaks the connection after `events` events and half of the next.
    pub fn cut_after(mut self, events: usize) -> Self {
        self.flaw = Some(Flaw::Cut(events));
        self
    }

    /// Falls silent after `events` events and stays so until the client hangs up. With 0 not even
    /// the head of the answer is sent.
    pub fn hang_after(mut self, events: usize) -> Self {
        self.flaw = Some(Flaw::Hang(events));
        self
    }

    /// Sends an event that is not JSON after `events` events.
    pub fn damaged_after(mut self, events: usize) -> Self {
        self.flaw = Some(Flaw::Damage(events));
        self
    }

    /// Sends an error event after `events` events, and then no more.
    pub fn failing_after(
        mut self,
        events: usize,
        kind: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        self.flaw = Some(Flaw::Fail { after: events, kind: kind.into(), message: message.into() });
        self
    }

    /// Delivers the body one byte at a time.
    pub fn byte_by_byte(mut self) -> Self {
        self.dribble = true;
        self
    }
}
