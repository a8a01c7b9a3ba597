//! Details as a sheet: names on the left, values beside them, sections below.

use crate::output::{
    Console,
    paint::{Paint, Tone},
    text,
};
use crate::problem::Failure;
use serde_json::Value;

/// Lines for people about one thing.
#[derive(Debug)]
pub(super) struct Sheet {
    paint: Paint,
    fields: Vec<(&'static str, String)>,
    lines: Vec<String>,
}

impl Sheet {
    /// An empty sheet.
    pub(super) fn new(console: &Console) -> Self {
        Self { paint: console.paint(), fields: Vec::new(), lines: Vec::new() }
    }

    /// The paint that it is written with.
    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// Adds a field; one without a value is left out.
    pub(super) fn field(&mut self, name: &'static str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into().filter(|value| !value.is_empty()) {
            self.fields.push((name, value));
        }
    }

    /// Writes the fields so far, aligned.
    fn settle(&mut self) {
        let width = self.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in self.fields.drain(..) {
            let name = self.paint.tone(Tone::Faint, &format!("{name:width$}"));
            self.lines.push(format!("{name}  {value}"));
        }
    }

    /// Begins a section.
    pub(super) fn section(&mut self, title: &str) {
        self.settle();
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.push(self.paint.tone(Tone::Strong, title));
    }

    /// Adds lines as they are.
    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.settle();
        self.lines.extend(lines);
    }

    /// Adds a value: text as it is, anything else as JSON over several lines.
    pub(super) fn value(&mut self, value: &Value) {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        self.lines(text::harmless(&shown, true).lines().map(str::to_owned));
    }

    /// Prints it.
    ///
    /// # Errors
    /// Output that cannot be written.
    pub(super) fn print(mut self, console: &Console) -> Result<(), Failure> {
        self.settle();
        console.lines(&self.lines)
    }
}
