//! Five analysts that read a project and need no model: one for each known role.

mod agent;
pub mod dev;
pub mod docs;
pub mod finding;
#[cfg(test)]
pub(crate) mod fixture;
pub mod index;
pub mod licence;
mod phrase;
pub mod pm;
pub mod qa;
pub mod render;
pub mod security;

pub use agent::BuiltinAgent;
pub use finding::{Finding, Report, Severity};
pub use index::{FileEntry, Index};

use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

/// What an analyst is told beside the files.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether the history of the repository is searched too, not only its present files.
    pub history: bool,
    /// The inputs of the run: an object.
    pub inputs: Arc<Value>,
    /// The project's directory.
    pub root: PathBuf,
    /// The reports of the analysts that went before.
    pub others: Vec<Report>,
    /// Set when the analyst should stop; what it returns then is not used.
    pub cancelled: Arc<AtomicBool>,
}

impl Options {
    /// Options for `root` with nothing asked for beyond the usual.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            history: false,
            inputs: Arc::new(Value::Object(serde_json::Map::new())),
            root: root.into(),
            others: Vec::new(),
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }
}
