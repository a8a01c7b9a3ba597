//! Reading documents: text in, values with the place of each part out.
//!
//! Workflows and templates are YAML 1.2 (core schema) or JSON. What YAML allows beyond plain data
//! is refused or bounded: tags, several documents, keys that are not text, numbers that JSON cannot
//! hold, and aliases that multiply.

mod diagnostic;
mod json;
mod spans;
mod yaml;

pub use diagnostic::Diagnostic;
pub use spans::{Place, Spans};

#[cfg(test)]
mod tests;

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The longest text of a document, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// A document with the place of each of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content.
    pub value: Value,
    /// Where each part is.
    pub spans: Spans,
    /// Its file, when it came from one.
    pub file: Option<PathBuf>,
    /// Its text.
    pub text: Arc<str>,
}

impl Document {
    /// Reads the file `path`: JSON when its name ends in `.json`, else YAML.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn read(path: &Path) -> Result<Self, Box<Diagnostic>> {
        let fail = |code, message: String| {
            Box::new(Diagnostic { file: Some(path.to_owned()), ..Diagnostic::new(code, message) })
        };
        let unreadable = |error: std::io::Error| {
            fail("ORC-0280", format!("cannot read the workflow file: {error}"))
        };
        let meta = std::fs::metadata(path).map_err(unreadable)?;
        if !meta.is_file() {
            return Err(fail("ORC-0280", "cannot read the workflow file: it is not a file".into()));
        }
        if meta.len() > MAX_BYTES {
            return Err(fail(
                "ORC-0284",
                format!("the file has {} bytes, more than the {MAX_BYTES} allowed", meta.len()),
            ));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let mut diagnostic = fail("ORC-0289", "the file is not UTF-8 text".into());
            diagnostic.line = Some(line);
            diagnostic.suggestion = Some("save it as UTF-8".into());
            diagnostic
        })?;
        let json = path.extension().is_some_and(|extension| extension == "json");
        Self::parse(&text, Some(path), if json { Format::Json } else { Format::Yaml })
    }

    /// Reads `text`, which came from `file`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn parse(text: &str, file: Option<&Path>, format: Format) -> Result<Self, Box<Diagnostic>> {
        let source: Arc<str> = text.into();
        let parsed = match format {
            Format::Yaml => yaml::read(text),
            Format::Json => json::read(text),
        };
        match parsed {
            Ok((value, spans)) => {
                Ok(Self { value, spans, file: file.map(Path::to_owned), text: source })
            }
            Err(fault) => Err(Box::new(Diagnostic {
                file: file.map(Path::to_owned),
                line: Some(fault.place.line),
                column: Some(fault.place.column),
                source: Some(source),
                suggestion: fault.suggestion.map(str::to_owned),
                ..Diagnostic::new(fault.code, fault.message)
            })),
        }
    }

    /// Something wrong with the part at `pointer`, or the nearest part that is there.
    pub fn diagnostic(&self, code: &'static str, pointer: &str, message: String) -> Diagnostic {
        let place = self.spans.at(pointer);
        Diagnostic {
            file: self.file.clone(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            source: Some(self.text.clone()),
            ..Diagnostic::new(code, message)
        }
    }
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2 with the core schema.
    Yaml,
    /// JSON.
    Json,
}

/// Something wrong with a text.
#[derive(Debug)]
struct Fault {
    code: &'static str,
    message: String,
    place: Place,
    suggestion: Option<&'static str>,
}

impl Fault {
    fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place, suggestion: None }
    }

    fn suggest(mut self, suggestion: &'static str) -> Self {
        self.suggestion = Some(suggestion);
        self
    }
}
