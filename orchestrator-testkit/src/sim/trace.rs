//! What happened in a simulation, line by line.

use orchestrator_core::time::Timestamp;
use std::fmt::Write as _;

/// The lines of one simulation. The same seed gives the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    text: String,
    lines: usize,
}

impl Trace {
    /// Adds a line.
    pub(crate) fn line(&mut self, now: Timestamp, what: std::fmt::Arguments<'_>) {
        // Writing to a text never fails.
        let _ = writeln!(self.text, "{:>9} {what}", now.0.saturating_sub(super::EPOCH.0));
        self.lines += 1;
    }

    /// All of it: each line begins with the virtual milliseconds since the start.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The first line in which it differs from `other`, as both have it.
    pub fn difference<'a>(&'a self, other: &'a Self) -> Option<(usize, &'a str, &'a str)> {
        if self == other {
            return None;
        }
        let (mut mine, mut theirs) = (self.text.lines(), other.text.lines());
        let mut number = 0;
        loop {
            number += 1;
            match (mine.next(), theirs.next()) {
                (None, None) => return None,
                (mine, theirs) if mine == theirs => {}
                (mine, theirs) => {
                    return Some((number, mine.unwrap_or("(end)"), theirs.unwrap_or("(end)")));
                }
            }
        }
    }
}
