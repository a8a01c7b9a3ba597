//! Where money and tokens went.

use super::CostQuery;
use crate::{
    OrchestratorService, ServiceError,
    views::{CostGroup, CostReport, CostRow, Spent},
};
use orchestrator_core::{
    port::{SpendGroup, SpendTotal},
    usage::{Cost, Usage},
};

impl OrchestratorService {
    /// Where money and tokens went.
    ///
    /// # Errors
    /// An unknown run.
    pub async fn cost_report(&self, query: &CostQuery) -> Result<CostReport, ServiceError> {
        let run = match &query.run {
            Some(run) => Some(self.find_run(run).await?.1.id),
            None => None,
        };
        let read = async |group: SpendGroup| match self.store_if_any()? {
            Some(opened) => {
                let totals = opened.catalog().spending(group, run.as_ref(), query.since).await;
                totals.map_err(|error| opened.failed(error))
            }
            None => Ok(Vec::new()),
        };
        let totals = read(group(query.by)).await?;
        // A run can be in several groups, so runs are counted on their own.
        let runs = read(SpendGroup::Run).await?.len();
        let mut sum = SpendTotal {
            key: "total".into(),
            runs: u64::try_from(runs).unwrap_or(u64::MAX),
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
        })
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
