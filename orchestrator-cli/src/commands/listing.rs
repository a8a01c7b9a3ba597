//! What the lists have in common: a page, and where the next begins.

use crate::output::Console;
use clap::Args;

/// Which part of a list is shown.
#[derive(Debug, Clone, Args)]
pub(super) struct Page {
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,

    /// Go on where a page ended: its `next`
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
}

impl Page {
    /// The most items.
    pub(super) fn limit(&self) -> usize {
        usize::from(self.limit)
    }
}

/// Says how to see the next page, if there is one, or that there is nothing.
pub(super) fn tail(console: &Console, noun: &str, empty: bool, next: Option<&str>) {
    if empty {
        console.hint(&format!("no {noun}"));
    }
    if let Some(cursor) = next {
        console.hint(&format!("there are more: add --cursor {cursor}"));
    }
}

/// An instant to the minute, from its RFC 3339 text: `2026-01-31 09:30`.
pub(super) fn minute(instant: &str) -> String {
    instant.get(..16).unwrap_or(instant).replace('T', " ")
}
