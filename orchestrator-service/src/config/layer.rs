//! Where the value of a setting comes from.

use super::{keys, path::KeyPath};
use crate::document::Diagnostic;
use serde_json::Value;
use std::{fmt, path::PathBuf, sync::Arc};

/// The layers, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Default,
    User,
    Project,
    DotEnv,
    Environment,
    Flag,
}

impl Layer {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::User => "user",
            Self::Project => "project",
            Self::DotEnv => ".env",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// The place of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File { file: PathBuf, line: usize, column: usize, text: Arc<str> },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, .. } => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One value that some layer gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) path: KeyPath,
    pub(crate) value: Value,
    pub(crate) layer: Layer,
    pub(crate) origin: Origin,
}

impl Origin {
    /// Something wrong at this place.
    pub(crate) fn diagnostic(&self, code: &'static str, message: String) -> Diagnostic {
        match self {
            Self::File { file, line, column, text } => Diagnostic {
                file: Some(file.clone()),
                line: Some(*line),
                column: Some(*column),
                source: Some(text.clone()),
                ..Diagnostic::new(code, message)
            },
            Self::Variable(name) => {
                Diagnostic::new(code, format!("environment variable `{name}`: {message}"))
            }
            Self::Flag(name) => Diagnostic::new(code, format!("`{name}`: {message}")),
            Self::Default => Diagnostic::new(code, message),
        }
    }
}

impl Entry {
    /// Checks that the setting exists and that its value fits, and brings the value into its form.
    pub(crate) fn check(mut self) -> Result<Self, Box<Diagnostic>> {
        let path = &self.path;
        if let Some(setting) = keys::find(path) {
            if let Some(wrong) = keys::check_names(path) {
                return Err(self.origin.diagnostic("ORC-0104", wrong).into());
            }
            return match setting.takes.read(&self.value) {
                Ok(value) => {
                    self.value = value;
                    Ok(self)
                }
                // The message does not repeat the value: it may be a key in the wrong place.
                Err(wrong) => Err(self
                    .origin
                    .diagnostic("ORC-0104", format!("the setting `{path}` {wrong}"))
                    .suggest(Some(format!("`{path}` is {}", setting.about)))
                    .into()),
            };
        }
        if keys::is_section(path) {
            let message = format!("the setting `{path}` must be a section, not a single value");
            return Err(self.origin.diagnostic("ORC-0104", message).into());
        }
        Err(self
            .origin
            .diagnostic("ORC-0103", format!("the setting `{path}` is not known"))
            .suggest(keys::suggest(path))
            .into())
    }
}
