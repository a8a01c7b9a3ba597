//! What is expected to be used, and how that compares with what was.

use orchestrator_core::{
    estimate::{Assumption, Basis, Confidence, Outcome, Range, RunEstimate, Sureness},
    money::MicroUsd,
    port::EstimatedRun,
    run::RunStatus,
};
use serde::Serialize;

/// What a task or a run is expected to use. `low` and `high` enclose 80 of 100 cases, `likely` is the
/// middle: half of all cases are below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForecastView {
    /// All tokens, in and out.
    pub tokens: Range<u64>,
    /// Input tokens, cached ones included.
    pub input_tokens: Range<u64>,
    /// Output tokens.
    pub output_tokens: Range<u64>,
    /// The cost in US dollars; null when the price of a model is not known.
    pub cost_usd: Option<Range<MicroUsd>>,
    /// How many tasks and items are worked on, without what is done again.
    pub attempts: Range<u64>,
    /// How far it can be relied on.
    pub confidence: Confidence,
    /// On what it rests.
    pub basis: Basis,
    /// How many tasks of the past that is.
    pub samples: u32,
    /// What was assumed because nothing told, in words.
    pub assumptions: Vec<String>,
}

impl ForecastView {
    pub(crate) fn new(estimate: &RunEstimate, assumptions: &[Assumption]) -> Self {
        let Sureness { confidence, basis, samples } = estimate.sureness;
        Self {
            tokens: estimate.tokens,
            input_tokens: estimate.input,
            output_tokens: estimate.output,
            cost_usd: estimate.usd,
            attempts: estimate.attempts,
            confidence,
            basis,
            samples,
            assumptions: assumptions.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What was expected of a run before it began, beside what came, its child runs included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastOutcome {
    /// What was expected.
    #[serde(flatten)]
    pub expected: ForecastView,
    /// The tokens that were used so far.
    pub actual_tokens: u64,
    /// What they cost; null when a part of that is not known.
    pub actual_usd: Option<MicroUsd>,
    /// Whether that lies within the interval, by cost where both are known and else by tokens; null
    /// unless the run has succeeded.
    pub within: Option<bool>,
    /// How many times what was likely it is; null unless the run has succeeded.
    pub ratio: Option<f64>,
}

impl From<EstimatedRun> for ForecastOutcome {
    fn from(run: EstimatedRun) -> Self {
        let succeeded = run.status == RunStatus::Succeeded;
        let outcome = outcome(run);
        let verdict = Some(outcome.verdict()).filter(|_| succeeded);
        Self {
            expected: ForecastView::new(&outcome.estimate, &[]),
            actual_tokens: outcome.usage.total().0,
            actual_usd: outcome.cost.exact(),
            within: verdict.map(|verdict| verdict.within),
            ratio: verdict.and_then(|verdict| verdict.ratio).map(to_thousandth),
        }
    }
}

/// A run as its estimate is judged.
pub(crate) fn outcome(run: EstimatedRun) -> Outcome {
    let EstimatedRun { workflow, estimate, usage, cost, .. } = run;
    Outcome { workflow, estimate, usage, cost }
}

/// A ratio with as many digits as anybody needs.
pub(crate) fn to_thousandth(ratio: f64) -> f64 {
    (ratio * 1_000.0).round() / 1_000.0
}

/// How right estimates were: of runs that had one and succeeded, by cost where both are known and else
/// by tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationView {
    /// Of how many runs.
    pub runs: u64,
    /// How many of them ended within their interval.
    pub within: u64,
    /// The same of a hundred: about 80 are meant. Null without runs.
    pub within_percent: Option<u64>,
    /// How many times what was likely came, in the middle: above 1 estimates were too low. Null
    /// without runs.
    pub median_ratio: Option<f64>,
    /// The same of each workflow.
    pub items: Vec<CalibrationRow>,
}

/// How right the estimates of one workflow were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationRow {
    /// The workflow.
    pub workflow: String,
    /// As in [`CalibrationView`].
    pub runs: u64,
    /// As in [`CalibrationView`].
    pub within: u64,
    /// As in [`CalibrationView`].
    pub within_percent: Option<u64>,
    /// As in [`CalibrationView`].
    pub median_ratio: Option<f64>,
}
