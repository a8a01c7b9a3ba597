//! What the readers find: each function asks one question of one connection.

mod attempts;
mod cache;
mod history;
mod landings;
mod log;
#[cfg(test)]
mod plans;
mod responses;
mod runs;
mod spending;
mod tasks;

pub(crate) use attempts::{attempts, attempts_of};
pub(crate) use cache::{cached, count_cached, forgettable};
pub(crate) use history::{estimated, history};
pub(crate) use landings::{count_landings, landed, landing, settled, targets, waiting};
pub(crate) use log::{events, mail, signals};
pub(crate) use responses::{count_responses, response};
pub(crate) use runs::{open_runs, removable, run, run_ids, runs};
pub(crate) use spending::spending;
pub(crate) use tasks::tasks;

use orchestrator_core::{id::RunId, port::StoreError};
use rusqlite::types::Value;

/// The conditions of a list and the values that they name, in order.
#[derive(Debug, Default)]
struct Conditions {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition in which each `?` stands for the next of `values`.
    fn add(&mut self, clause: &str, values: impl IntoIterator<Item = Value>) {
        self.clauses.push(format!("({clause})"));
        self.values.extend(values);
    }

    /// Adds that `column` is one of `names`, unless there are none.
    fn one_of(&mut self, column: &str, names: impl ExactSizeIterator<Item = &'static str>) {
        if names.len() > 0 {
            let marks = vec!["?"; names.len()].join(", ");
            self.add(&format!("{column} IN ({marks})"), names.map(|name| name.to_owned().into()));
        }
    }

    /// Adds that one of `columns` contains `text`, regardless of case.
    fn contains(&mut self, columns: &[&str], text: &str) {
        let clauses: Vec<String> =
            columns.iter().map(|column| format!("has_text({column}, ?)")).collect();
        let text = text.to_lowercase();
        self.add(&clauses.join(" OR "), columns.iter().map(|_| text.clone().into()));
    }

    /// All conditions as one.
    fn sql(&self) -> String {
        if self.clauses.is_empty() { "TRUE".into() } else { self.clauses.join(" AND ") }
    }
}

/// A limit as SQLite takes it.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A stored id of a run.
fn run_id(text: &str) -> Result<RunId, StoreError> {
    RunId::new(text).map_err(|error| StoreError::Damaged(error.to_string()))
}
