//! What is told.

use crate::money::MicroUsd;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Between what and what something lies in 80 of 100 cases, and its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Range<T> {
    /// In 10 of 100 cases it is less.
    pub low: T,
    /// In half of all cases it is less.
    pub likely: T,
    /// In 10 of 100 cases it is more.
    pub high: T,
}

impl<T> Range<T> {
    /// The same of something that follows from it.
    pub fn map<U>(self, of: impl Fn(T) -> U) -> Range<U> {
        Range { low: of(self.low), likely: of(self.likely), high: of(self.high) }
    }
}

impl<T: PartialOrd> Range<T> {
    /// Whether `value` lies within it, its ends included.
    pub fn holds(&self, value: &T) -> bool {
        *value >= self.low && *value <= self.high
    }
}

/// How far an estimate can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// It rests on assumptions, or on too few or too different tasks.
    Low,
    /// At least 3 runs of the very task.
    Medium,
    /// At least 10 runs of the very task, which do not differ much.
    High,
}

impl Confidence {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// On what an estimate rests: the closest there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// On an assumption about the role alone.
    Prior,
    /// On other work of the same agent and model.
    SameAgent,
    /// On tasks of the same workflow: the same one on another model, or others of the same agent.
    SameWorkflow,
    /// On the same task of the same workflow, on the same model.
    SameTask,
}

impl Basis {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::SameAgent => "same-agent",
            Self::SameWorkflow => "same-workflow",
            Self::SameTask => "same-task",
        }
    }

    /// The name with that text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Prior => "assumed, since nothing like it has run",
            Self::SameAgent => "other work of the same agent",
            Self::SameWorkflow => "other tasks of the same workflow",
            Self::SameTask => "the same tasks",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far an estimate can be relied on, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sureness {
    /// How far. Of several tasks that of the least sure one.
    pub confidence: Confidence,
    /// On what it rests. Of several tasks that of the one with the least to rest on.
    pub basis: Basis,
    /// How many tasks of the past that is; of several tasks the least number of any.
    pub samples: u32,
}

impl Sureness {
    /// That of what needs no estimate.
    pub const CERTAIN: Self =
        Self { confidence: Confidence::High, basis: Basis::SameTask, samples: u32::MAX };

    /// That of both together: no more than that of either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            confidence: self.confidence.min(other.confidence),
            basis: self.basis.min(other.basis),
            samples: match self.basis.cmp(&other.basis) {
                std::cmp::Ordering::Less => self.samples,
                std::cmp::Ordering::Equal => self.samples.min(other.samples),
                std::cmp::Ordering::Greater => other.samples,
            },
        }
    }
}

/// What a task or a run is expected to use and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunEstimate {
    /// All tokens, in and out.
    pub tokens: Range<u64>,
    /// Input tokens, cached ones included.
    pub input: Range<u64>,
    /// Output tokens.
    pub output: Range<u64>,
    /// The cost; absent when the price of a model is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Range<MicroUsd>>,
    /// How many tasks and items are worked on, without what is done again.
    pub attempts: Range<u64>,
    /// How far it can be relied on.
    #[serde(flatten)]
    pub sureness: Sureness,
}

/// What was assumed because nothing told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assumption {
    /// A list is not known yet.
    Items {
        /// The task that is done for each item.
        task: String,
        /// So many items are assumed.
        items: Range<u64>,
        /// From how many runs that is known; 0 when it is only assumed.
        runs: u32,
    },
    /// A task may not run at all, and no history tells how often it does.
    Runs {
        /// The task.
        task: String,
    },
    /// The price of a model is not known.
    NoPrice {
        /// The task.
        task: String,
        /// The model.
        model: String,
    },
    /// A task may add others, which are not in the estimate.
    Adds {
        /// The task.
        task: String,
    },
    /// What is started when the run or a task has ended is a run of its own, and not in the estimate.
    Follows {
        /// The workflow.
        workflow: String,
    },
    /// A workflow is not known, so that its tasks are not in the estimate.
    NotKnown {
        /// The workflow.
        workflow: String,
    },
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items { task, items, runs: 0 } => write!(
                f,
                "the list of `{task}` is not known yet: {} items are assumed, from {} to {}",
                items.likely, items.low, items.high
            ),
            Self::Items { task, items, runs } => write!(
                f,
                "the list of `{task}` is not known yet: {} items are expected, from {} to {}, as in \
                 {runs} earlier runs",
                items.likely, items.low, items.high
            ),
            Self::Runs { task } => {
                write!(f, "`{task}` may not run at all: it is counted as if it did")
            }
            Self::NoPrice { task, model } => {
                write!(f, "no price is known for `{model}`, the model of `{task}`")
            }
            Self::Adds { task } => {
                write!(f, "`{task}` may add tasks, which are not in the estimate")
            }
            Self::Follows { workflow } => write!(
                f,
                "`{workflow}`, which may follow, is a run of its own and not in the estimate"
            ),
            Self::NotKnown { workflow } => {
                write!(f, "what `{workflow}` does is not in the estimate")
            }
        }
    }
}
