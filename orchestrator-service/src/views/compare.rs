//! Two runs side by side.

use super::{RunView, Spent};
use serde::Serialize;

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareView {
    /// `orchestrator.compare/v1`.
    pub schema: &'static str,
    /// Whether nothing that was asked for and nothing that came of it differs; time, cost and tokens
    /// do not count.
    pub same: bool,
    /// The first run.
    pub left: RunView,
    /// The second run.
    pub right: RunView,
    /// How the definitions differ.
    pub definition: DefinitionChange,
    /// The inputs that differ.
    pub inputs: Vec<ValueChange>,
    /// The tasks of either run: those of the first in its order, then those that only the second has.
    pub items: Vec<TaskComparison>,
    /// How many tasks more there are than `items` shows.
    pub left_out: u64,
}

/// How two definitions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinitionChange {
    /// Keys of the workflow itself, without its tasks.
    pub keys: Vec<ValueChange>,
    /// Tasks that only the second defines.
    pub added: Vec<String>,
    /// Tasks that only the first defines.
    pub removed: Vec<String>,
    /// Tasks that both define, but not alike.
    pub changed: Vec<TaskChange>,
}

/// How the definition of one task differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskChange {
    /// The task.
    pub task: String,
    /// The keys that differ.
    pub keys: Vec<ValueChange>,
}

/// A value that differs: the beginning of each, as JSON or text; null where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// What it is called.
    pub key: String,
    /// In the first run.
    pub left: Option<String>,
    /// In the second.
    pub right: Option<String>,
}

/// One task in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskComparison {
    /// Its name.
    pub name: String,
    /// In the first run; null when it has no such task.
    pub left: Option<TaskSide>,
    /// In the second.
    pub right: Option<TaskSide>,
    /// What each left.
    pub output: OutputComparison,
}

/// One task in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskSide {
    /// Where it stands, as in [`TaskView::status`](super::TaskView::status).
    pub status: String,
    /// How many attempts were started.
    pub attempts: u32,
    /// Who worked on it last.
    pub agent: Option<String>,
    /// How long it took, or has taken so far.
    pub elapsed_ms: u64,
    /// Tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}

/// What a task left in both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputComparison {
    /// Whether they are alike.
    pub verdict: Likeness,
    /// The beginning of what it left in the first run, when they differ.
    pub left: Option<String>,
    /// The same of the second.
    pub right: Option<String>,
    /// The lines that differ, as in a unified diff; a bounded part of them. Empty where the texts
    /// were not compared.
    pub diff: Vec<String>,
}

/// Whether two things are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likeness {
    /// There is neither.
    Neither,
    /// They are equal.
    Equal,
    /// They differ.
    Different,
    /// There is only the first.
    OnlyLeft,
    /// There is only the second.
    OnlyRight,
}

impl Likeness {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Neither => "neither",
            Self::Equal => "equal",
            Self::Different => "different",
            Self::OnlyLeft => "only-left",
            Self::OnlyRight => "only-right",
        }
    }
}

impl TaskComparison {
    /// Whether both runs came to the same: status and output.
    pub fn is_same(&self) -> bool {
        let status = |side: &Option<TaskSide>| side.as_ref().map(|side| side.status.clone());
        status(&self.left) == status(&self.right)
            && matches!(self.output.verdict, Likeness::Neither | Likeness::Equal)
    }
}
