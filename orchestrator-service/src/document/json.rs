//! JSON documents.

use super::{Fault, Place, Spans, yaml};
use serde_json::Value;

/// Reads one JSON document.
///
/// JSON is YAML too, all but for a few escapes: the YAML reader finds repeated keys and places, and
/// the JSON reader decides what is valid and what it says.
pub(super) fn read(text: &str) -> Result<(Value, Spans), Fault> {
    let value = serde_json::from_str(text).map_err(|error| {
        let place = Place { line: error.line().max(1), column: error.column().max(1) };
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Fault::new("ORC-0282", place, format!("the file is not valid JSON: {message}"))
    })?;
    match yaml::read(text) {
        Ok((_, spans)) => Ok((value, spans)),
        Err(fault) if matches!(fault.code, "ORC-0283" | "ORC-0284") => Err(fault),
        Err(_) => Ok((value, Spans::default())),
    }
}
