//! An answer under construction, the same for every protocol.

use super::{
    Delta, Opaque, Part, Response, Sink, Stop, Used, WireFormat,
    answer::{Piece, said},
};
use orchestrator_core::usage::{TokenCount, Usage};
use serde_json::Value;

/// What has arrived of an answer.
pub(super) struct Assembly<'a, 's> {
    sink: &'a mut Sink<'s>,
    text: String,
    pieces: Vec<Piece>,
    /// The next text is a part of its own.
    apart: bool,
    pub(super) refusal: String,
    /// Tokens so far; only what is [`Counts::complete`] is believed.
    counts: Counts,
    pub(super) stop: Option<Stop>,
    pub(super) served_model: Option<String>,
    /// The server said that nothing follows.
    pub(super) ended: bool,
    unknown: u32,
}

/// Token counts, and which of them the server has given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) usage: Usage,
    pub(super) has_input: bool,
    pub(super) has_output: bool,
}

impl Counts {
    /// The counts of a protocol whose input holds what a cache served or took, and whose output
    /// holds the reasoning. A server that counts more in a part than in the whole is wrong, and no
    /// reason to overflow.
    pub(super) fn overlapping(
        input: Option<u64>,
        cache: (u64, u64),
        output: Option<u64>,
        reasoning: u64,
    ) -> Self {
        let (all, said) = (input.unwrap_or_default(), output.unwrap_or_default());
        let cache_read = cache.0.min(all);
        let cache_write = cache.1.min(all - cache_read);
        Self {
            usage: Usage {
                input: TokenCount(all - cache_read - cache_write),
                cache_read: TokenCount(cache_read),
                cache_write: TokenCount(cache_write),
                output: TokenCount(said),
                reasoning: TokenCount(reasoning.min(said)),
            },
            has_input: input.is_some(),
            has_output: output.is_some(),
        }
    }

    /// A sum that lacks one side would give a wrong cost, so it counts as none.
    fn complete(&self) -> Option<Usage> {
        (self.has_input && self.has_output).then_some(self.usage)
    }
}

impl<'a, 's> Assembly<'a, 's> {
    pub(super) fn new(sink: &'a mut Sink<'s>) -> Self {
        Self {
            sink,
            text: String::new(),
            pieces: Vec::new(),
            apart: false,
            refusal: String::new(),
            counts: Counts::default(),
            stop: None,
            served_model: None,
            ended: false,
            unknown: 0,
        }
    }

    /// Takes the name of the model that answers, the first time that it is told.
    pub(super) fn served_by(&mut self, model: &Value) {
        if self.served_model.is_none() {
            self.served_model = model.as_str().map(str::to_owned);
        }
    }

    pub(super) fn add_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let apart = std::mem::take(&mut self.apart);
        match self.pieces.last_mut() {
            Some(Piece::Whole(Part::Text(last))) if !apart => last.push_str(text),
            _ => self.pieces.push(Piece::Whole(Part::Text(text.to_owned()))),
        }
        (self.sink)(Delta::Text(text.to_owned()));
    }

    /// Text that is not joined with what came before it.
    pub(super) fn add_text_apart(&mut self, text: &str) {
        self.apart = true;
        self.add_text(text);
    }

    pub(super) fn add_reasoning(&mut self, text: &str) {
        if !text.is_empty() {
            (self.sink)(Delta::Reasoning(text.to_owned()));
        }
    }

    /// Keeps what has to be sent back as it is.
    pub(super) fn keep(&mut self, protocol: WireFormat, value: Value) {
        self.pieces.push(Piece::Whole(Part::Opaque(Opaque { protocol, value })));
    }

    /// Keeps what has to be sent back as it is, before all else.
    pub(super) fn keep_first(&mut self, protocol: WireFormat, value: Value) {
        self.pieces.insert(0, Piece::Whole(Part::Opaque(Opaque { protocol, value })));
    }

    /// A call of a tool begins; `key` tells it apart from the others of this answer.
    pub(super) fn start_call(&mut self, key: u64, id: &str, name: &str) {
        let index = self.calls();
        let (id, name) = (id.to_owned(), name.to_owned());
        (self.sink)(Delta::ToolCallStarted { index, id: id.clone(), name: name.clone() });
        self.pieces.push(Piece::Call { key, id, name, arguments: String::new() });
    }

    /// More of the arguments of the call `key`; the last of that key, if there are several.
    pub(super) fn add_arguments(&mut self, key: u64, text: &str) {
        let Some((index, arguments)) = self.call_mut(key) else {
            return self.unknown("arguments of a call that never began");
        };
        if !text.is_empty() {
            arguments.push_str(text);
            (self.sink)(Delta::ToolCallArguments { index, text: text.to_owned() });
        }
    }

    /// The whole arguments of the call `key`, where nothing of them has arrived yet.
    pub(super) fn complete_arguments(&mut self, key: u64, text: &str) {
        if self.call_mut(key).is_some_and(|(_, arguments)| arguments.is_empty()) {
            self.add_arguments(key, text);
        }
    }

    /// The id of the call `key`, if it has begun.
    pub(super) fn call_id(&self, key: u64) -> Option<&str> {
        self.pieces.iter().rev().find_map(|piece| match piece {
            Piece::Call { key: other, id, .. } if *other == key => Some(id.as_str()),
            _ => None,
        })
    }

    /// How many calls there are so far.
    pub(super) fn calls(&self) -> usize {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Call { .. })).count()
    }

    fn call_mut(&mut self, key: u64) -> Option<(usize, &mut String)> {
        let calls = self.pieces.iter_mut().filter_map(|piece| match piece {
            Piece::Call { key, arguments, .. } => Some((*key, arguments)),
            Piece::Whole(_) => None,
        });
        let all = calls.enumerate().filter(|(_, (other, _))| *other == key);
        all.last().map(|(index, (_, arguments))| (index, arguments))
    }

    /// Whether nothing that the model said has arrived.
    pub(super) fn is_blank(&self) -> bool {
        self.pieces.is_empty() && self.refusal.is_empty()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
        (self.sink)(Delta::Usage(counts.usage));
    }

    /// The output that was counted is only that so far: it needs another count.
    pub(super) fn output_goes_on(&mut self) {
        self.counts.has_output = false;
    }

    /// Something that this version does not know. It is passed over: servers add fields and events
    /// at any time, and none may break an answer.
    pub(super) fn unknown(&mut self, what: &str) {
        self.unknown += 1;
        tracing::debug!(what, "passed over an unknown part of an answer");
    }

    pub(super) fn used(&self) -> Used {
        Used {
            usage: self.counts.usage,
            is_final: self.counts.complete().is_some() && (self.ended || self.stop.is_some()),
        }
    }

    pub(super) fn into_response(mut self) -> Response {
        if self.unknown > 0 {
            tracing::info!(count = self.unknown, "passed over unknown parts of an answer");
        }
        let calls = self.calls() > 0;
        let stop = match self.stop.unwrap_or(Stop::End) {
            _ if !self.refusal.is_empty() => Stop::Refused,
            // Some servers end an answer with calls as they end any other, and the other way
            // round: whoever waits for calls must find some.
            Stop::End if calls => Stop::ToolCalls,
            Stop::ToolCalls if !calls => Stop::BadToolCall,
            stop => stop,
        };
        if self.pieces.is_empty() && !self.refusal.is_empty() {
            self.pieces.push(Piece::Whole(Part::Text(self.refusal.clone())));
        }
        Response {
            text: if self.text.is_empty() { self.refusal } else { self.text },
            message: said(self.pieces),
            stop,
            usage: self.counts.complete(),
            served_model: self.served_model,
        }
    }
}
