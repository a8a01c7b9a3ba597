//! Output schemas, compiled once for all items of a list.

use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The schema of a task's output.
#[derive(Debug)]
pub(super) struct Schema {
    document: Arc<Value>,
    compiled: OnceLock<Result<jsonschema::Validator, String>>,
}

impl Schema {
    pub(super) fn new(document: Arc<Value>) -> Self {
        Self { document, compiled: OnceLock::new() }
    }

    pub(super) fn document(&self) -> &Arc<Value> {
        &self.document
    }

    /// Whether `output` fits.
    ///
    /// # Errors
    /// In words for the agent, where it does not; or that the schema is none.
    pub(super) fn check(&self, output: &Value) -> Result<(), String> {
        let compile = || {
            jsonschema::validator_for(&self.document)
                .map_err(|error| format!("the output schema is not valid: {error}"))
        };
        let validator = self.compiled.get_or_init(compile).as_ref().map_err(String::clone)?;
        validator.validate(output).map_err(|error| {
            let at = error.instance_path().to_string();
            format!("the output does not fit its schema at `{at}`: {error}")
        })
    }
}
