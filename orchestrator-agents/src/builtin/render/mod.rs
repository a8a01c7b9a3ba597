//! Reports as files: Markdown for people, JSON for programs, SARIF for code-scanning tools.

mod markdown;
mod plan;
mod sarif;

pub use markdown::markdown;
pub use sarif::sarif;

use super::finding::Report;

/// The report as indented JSON, with a final line end.
///
/// # Errors
/// Never for a report made here; serde's error for a fact that cannot be written.
pub fn json(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}
