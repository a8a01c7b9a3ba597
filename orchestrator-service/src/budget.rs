//! Budgets: the rules that settings make, and this process's part in the ledger.

use crate::{
    Environment, OrchestratorService, ServiceError,
    config::{Config, ConfigFiles, Settings},
    owner::Holder,
    service::Opened,
};
use orchestrator_core::{
    engine::SystemClock,
    id::OwnerId,
    ledger::{Rule, ScopeKind, Unit, Window},
    money::MicroUsd,
};
use orchestrator_gateway::budget::{Budget, RuleBook};
use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
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
        let (rules, owner) = (self.rules()?, self.ledger_owner()?);
        Ok(Budget::by(opened.ledger(), rules, owner, Arc::new(SystemClock)))
    }

    /// The limits that the settings state, as they change.
    pub(crate) fn rules(&self) -> Result<Arc<LiveRules>, ServiceError> {
        let files = self.config_files();
        let known = (stamps(&files), rules(self.settings()?.settings()).into());
        Ok(Arc::new(LiveRules {
            files,
            environment: self.environment().clone(),
            flags: self.options().settings.clone(),
            known: Mutex::new(known),
        }))
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

/// What tells that a file is another than before: its number, its length and when it was written.
type Stamp = Option<(u64, u64, SystemTime)>;

/// The limits of the settings. They are read again when a file of them has changed, so that a limit
/// that is raised lets a run go on that is under way. Settings that are not valid change nothing.
#[derive(Debug)]
pub(crate) struct LiveRules {
    files: ConfigFiles,
    environment: Environment,
    flags: Vec<(String, String)>,
    known: Mutex<([Stamp; 3], Arc<[Rule]>)>,
}

impl RuleBook for LiveRules {
    fn rules(&self) -> Arc<[Rule]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamps(&self.files);
        if known.0 != found {
            known.0 = found;
            match Config::load(&self.files, &self.environment, &self.flags) {
                Ok(config) => known.1 = rules(config.settings()).into(),
                Err(error) => {
                    tracing::warn!(%error, "the limits stay what they were: the settings are not valid");
                }
            }
        }
        known.1.clone()
    }
}

fn stamps(files: &ConfigFiles) -> [Stamp; 3] {
    let stamp = |file: &Path| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.ino(), found.len(), found.modified().ok()?))
    };
    let user = files.user.as_deref().and_then(stamp);
    [stamp(&files.project), user, stamp(&files.dot_env)]
}

/// The limits of calls that `settings` state. The budget of a run is the run's own.
pub(crate) fn rules(settings: &Settings) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |(of, name): (ScopeKind, Option<&str>), warns: bool, window, unit, most| {
        let Some(most) = most else { return };
        let rule = Rule { is_hard: !warns, ..Rule::hard(of, window, unit, most) };
        rules.push(match name {
            Some(name) => rule.named(name),
            None => rule,
        });
    };
    let usd = |amount: Option<MicroUsd>| amount.map(|usd| usd.0);
    let (day, month, total) = (Window::Day, Window::Month, Window::Total);
    let (all, warns) = (&settings.budget, settings.budget.warn_only);
    let (run, task) = ((ScopeKind::Run, None), (ScopeKind::Task, None));
    // One that refuses is the run's own budget, which is recorded with the run.
    add(run, warns, total, Unit::Usd, usd(all.usd_per_run).filter(|_| warns));
    add(run, warns, total, Unit::Tokens, all.tokens_per_run);
    add(task, warns, total, Unit::Tokens, all.tokens_per_task);
    add(task, warns, total, Unit::Usd, usd(all.usd_per_task));
    let project = (ScopeKind::Project, None);
    add(project, warns, day, Unit::Usd, usd(all.usd_per_day));
    add(project, warns, month, Unit::Usd, usd(all.usd_per_month));
    add(project, warns, day, Unit::Tokens, all.tokens_per_day);
    add(project, warns, month, Unit::Tokens, all.tokens_per_month);
    let (own, tenant) = (&settings.tenant.budget, (ScopeKind::Tenant, None));
    add(tenant, own.warn_only, day, Unit::Usd, usd(own.usd_per_day));
    add(tenant, own.warn_only, month, Unit::Usd, usd(own.usd_per_month));
    add(tenant, own.warn_only, day, Unit::Tokens, own.tokens_per_day);
    add(tenant, own.warn_only, month, Unit::Tokens, own.tokens_per_month);
    let agents = settings.agents.iter().map(|(name, it)| (ScopeKind::Agent, name, it.budget));
    let accounts = settings.accounts();
    let accounts = accounts.iter().map(|(name, it)| (ScopeKind::Account, name, it.budget));
    for (of, name, budget) in agents.chain(accounts) {
        let (of, warns) = ((of, Some(name.as_str())), budget.warn_only);
        add(of, warns, day, Unit::Usd, usd(budget.usd_per_day));
        add(of, warns, month, Unit::Usd, usd(budget.usd_per_month));
        add(of, warns, day, Unit::Tokens, budget.tokens_per_day);
        add(of, warns, day, Unit::Requests, budget.requests_per_day);
        let window = Window::Hours(budget.window_hours.unwrap_or(5));
        add(of, warns, window, Unit::Tokens, budget.tokens_per_window);
        add(of, warns, window, Unit::Requests, budget.requests_per_window);
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
        let soft = |of, window, unit, most| Rule { is_hard: false, ..hard(of, window, unit, most) };
        check(
            json!({
                "budget": { "usd-per-run": "5", "usd-per-day": "50", "warn-only": true },
                "tenant": { "budget": { "usd-per-month": "200", "tokens-per-day": 7 } },
                "agents": { "dev": { "budget": { "tokens-per-day": 9, "warn-only": true } } },
            }),
            &[
                soft(ScopeKind::Run, Window::Total, Unit::Usd, 5_000_000),
                soft(ScopeKind::Project, Window::Day, Unit::Usd, 50_000_000),
                hard(ScopeKind::Tenant, Window::Month, Unit::Usd, 200_000_000),
                hard(ScopeKind::Tenant, Window::Day, Unit::Tokens, 7),
                soft(ScopeKind::Agent, Window::Day, Unit::Tokens, 9).named("dev"),
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
