//! Budgets: the rules that settings make, and this process's part in the ledger.

use crate::{OrchestratorService, ServiceError, config::Settings, owner::Holder, service::Opened};
use orchestrator_core::{
    engine::SystemClock,
    id::OwnerId,
    ledger::{Rule, ScopeKind, Unit, Window},
};
use orchestrator_gateway::budget::Budget;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What parts the name of a process from that of its part in the ledger.
const PART: char = '@';

/// How many budgets this process has opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

impl OrchestratorService {
    /// The budgets that calls of this process are made under. What processes held that have died on
    /// this machine is settled first, at the most that it can have cost.
    pub(crate) async fn budget(&self, opened: &Opened) -> Result<Budget, ServiceError> {
        self.settle_the_dead(opened).await?;
        let rules = rules(self.settings()?.settings());
        Ok(Budget::new(opened.ledger(), rules, self.ledger_owner()?, Arc::new(SystemClock)))
    }

    /// Settles what processes held that have died on this machine.
    pub(crate) async fn settle_the_dead(&self, opened: &Opened) -> Result<(), ServiceError> {
        let ledger = opened.ledger();
        for owner in ledger.owners().await.map_err(|error| opened.unusable(error))? {
            if self.is_dead(&owner) {
                let assumed = ledger.expire(Some(&owner), crate::clock::now()).await;
                let calls = assumed.map_err(|error| opened.unusable(error))?;
                tracing::info!(%owner, calls, "calls of a dead process are assumed at their worst");
            }
        }
        Ok(())
    }

    /// A name for one more part of this process in the ledger.
    pub(crate) fn ledger_owner(&self) -> Result<OwnerId, ServiceError> {
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        OwnerId::new(format!("{}{PART}{number}", self.owner_id()?))
            .map_err(|error| ServiceError::Internal(error.to_string()))
    }

    fn is_dead(&self, owner: &OwnerId) -> bool {
        let process = owner.as_str().split(PART).next().unwrap_or_default();
        OwnerId::new(process).is_ok_and(|process| self.owner().look(&process) == Holder::Dead)
    }
}

/// The limits of calls that `settings` state. The budget of a run is the run's own.
pub(crate) fn rules(settings: &Settings) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |of, name: Option<&str>, window, unit, most: Option<u64>| {
        let Some(most) = most else { return };
        let rule = Rule::hard(of, window, unit, most);
        rules.push(match name {
            Some(name) => rule.named(name),
            None => rule,
        });
    };
    let usd = |amount: Option<orchestrator_core::money::MicroUsd>| amount.map(|usd| usd.0);
    let all = &settings.budget;
    let total = [(ScopeKind::Run, all.tokens_per_run), (ScopeKind::Task, all.tokens_per_task)];
    for (of, most) in total {
        add(of, None, Window::Total, Unit::Tokens, most);
    }
    add(ScopeKind::Task, None, Window::Total, Unit::Usd, usd(all.usd_per_task));
    let project = ScopeKind::Project;
    add(project, None, Window::Day, Unit::Usd, usd(all.usd_per_day));
    add(project, None, Window::Month, Unit::Usd, usd(all.usd_per_month));
    add(project, None, Window::Day, Unit::Tokens, all.tokens_per_day);
    add(project, None, Window::Month, Unit::Tokens, all.tokens_per_month);
    let agents = settings.agents.iter().map(|(name, it)| (ScopeKind::Agent, name, it.budget));
    let accounts = settings.accounts();
    let accounts = accounts.iter().map(|(name, it)| (ScopeKind::Account, name, it.budget));
    for (of, name, budget) in agents.chain(accounts) {
        let name = Some(name.as_str());
        add(of, name, Window::Day, Unit::Usd, usd(budget.usd_per_day));
        add(of, name, Window::Month, Unit::Usd, usd(budget.usd_per_month));
        add(of, name, Window::Day, Unit::Tokens, budget.tokens_per_day);
        add(of, name, Window::Day, Unit::Requests, budget.requests_per_day);
        let window = Window::Hours(budget.window_hours.unwrap_or(5));
        add(of, name, window, Unit::Tokens, budget.tokens_per_window);
        add(of, name, window, Unit::Requests, budget.requests_per_window);
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_become_rules() {
        let check = |json: serde_json::Value, expected: &[Rule]| {
            let settings: Settings = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(rules(&settings), expected, "{json}");
        };
        check(json!({}), &[]);
        check(json!({ "budget": { "usd-per-run": "5" } }), &[]);
        let hard = Rule::hard;
        check(
            json!({ "budget": { "usd-per-day": "50", "usd-per-task": "1", "tokens-per-run": 9 } }),
            &[
                hard(ScopeKind::Run, Window::Total, Unit::Tokens, 9),
                hard(ScopeKind::Task, Window::Total, Unit::Usd, 1_000_000),
                hard(ScopeKind::Project, Window::Day, Unit::Usd, 50_000_000),
            ],
        );
        let window = json!({ "tokens-per-window": 8, "window-hours": 168, "requests-per-day": 3 });
        check(
            json!({
                "agents": { "dev": { "budget": { "usd-per-month": "7" } } },
                "providers": { "lab": { "budget": window } },
            }),
            &[
                hard(ScopeKind::Agent, Window::Month, Unit::Usd, 7_000_000).named("dev"),
                hard(ScopeKind::Account, Window::Day, Unit::Requests, 3).named("lab"),
                hard(ScopeKind::Account, Window::Hours(168), Unit::Tokens, 8).named("lab"),
            ],
        );
        // Each account has the budget of its provider, but for what it sets itself.
        let accounts = json!({ "a": {}, "b": { "budget": { "usd-per-day": "9" } } });
        check(
            json!({
                "providers": { "lab": { "budget": { "usd-per-day": "3" }, "accounts": accounts } },
            }),
            &[
                hard(ScopeKind::Account, Window::Day, Unit::Usd, 3_000_000).named("lab.a"),
                hard(ScopeKind::Account, Window::Day, Unit::Usd, 9_000_000).named("lab.b"),
            ],
        );
    }
}
