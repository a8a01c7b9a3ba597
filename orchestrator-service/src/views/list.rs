//! A page of a list.

use serde::Serialize;

/// A page of a list, newest first unless its call says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct List<T> {
    /// The schema of the list, such as `orchestrator.runs/v1`.
    pub schema: &'static str,
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; null when this is the last.
    pub next: Option<String>,
}
