//! Why tasks stand where they stand.

use serde::Serialize;
use serde_json::Value;

/// Why a task, or all that is open in a run, stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhyView {
    /// `orchestrator.why/v1`.
    pub schema: &'static str,
    /// The run.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// Where the run stands, as in [`RunView::status`](super::RunView::status).
    pub status: String,
    /// The task that was asked about; null when it was the run.
    pub task: Option<String>,
    /// The process that drives the run, if one does.
    pub driver: Option<String>,
    /// Until when that process holds the run unless it renews its lease.
    pub lease_expires: Option<String>,
    /// The task that was asked about; of a run its open tasks, or else those that did not succeed.
    pub items: Vec<TaskWhy>,
    /// How many tasks more there are than `items` shows.
    pub left_out: u64,
    /// The commands that change something, the most likely first.
    pub actions: Vec<String>,
}

/// Why one task stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskWhy {
    /// Its id: `<run>.<name>`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: String,
    /// What keeps it there: an object whose `kind` says which other keys it has.
    pub because: Value,
    /// The same in words: a fragment about the task.
    pub text: String,
    /// What is behind that, from task to task down to the root.
    pub chain: Vec<WhyLink>,
    /// How many links were left out in the middle of the chain.
    pub omitted: u32,
    /// What the attempt at the root said last.
    pub said: Option<Said>,
}

/// One task of a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhyLink {
    /// Its run: that of the task itself, or a child of it.
    pub run: String,
    /// The task's name.
    pub task: String,
    /// Where it stands.
    pub status: String,
    /// What keeps it there, as in [`TaskWhy::because`].
    pub because: Value,
    /// The same in words.
    pub text: String,
}

/// A line that an attempt said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// When it was recorded.
    pub at: String,
    /// The line.
    pub text: String,
}

impl TaskWhy {
    /// The end of the chain, or the task itself.
    pub fn root(&self) -> (&str, &str) {
        match self.chain.last() {
            Some(last) => (&last.task, &last.text),
            None => (&self.name, &self.text),
        }
    }
}
