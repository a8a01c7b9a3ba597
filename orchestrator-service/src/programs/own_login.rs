//! The books of a coding CLI that calls its models by itself, with the user's login.
//!
//! Nothing can be held before its calls are made: they are counted as it tells of them, and judged
//! after each. So a limit may be passed by what it did between two words, which is one turn.

use super::Access;
use async_trait::async_trait;
use orchestrator_agents::coding::{Adapter, Meter, Metered, ModelUsage};
use orchestrator_core::{
    error::Failure,
    ledger::{Amounts, Payer},
    port::{Assignment, Settlement},
    usage::Spend,
};
use orchestrator_gateway::{budget::Budget, prices::PriceTable};
use std::sync::{Arc, Mutex, PoisonError};

/// What the log of an attempt says of it.
pub(super) const SAID: &str = "works with its own login: what it uses is counted as it tells of it, \
                               and a limit may be passed by one turn";

/// The books of one attempt.
pub(super) struct OwnLogin {
    budget: Budget,
    prices: PriceTable,
    payer: Payer,
    /// Whether it used something of which the price is not known.
    unpriced: Mutex<bool>,
}

impl OwnLogin {
    pub(super) fn new(
        access: &Access,
        assignment: &Assignment,
        adapter: &Arc<dyn Adapter>,
    ) -> Self {
        let model = assignment.agent.model.clone();
        let payer = assignment.payer(model.unwrap_or_else(|| adapter.provider().to_owned()));
        let (budget, prices) = (access.budget().clone(), access.prices().clone());
        Self { budget, prices, payer, unpriced: Mutex::new(false) }
    }

    /// Whether anything more may be used.
    ///
    /// # Errors
    /// `over_budget` when a limit is used up, or what was used has no known price where a limit is in
    /// dollars; `transient` when the ledger does not answer.
    pub(super) async fn judge(&self) -> Result<(), Failure> {
        let unpriced = *self.unpriced.lock().unwrap_or_else(PoisonError::into_inner);
        let least = orchestrator_core::money::MicroUsd(1);
        let next = Amounts::call((!unpriced).then_some(least), 1);
        // It is given back at once: only whether it could be had is asked.
        let held = self.budget.reserve(&self.payer, next).await;
        held.map(drop).map_err(|error| error.into_failure(&self.payer.model))
    }

    /// Writes what was used into the ledger, whatever limits say: it is spent.
    async fn book(&self, line: &Spend) -> Result<(), Failure> {
        let payer = Payer { model: line.model.clone(), ..self.payer.clone() };
        let hold = self.budget.reserve(&payer, Amounts::NONE).await;
        let mut hold = hold.map_err(|error| error.into_failure(&line.model))?;
        hold.sent();
        let (tokens, requests) = (line.usage.total().0, u64::from(line.requests));
        let spent = Amounts { usd: line.cost, tokens, requests };
        hold.settle(Settlement::Metered { spent, usage: line.usage }).await;
        Ok(())
    }
}

#[async_trait]
impl Meter for OwnLogin {
    async fn used(&self, used: &ModelUsage) -> Metered {
        let model = used.model.clone().unwrap_or_else(|| self.payer.model.clone());
        let price = || {
            let entry = self.prices.find(&self.payer.account, &model)?;
            entry.cost(&used.usage, crate::clock::now())
        };
        let spend = Spend {
            provider: self.payer.account.clone(),
            cost: used.cost.or_else(price),
            model,
            requests: used.requests.unwrap_or(1),
            usage: used.usage,
        };
        if spend.cost.is_none() {
            *self.unpriced.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        let judged = match self.book(&spend).await {
            Ok(()) => self.judge().await,
            Err(failure) => Err(failure),
        };
        Metered { spend, stop: judged.err() }
    }
}
