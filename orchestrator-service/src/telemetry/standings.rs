//! What is looked up rather than counted: where the ledger and its limits stand.

use super::metrics::dollars;
use crate::clock;
use opentelemetry::KeyValue;
use orchestrator_core::{
    id::{ProjectId, TenantId},
    ledger::{Rule, Scope, Standing, Unit, Window},
    port::Ledger,
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// What was found last.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) ledger: Vec<LedgerState>,
    pub(super) limits: Vec<LimitState>,
}

/// All calls of the ledger that are in one state.
#[derive(Debug)]
pub(super) struct LedgerState {
    state: &'static str,
    pub(super) calls: f64,
    pub(super) usd: f64,
}

impl LedgerState {
    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        vec![KeyValue::new("orchestrator.state", self.state)]
    }
}

/// A limit of the settings.
#[derive(Debug)]
pub(super) struct LimitState {
    scope: &'static str,
    name: String,
    window: String,
    unit: &'static str,
    pub(super) most: f64,
    pub(super) used: f64,
}

impl LimitState {
    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::new("orchestrator.scope", self.scope),
            KeyValue::new("orchestrator.name", self.name.clone()),
            KeyValue::new("orchestrator.window", self.window.clone()),
            KeyValue::new("orchestrator.unit", self.unit),
        ]
    }
}

/// A ledger that is looked at.
#[derive(Clone)]
pub(crate) struct Books {
    ledger: Arc<dyn Ledger>,
    rules: Arc<[Rule]>,
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Books {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, rules: impl Into<Arc<[Rule]>>) -> Self {
        Self { ledger, rules: rules.into() }
    }

    /// Looks the ledger up. What cannot be read stays as it was.
    pub(super) async fn look(&self, into: &Mutex<Snapshot>) {
        let ledger = match self.ledger.tally(None).await {
            Ok(tally) => tally
                .into_iter()
                .map(|(state, (calls, sums))| LedgerState {
                    state: state.as_str(),
                    calls: float(calls),
                    usd: dollars(sums.usd),
                })
                .collect(),
            Err(error) => return tracing::debug!(%error, "the ledger was not read for metrics"),
        };
        let (tenant, project, now) = (TenantId::default(), ProjectId::default(), clock::now());
        let mut limits = Vec::new();
        for limit in self.rules.iter().filter_map(|rule| rule.of_project(&tenant, &project)) {
            let (used, held) = match self.ledger.sums(&limit.scope, limit.window.since(now)).await {
                Ok(sums) => sums,
                Err(error) => return tracing::debug!(%error, "limits were not read for metrics"),
            };
            limits.push(state(&Standing { limit, used, held }));
        }
        *into.lock().unwrap_or_else(PoisonError::into_inner) = Snapshot { ledger, limits };
    }
}

/// A limit as it is shown.
fn state(standing: &Standing) -> LimitState {
    let limit = &standing.limit;
    let amount = |raw: u64| match limit.unit {
        Unit::Usd => dollars(raw),
        _ => float(raw),
    };
    let (scope, name) = match &limit.scope {
        Scope::Tenant(tenant) => ("tenant", tenant.to_string()),
        Scope::Project(_, project) => ("project", project.to_string()),
        Scope::Run(run) => ("run", run.to_string()),
        Scope::Task(run, task) => ("task", format!("{run}.{task}")),
        Scope::Agent(_, _, agent) => ("agent", agent.to_string()),
        Scope::Account(_, _, account) => ("account", account.to_string()),
        _ => ("other", String::new()),
    };
    LimitState {
        scope,
        name,
        window: match limit.window {
            Window::Total => "total".into(),
            Window::Day => "day".into(),
            Window::Month => "month".into(),
            Window::Hours(hours) => format!("{hours}h"),
            other => other.to_string(),
        },
        unit: match limit.unit {
            Unit::Usd => "usd",
            Unit::Tokens => "tokens",
            Unit::Requests => "requests",
            _ => "other",
        },
        most: amount(limit.most),
        used: amount(standing.spent().saturating_add(standing.reserved())),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a measurement")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The memory of this process that is in use, in bytes, where the system says.
pub(super) fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.saturating_mul(1_024))
}
