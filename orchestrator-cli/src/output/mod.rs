//! The two streams: data goes to stdout, talk to stderr.

pub(crate) mod forecast;
pub(crate) mod hidden;
pub(crate) mod paint;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod text;

use crate::problem::Failure;
use paint::{Paint, Tone};
use serde::Serialize;
use std::io::{ErrorKind, Write};
use table::Table;
use terminal::{ColorWhen, Stream, Wishes};

/// What a person or a script asked for in the way of output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    /// JSON documents in place of text.
    pub(crate) json: bool,
    /// No talk but errors.
    pub(crate) quiet: bool,
    /// How much more talk.
    pub(crate) verbose: u8,
    /// Standard output.
    pub(crate) out: Stream,
    /// Standard error.
    pub(crate) err: Stream,
}

impl Console {
    /// The console that flags and environment ask for.
    pub(crate) fn new(
        json: bool,
        quiet: bool,
        verbose: u8,
        color: ColorWhen,
        wishes: &Wishes,
    ) -> Self {
        let (out, err) = (Stream::stdout(color, wishes), Stream::stderr(color, wishes));
        Self { json, quiet, verbose, out, err }
    }

    /// The paint for standard output.
    pub(crate) fn paint(&self) -> Paint {
        Paint::on(self.out)
    }

    /// The columns that a line of data may take; no bound unless a person sees it.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.out.terminal.then(|| terminal::size().0)
    }

    /// Writes bytes to standard output as they are.
    ///
    /// # Errors
    /// [`Failure::Gone`] when nobody reads any more, else what stood in the way.
    #[expect(clippy::unused_self, reason = "all output goes through the console")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::Gone,
            _ => Failure::output(&error),
        })
    }

    /// Writes a line, or several, of data.
    ///
    /// # Errors
    /// As for [`Console::bytes`].
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut text = text.to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.bytes(text.as_bytes())
    }

    /// Writes lines of data.
    ///
    /// # Errors
    /// As for [`Console::bytes`].
    pub(crate) fn lines(&self, lines: &[String]) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        self.data(&text::presentable(&lines.join("\n"), self.out.color))
    }

    /// Writes a table as data.
    ///
    /// # Errors
    /// As for [`Console::bytes`].
    pub(crate) fn table(&self, table: &Table) -> Result<(), Failure> {
        self.lines(&table.lines(self.paint(), self.columns()))
    }

    /// Writes a document as one line of JSON, whoever reads: one of several on a stream.
    ///
    /// # Errors
    /// As for [`Console::bytes`].
    pub(crate) fn document_line<T: Serialize>(&self, document: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(document);
        self.data(&text.map_err(|error| Failure::output(&error.into()))?)
    }

    /// Writes a document as JSON: on one line for a stream, over several for a person.
    ///
    /// # Errors
    /// As for [`Console::bytes`].
    pub(crate) fn document<T: Serialize>(&self, document: &T) -> Result<(), Failure> {
        if !self.out.terminal {
            return self.document_line(document);
        }
        let text = serde_json::to_string_pretty(document);
        self.data(&text.map_err(|error| Failure::output(&error.into()))?)
    }

    /// Says something beside the data, unless told to be quiet. Nobody listening is no failure.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.insist(text);
        }
    }

    /// Says something even when told to be quiet.
    pub(crate) fn insist(&self, text: &str) {
        let mut text = text::presentable(text, self.err.color).into_owned();
        text.push('\n');
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Says what to type next.
    pub(crate) fn hint(&self, text: &str) {
        self.say(&Paint::on(self.err).tone(Tone::Faint, text));
    }
}
