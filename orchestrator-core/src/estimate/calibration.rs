//! Whether estimates were right.

use super::RunEstimate;
use crate::{
    id::WorkflowName,
    usage::{Cost, Usage},
};
use std::collections::BTreeMap;

/// A run that succeeded, as it was expected and as it came, its child runs included.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its workflow.
    pub workflow: WorkflowName,
    /// What was expected.
    pub estimate: RunEstimate,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
}

/// How an outcome compares with what was expected: by cost where both are known, else by tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether it lies within the interval.
    pub within: bool,
    /// How many times what was likely it is; `None` when nothing was likely and something came.
    pub ratio: Option<f64>,
    /// Whether costs were compared, rather than tokens.
    pub by_cost: bool,
}

impl Outcome {
    /// How it compares.
    pub fn verdict(&self) -> Verdict {
        let (within, actual, likely, by_cost) = match (self.estimate.usd, self.cost.exact()) {
            (Some(usd), Some(cost)) => (usd.holds(&cost), cost.0, usd.likely.0, true),
            _ => {
                let (tokens, used) = (self.estimate.tokens, self.usage.total().0);
                (tokens.holds(&used), used, tokens.likely, false)
            }
        };
        let ratio = match (actual, likely) {
            (0, 0) => Some(1.0),
            (_, 0) => None,
            (actual, likely) => Some(actual as f64 / likely as f64),
        };
        Verdict { within, ratio, by_cost }
    }
}

/// How right estimates were.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Calibration {
    /// Of how many runs.
    pub runs: u64,
    /// How many of them ended within their interval: about 80 % of them should.
    pub within: u64,
    /// How many times what was likely came: half of the runs had less, half more. `None` without runs.
    pub median_ratio: Option<f64>,
}

impl Calibration {
    /// That of these outcomes.
    pub fn of<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Self {
        let mut ratios: Vec<f64> = Vec::new();
        let mut this = Self::default();
        for verdict in outcomes.into_iter().map(Outcome::verdict) {
            this.runs += 1;
            this.within += u64::from(verdict.within);
            // What cannot be told is more than any number of times.
            ratios.push(verdict.ratio.unwrap_or(f64::INFINITY));
        }
        ratios.sort_by(f64::total_cmp);
        let middle = ratios.len() / 2;
        this.median_ratio = match ratios.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(ratios[middle]),
            _ => Some((ratios[middle - 1] + ratios[middle]) / 2.0),
        };
        this.median_ratio = this.median_ratio.filter(|ratio| ratio.is_finite());
        this
    }

    /// That of each workflow.
    pub fn by_workflow(outcomes: &[Outcome]) -> BTreeMap<WorkflowName, Self> {
        let mut groups: BTreeMap<&WorkflowName, Vec<&Outcome>> = BTreeMap::new();
        for outcome in outcomes {
            groups.entry(&outcome.workflow).or_default().push(outcome);
        }
        groups.into_iter().map(|(name, group)| (name.clone(), Self::of(group))).collect()
    }

    /// How many of a hundred runs ended within their interval.
    pub fn percent_within(&self) -> Option<u64> {
        (self.within * 100).checked_div(self.runs)
    }
}
