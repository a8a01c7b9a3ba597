//! Where money and tokens went.

use super::CostQuery;
use crate::{
    OrchestratorService, ServiceError,
    views::{
        BudgetView, CalibrationRow, CalibrationView, CostGroup, CostReport, CostRow, LedgerView,
        Spent, outcome, to_thousandth,
    },
};
use orchestrator_core::{
    estimate::{Calibration, Outcome},
    id::RunId,
    ledger::{Standing, Unit},
    money::MicroUsd,
    port::{CallState, SpendGroup, SpendTotal},
    run::RunStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};

/// Of how many runs estimates are judged: the newest.
const JUDGED: usize = 1_000;

impl OrchestratorService {
    /// Where money and tokens went.
    ///
    /// # Errors
    /// An unknown run.
    pub async fn cost_report(&self, query: &CostQuery) -> Result<CostReport, ServiceError> {
        let found = match &query.run {
            Some(run) => Some(self.find_run(run).await?.1),
            None => None,
        };
        let replayed = found.as_ref().is_some_and(|row| row.replayed);
        let run = found.map(|row| row.id);
        let read = async |group: SpendGroup| match self.store_if_any()? {
            Some(opened) => {
                let totals = opened.catalog().spending(group, run.as_ref(), query.since).await;
                totals.map_err(|error| opened.failed(error))
            }
            None => Ok(Vec::new()),
        };
        let totals = read(group(query.by)).await?;
        // A run can be in several groups, so runs are counted on their own.
        let runs: u64 = read(SpendGroup::Run).await?.iter().map(|run| run.runs).sum();
        let mut sum = SpendTotal {
            key: "total".into(),
            runs,
            requests: 0,
            usage: Usage::default(),
            cost: Cost::default(),
        };
        for total in &totals {
            sum.requests += total.requests;
            sum.usage += total.usage;
            sum.cost.known += total.cost.known;
            sum.cost.unpriced_requests += total.cost.unpriced_requests;
        }
        Ok(CostReport {
            schema: "orchestrator.cost-report/v1",
            by: query.by,
            since: query.since.map(|since| since.to_string()),
            items: totals.iter().map(row).collect(),
            total: row(&sum),
            replayed,
            ledger: self.ledger_of(run.as_ref()).await?,
            budgets: self.budgets().await?,
            calibration: self.calibration(run.as_ref(), query.since).await?,
        })
    }

    /// How right estimates were.
    async fn calibration(
        &self,
        run: Option<&RunId>,
        since: Option<Timestamp>,
    ) -> Result<CalibrationView, ServiceError> {
        let estimated = match self.store_if_any()? {
            Some(opened) => {
                let found = opened.catalog().estimated(run, since, JUDGED).await;
                found.map_err(|error| opened.failed(error))?
            }
            None => Vec::new(),
        };
        // What failed or was stopped has not done what was estimated.
        let done = estimated.into_iter().filter(|run| run.status == RunStatus::Succeeded);
        let outcomes: Vec<Outcome> = done.map(outcome).collect();
        let all = Calibration::of(&outcomes);
        let items =
            Calibration::by_workflow(&outcomes).into_iter().map(|(workflow, of)| CalibrationRow {
                workflow: workflow.to_string(),
                runs: of.runs,
                within: of.within,
                within_percent: of.percent_within(),
                median_ratio: of.median_ratio.map(to_thousandth),
            });
        Ok(CalibrationView {
            runs: all.runs,
            within: all.within,
            within_percent: all.percent_within(),
            median_ratio: all.median_ratio.map(to_thousandth),
            items: items.collect(),
        })
    }

    async fn ledger_of(&self, run: Option<&RunId>) -> Result<LedgerView, ServiceError> {
        let Some(opened) = self.store_if_any()? else { return Ok(LedgerView::default()) };
        let tally = opened.ledger().tally(run).await.map_err(|error| opened.unusable(error))?;
        let of = |state: CallState| {
            let (count, sums) = tally.get(&state).copied().unwrap_or_default();
            (count, MicroUsd(sums.usd))
        };
        let (held_calls, held_usd) = of(CallState::Held);
        let (settled_calls, settled_usd) = of(CallState::Settled);
        let (assumed_calls, assumed_usd) = of(CallState::Assumed);
        Ok(LedgerView {
            held_calls,
            held_usd,
            settled_calls,
            settled_usd,
            assumed_calls,
            assumed_usd,
            released_calls: of(CallState::Released).0,
        })
    }

    /// How the limits of the settings stand.
    async fn budgets(&self) -> Result<Vec<BudgetView>, ServiceError> {
        let (tenant, project) = Default::default();
        let now = crate::clock::now();
        let mut budgets = Vec::new();
        for rule in crate::budget::rules(self.settings()?.settings()) {
            let Some(limit) = rule.of_project(&tenant, &project) else { continue };
            let since = limit.window.since(now);
            let (used, held) = match self.store_if_any()? {
                Some(opened) => {
                    let sums = opened.ledger().sums(&limit.scope, since).await;
                    sums.map_err(|error| opened.unusable(error))?
                }
                None => Default::default(),
            };
            budgets.push(budget(&Standing { limit, used, held }, now));
        }
        Ok(budgets)
    }
}

fn budget(at: &Standing, now: Timestamp) -> BudgetView {
    let unit = at.limit.unit;
    let amount = |amount: u64| match unit {
        Unit::Usd => MicroUsd(amount).to_string(),
        _ => amount.to_string(),
    };
    BudgetView {
        of: at.limit.scope.to_string(),
        window: at.limit.window.to_string(),
        unit,
        limit: amount(at.limit.most),
        spent: amount(at.spent()),
        held: amount(at.reserved()),
        percent: at.percent(),
        renews: at.limit.window.renews(now).map(|at| at.to_string()),
        refuses: at.limit.is_hard,
    }
}

fn row(total: &SpendTotal) -> CostRow {
    CostRow {
        key: total.key.clone(),
        runs: total.runs,
        requests: total.requests,
        spent: Spent::new(&total.usage, &total.cost),
    }
}

fn group(by: CostGroup) -> SpendGroup {
    match by {
        CostGroup::Agent => SpendGroup::Agent,
        CostGroup::Model => SpendGroup::Model,
        CostGroup::Provider => SpendGroup::Provider,
        CostGroup::Task => SpendGroup::Task,
        CostGroup::Project => SpendGroup::Project,
        CostGroup::Day => SpendGroup::Day,
        CostGroup::Run => SpendGroup::Run,
    }
}
