//! What a run would do.

use super::ForecastView;
use orchestrator_core::money::MicroUsd;
use serde::Serialize;
use serde_json::Value;

/// What a run would do; nothing was spent or started to find out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanView {
    /// `orchestrator.plan/v1`.
    pub schema: &'static str,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's version.
    pub version: String,
    /// Where the definition comes from: a file, or `template:NAME`.
    pub source: String,
    /// How its tasks relate.
    pub mode: String,
    /// The most attempts at once.
    pub max_parallel: u32,
    /// The most that the run may cost, in US dollars.
    pub budget_usd: Option<MicroUsd>,
    /// The inputs with their defaults.
    pub inputs: Value,
    /// The tasks, by layer and then as in the file.
    pub items: Vec<PlannedTask>,
    /// How many layers there are.
    pub layers: usize,
    /// Whether a model would be called, which costs money unless it is your own.
    pub calls_models: bool,
    /// What is certain about the cost, that of children and of what follows included.
    pub estimate: Estimate,
    /// What is likely, that of children included; null when no model is called.
    pub forecast: Option<ForecastView>,
    /// The other workflows that it may start, as children or when it ends, by their keys.
    pub workflows: Vec<PlannedWorkflow>,
}

/// A workflow that another one starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedWorkflow {
    /// What it is called by: its name or its file.
    pub key: String,
    /// Its own name.
    pub workflow: String,
    /// Its version.
    pub version: String,
    /// How its tasks relate.
    pub mode: String,
    /// Its tasks, by layer and then as in the file.
    pub items: Vec<PlannedTask>,
    /// How many layers there are.
    pub layers: usize,
    /// Whether a model would be called.
    pub calls_models: bool,
    /// What is certain about the cost of one run of it.
    pub estimate: Estimate,
    /// What one run of it is likely to use; null when no model is called.
    pub forecast: Option<ForecastView>,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTask {
    /// Its key in the workflow.
    pub name: String,
    /// Tasks of one layer may run at the same time; the first is 0.
    pub layer: usize,
    /// The tasks that it needs.
    pub needs: Vec<String>,
    /// Who would do it, best first; nobody for a child workflow or an approval.
    pub agents: Vec<String>,
    /// What the first of them runs on; `workflow` or `person` where nobody is asked.
    pub provider: String,
    /// Its model: the first of those that a rule names, as far as can be known now.
    pub model: Option<String>,
    /// The rule that names its models, where one does.
    pub rule: Option<String>,
    /// The models of that rule as `PROVIDER/MODEL`, in the order in which they would be asked.
    pub models: Vec<String>,
    /// Why in that order.
    pub why: Option<String>,
    /// The condition under which it runs.
    pub when: Option<String>,
    /// The list for each item of which it is done.
    pub for_each: Option<String>,
    /// The workflow that it runs as a child: a key of [`PlanView::workflows`].
    pub workflow: Option<String>,
    /// In what kind of place its attempts work; null in the project, as it is.
    pub workspace: Option<String>,
    /// The checks that prove its result.
    pub checks: Vec<String>,
    /// The branch that its work lands on, with `RUN` for the run's id where it is the result branch, or
    /// how it is found; null when it lands nowhere.
    pub lands: Option<String>,
    /// What is certain about the cost of one attempt.
    pub estimate: Estimate,
    /// What all of its items and attempts are likely to use together; null when it calls no model.
    pub forecast: Option<ForecastView>,
}

/// A bounded statement about cost. Prompts that quote other tasks' outputs grow with them, so a
/// task that calls a model has a least cost only, for its prompt as it stands, and a greatest one
/// only where both the price and the longest answer are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Estimate {
    /// Input tokens for the text that is known now: counted, or at about four bytes each.
    pub input_tokens: u64,
    /// Whether they are counted, by the tokenizers that the settings name for the models.
    pub input_is_counted: bool,
    /// The longest answer, when it is bounded.
    pub max_output_tokens: Option<u64>,
    /// What it costs at least; null when no price is known.
    pub least_usd: Option<MicroUsd>,
    /// What one attempt of each task costs at most, for the text that is known now; null when that
    /// has no bound.
    pub most_usd: Option<MicroUsd>,
}
