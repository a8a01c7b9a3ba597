//! Answers of models as documents.

use orchestrator_core::money::MicroUsd;
use serde::Serialize;

/// One answer of a model that a task got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// In which attempt.
    pub attempt: u32,
    /// As which of its turns.
    pub turn: u32,
    /// Whose model answered; null when the log does not tell.
    pub provider: Option<String>,
    /// The model that answered.
    pub model: String,
    /// The rule that named it, where one did.
    pub rule: Option<String>,
    /// Why that model was asked first, where a rule named it.
    pub why: Option<String>,
    /// Where the answer came from: `called`, `joined` with an identical request that was under way, or
    /// `kept` from an earlier one.
    pub source: String,
    /// Where a kept answer was made.
    pub kept: Option<KeptView>,
    /// The models that were asked before and failed, in order.
    pub failed: Vec<FailedCallView>,
    /// What was spent, by each model its own; empty when nothing was.
    pub spent: Vec<ModelSpentView>,
}

/// Where a kept answer was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptView {
    /// The run that paid for it.
    pub run: Option<String>,
    /// When.
    pub at: String,
}

/// A model that failed, after which another was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedCallView {
    /// Whose it is.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The error class, such as `overloaded`.
    pub class: String,
    /// In words.
    pub message: String,
}

/// What one model cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelSpentView {
    /// Whose it is.
    pub provider: String,
    /// The model.
    pub model: String,
    /// How many requests were made.
    pub requests: u32,
    /// What they cost; null when no price is known.
    pub cost_usd: Option<MicroUsd>,
}
