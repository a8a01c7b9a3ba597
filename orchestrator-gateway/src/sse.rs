//! Server-sent events: bytes in, events out, wherever the network happened to cut them.
//!
//! Follows the event stream grammar of the HTML standard, section 9.2: lines end with LF, CR or
//! CRLF, an event ends with an empty line, several `data` lines are joined with LF, a line that
//! starts with a colon is a comment, and what the end of the stream leaves unfinished is dropped.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The value of its last `event` field; empty when it had none.
    pub name: String,
    /// Its `data` fields, joined with line feeds.
    pub data: String,
}

impl Event {
    /// Whether this is the `[DONE]` marker with which Chat Completions streams end.
    pub fn is_done(&self) -> bool {
        self.data.trim() == "[DONE]"
    }
}

/// A stream that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// A line or an event is larger than the parser accepts.
    #[error("an event of the stream exceeds {limit} bytes")]
    TooLarge {
        /// The most bytes that one event may have.
        limit: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the stream is not valid UTF-8")]
    NotText,
}

/// The most bytes that one event may have unless said otherwise: 8 MiB.
pub const DEFAULT_EVENT_LIMIT: usize = 8 << 20;

/// An incremental parser. Feed it bytes as they arrive; it gives the events that they complete.
#[derive(Debug)]
pub struct SseParser {
    limit: usize,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The last byte was a CR, so that an LF right after it ends no line of its own.
    after_cr: bool,
    /// Nothing was read yet: a byte order mark may follow.
    at_start: bool,
    name: String,
    data: String,
    has_data: bool,
}

impl Default for SseParser {
    fn default() -> Self {
        Self::with_limit(DEFAULT_EVENT_LIMIT)
    }
}

impl SseParser {
    /// A parser that refuses lines and events of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            name: String::new(),
            data: String::new(),
            has_data: false,
        }
    }

    /// Takes `bytes` and appends to `events` what they complete.
    ///
    /// # Errors
    /// [`SseError`]; the parser is of no use after that.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                return self.extend_line(rest);
            };
            self.extend_line(&rest[..end])?;
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.end_line(events)?;
        }
        Ok(())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        if self.line.len() + bytes.len() > self.limit {
            return Err(SseError::TooLarge { limit: self.limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        let bytes = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&bytes).map_err(|_| SseError::NotText)?;
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            if std::mem::take(&mut self.has_data) {
                events.push(Event { name, data });
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.data.len() + value.len() >= self.limit {
                    return Err(SseError::TooLarge { limit: self.limit });
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            // A comment (empty field name), `id`, `retry` or a field of the future.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, SseError> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece, &mut events)?;
        }
        Ok(events)
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn the_grammar_by_table() {
        let check = |text: &str, expected: &[Event]| {
            assert_eq!(parse([text.as_bytes()]).unwrap(), expected, "{text:?}");
        };
        check("data: a\n\n", &[event("", "a")]);
        check("data:a\r\n\r\n", &[event("", "a")]);
        check("data: a\r\rdata: b\r\r", &[event("", "a"), event("", "b")]);
        check("data:  two\n\n", &[event("", " two")]);
        check("event: ping\ndata: {}\n\n", &[event("ping", "{}")]);
        check("data: a\ndata: b\ndata\n\n", &[event("", "a\nb\n")]);
        check(": keep-alive\n\nevent: lonely\n\ndata: x\n\n", &[event("", "x")]);
        check("id: 7\nretry: 5\nnew: y\ndata: x\n\n", &[event("", "x")]);
        check("\u{feff}data: x\n\n", &[event("", "x")]);
        check("data: unfinished\n", &[]);
        check("data: [DONE]\n\n", &[event("", "[DONE]")]);
        assert!(parse([b"data: [DONE]\n\n".as_slice()]).unwrap()[0].is_done());
    }

    #[test]
    fn sizes_are_bounded_and_text_is_utf_8() {
        let feed = |text: &[u8]| SseParser::with_limit(16).feed(text, &mut Vec::new());
        assert_eq!(feed(b"data: 0123456789\n\n"), Ok(()));
        assert_eq!(feed(b"data: 0123456789a"), Err(SseError::TooLarge { limit: 16 }));
        let lines = b"data: 12345678\ndata: 12345678\n";
        assert_eq!(feed(lines), Err(SseError::TooLarge { limit: 16 }));
        assert_eq!(parse([b"data: \xff\n".as_slice()]), Err(SseError::NotText));
    }

    const STREAM: &str = "\u{feff}event: a\r\ndata: {\"t\":\"héllo – 世界 🦀\"}\r\n\r\n: c\r\n\r\n\
                          data: one\rdata: two\r\rdata: x\n\n";

    #[test]
    fn every_split_in_two_gives_the_same_events() {
        let whole = parse([STREAM.as_bytes()]).unwrap();
        assert_eq!(whole.len(), 3);
        for at in 0..=STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(at);
            assert_eq!(parse([left, right]).unwrap(), whole, "split at {at}");
        }
        assert_eq!(parse(STREAM.as_bytes().chunks(1)).unwrap(), whole, "byte by byte");
    }

    proptest! {
        #[test]
        fn any_split_of_any_text_gives_the_same_events(
            text in "(data: ?|event: |: |id: |\r\n|\n|\r|[a-zé🦀]{0,4}){0,40}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for end in at.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..end]);
                from = end;
            }
            prop_assert_eq!(parse(pieces), parse([bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse([bytes.as_slice()]);
        }
    }
}
