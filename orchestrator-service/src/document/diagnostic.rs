//! One thing that is wrong with a file, with its place.

use std::{fmt, path::PathBuf, sync::Arc};

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, such as `ORC-0201`.
    pub code: &'static str,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// The file, when it came from one.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The text of the whole file, to show the place in it.
    pub source: Option<Arc<str>>,
    /// What would be right, when that can be told.
    pub suggestion: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            file: None,
            line: None,
            column: None,
            source: None,
            suggestion: None,
        }
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// The line of the file that it is about, without its end.
    pub fn snippet(&self) -> Option<&str> {
        self.source.as_deref()?.lines().nth(self.line?.checked_sub(1)?)
    }

    /// The byte offset of the place in [`Diagnostic::source`].
    pub fn offset(&self) -> Option<usize> {
        let (source, line) = (self.source.as_deref()?, self.line?.checked_sub(1)?);
        let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
        let text = source.get(start..)?.lines().next().unwrap_or_default();
        let column = self.column.unwrap_or(1).saturating_sub(1);
        let within = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
        Some(start + within)
    }
}

impl fmt::Display for Diagnostic {
    /// `FILE:LINE:COLUMN: MESSAGE`, as far as the place is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
                if let Some(column) = self.column {
                    write!(f, "{column}:")?;
                }
            }
            write!(f, " ")?;
        }
        write!(f, "{}", self.message)
    }
}
