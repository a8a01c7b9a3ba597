//! What somebody should know, or be asked, before a run spends.

use crate::{OrchestratorService, ServiceError, views::PlanView};
use orchestrator_core::{ledger::Unit, money::MicroUsd};
use std::fmt;

/// The usual most that is spent without asking.
pub(crate) const CONFIRM_USD: &str = "5";

/// The usual most tasks and items that are begun without asking.
pub(crate) const CONFIRM_TASKS: &str = "50";

/// Something about a run that calls models.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// It may cost more than is spent without asking: `confirm.usd`.
    Cost {
        /// What it may well cost: the upper end of the interval.
        high: MicroUsd,
        /// What is spent without asking.
        above: MicroUsd,
    },
    /// It may be more tasks and items than are begun without asking: `confirm.tasks`.
    Tasks {
        /// How many there may well be.
        high: u64,
        /// How many are begun without asking.
        above: u64,
    },
    /// Nobody knows what it costs, and there is a limit in dollars, under which a call of a model
    /// without a price is refused.
    NoPrice {},
    /// It is likely to cost more than its budget.
    Budget {
        /// What is likely.
        likely: MicroUsd,
        /// What it may cost.
        budget: MicroUsd,
    },
}

impl Concern {
    /// Whether somebody is to be asked, where there is somebody. Of the others it is enough to know: a
    /// run that its budget stops has not spent more, and can go on with more.
    pub fn asks(&self) -> bool {
        match self {
            Self::Cost { .. } | Self::Tasks { .. } | Self::NoPrice {} => true,
            Self::Budget { .. } => false,
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost { high, above } => {
                write!(f, "it may cost ${high}, which is more than `confirm.usd`, ${above}")
            }
            Self::Tasks { high, above } => write!(
                f,
                "it may be {high} tasks and items, which is more than `confirm.tasks`, {above}"
            ),
            Self::NoPrice {} => f.write_str(
                "nobody knows what it costs, and under a budget a model without a price is refused; \
                 set a price under [prices]",
            ),
            Self::Budget { likely, budget } => write!(
                f,
                "it is likely to cost ${likely}, and may cost ${budget}: it will stop at its budget and \
                 wait; give it more with `--budget`, or later with `orchestrator resume --budget`"
            ),
        }
    }
}

impl OrchestratorService {
    /// What somebody should know before the run of `plan` spends; nothing when it calls no model.
    ///
    /// # Errors
    /// Invalid settings.
    pub fn concerns(&self, plan: &PlanView) -> Result<Vec<Concern>, ServiceError> {
        let settings = self.settings()?.settings();
        let Some(forecast) = &plan.forecast else { return Ok(Vec::new()) };
        let mut concerns = Vec::new();
        match (&forecast.cost_usd, settings.confirm.usd) {
            (Some(usd), Some(above)) if usd.high > above => {
                concerns.push(Concern::Cost { high: usd.high, above });
            }
            (None, _) => {
                let mut rules = crate::budget::rules(settings).into_iter();
                if plan.budget_usd.is_some() || rules.any(|rule| rule.unit == Unit::Usd) {
                    concerns.push(Concern::NoPrice {});
                }
            }
            (Some(_), _) => {}
        }
        if let Some(above) = settings.confirm.tasks.filter(|most| forecast.attempts.high > *most) {
            concerns.push(Concern::Tasks { high: forecast.attempts.high, above });
        }
        if let (Some(usd), Some(budget)) = (&forecast.cost_usd, plan.budget_usd)
            && usd.likely > budget
        {
            concerns.push(Concern::Budget { likely: usd.likely, budget });
        }
        Ok(concerns)
    }
}
