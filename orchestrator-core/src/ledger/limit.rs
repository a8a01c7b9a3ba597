//! Limits: how much of what, for whom, in which time.

use super::{Payer, Scope, ScopeKind, Unit, scope::HOUR};
use crate::{
    id::{AgentName, ProjectId, ProviderName, RunId, TenantId},
    money::MicroUsd,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

const DAY: u64 = 24 * HOUR;

/// The time over which a limit counts. Days and months are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Window {
    /// All time.
    Total,
    /// The day of the call.
    Day,
    /// The month of the call.
    Month,
    /// The last so many hours, at least one. Sums are kept by the hour, so up to an hour more
    /// counts, and never less.
    Hours(u16),
}

impl Window {
    /// The start of the first period that counts for a call at `now`.
    pub fn since(self, now: Timestamp) -> Timestamp {
        let back = |period: u64| Timestamp(now.0 - now.0 % period);
        match self {
            Self::Total => Timestamp(0),
            Self::Day => back(DAY),
            Self::Month => back(DAY).month().0,
            Self::Hours(hours) => {
                let start = now.0.saturating_sub(u64::from(hours.max(1)) * HOUR);
                Timestamp(start - start % HOUR)
            }
        }
    }

    /// When what was spent before `now` begins to count no more; `None` for [`Window::Total`].
    pub fn renews(self, now: Timestamp) -> Option<Timestamp> {
        let next = |period: u64| Timestamp(now.0 - now.0 % period + period);
        match self {
            Self::Total => None,
            Self::Day => Some(next(DAY)),
            Self::Month => Some(now.month().1),
            Self::Hours(_) => Some(next(HOUR)),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => f.write_str("in all"),
            Self::Day => f.write_str("a day"),
            Self::Month => f.write_str("a month"),
            Self::Hours(1) => f.write_str("an hour"),
            Self::Hours(hours) => write!(f, "in {hours} hours"),
        }
    }
}

/// The most that one scope may spend of a unit in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Of whom.
    pub scope: Scope,
    /// Over which time.
    pub window: Window,
    /// Of what.
    pub unit: Unit,
    /// How much.
    pub most: u64,
    /// Whether it refuses; otherwise it only warns.
    pub is_hard: bool,
}

impl Limit {
    /// From when on spending counts for a call at `now`. `restarts` are the times at which the
    /// windows of hours of the scope begin anew, in any order.
    pub fn counts_from(
        &self,
        now: Timestamp,
        restarts: impl IntoIterator<Item = Timestamp>,
    ) -> Timestamp {
        let start = self.window.since(now);
        match self.window {
            Window::Hours(_) => {
                let past = restarts.into_iter().filter(|at| *at <= now);
                past.max().map_or(start, |at| at.max(start))
            }
            Window::Total | Window::Day | Window::Month => start,
        }
    }
}

impl fmt::Display for Limit {
    /// Such as ``run `r_1` may spend $0.5 in all``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may spend {} {}", self.scope, self.unit.show(self.most), self.window)
    }
}

/// A limit of every scope of a kind, or of the one that is named, as settings state it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// Of which kind of scope. A rule for runs is one for the run above all others: what it starts
    /// counts.
    pub of: ScopeKind,
    /// The agent or account that it is for; all of them when it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Over which time.
    pub window: Window,
    /// Of what.
    pub unit: Unit,
    /// How much.
    pub most: u64,
    /// Whether it refuses; otherwise it only warns.
    pub is_hard: bool,
}

impl Rule {
    /// A rule that refuses, for every scope of a kind.
    pub fn hard(of: ScopeKind, window: Window, unit: Unit, most: u64) -> Self {
        Self { of, name: None, window, unit, most, is_hard: true }
    }

    /// The same for the one agent or account of that name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The limit that the rule sets for a project as a whole, or for the agent or account that it
    /// names there; `None` for a rule of runs or tasks, and for one that names nobody.
    pub fn of_project(&self, tenant: &TenantId, project: &ProjectId) -> Option<Limit> {
        let (tenant, project) = (tenant.clone(), project.clone());
        let name = self.name.as_deref();
        let scope = match self.of {
            ScopeKind::Tenant => Scope::Tenant(tenant),
            ScopeKind::Project => Scope::Project(tenant, project),
            ScopeKind::Agent => Scope::Agent(tenant, project, AgentName::new(name?).ok()?),
            ScopeKind::Account => Scope::Account(tenant, project, ProviderName::new(name?).ok()?),
            ScopeKind::Run | ScopeKind::Task => return None,
        };
        Some(self.limit(scope))
    }

    fn limit(&self, scope: Scope) -> Limit {
        let Self { window, unit, most, is_hard, .. } = *self;
        Limit { scope, window, unit, most, is_hard }
    }

    fn is_for(&self, scope: &Scope, root: Option<&RunId>) -> bool {
        let named = |name: &str| self.name.as_deref().is_none_or(|only| only == name);
        match scope {
            Scope::Run(run) => self.of == ScopeKind::Run && Some(run) == root,
            Scope::Agent(_, _, agent) => self.of == ScopeKind::Agent && named(agent.as_str()),
            Scope::Account(_, _, name) => self.of == ScopeKind::Account && named(name.as_str()),
            Scope::Tenant(_) | Scope::Project(..) | Scope::Task(..) => self.of == scope.kind(),
        }
    }
}

/// A run with the budget that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunBudget {
    /// The run.
    pub run: RunId,
    /// The most that it may cost, with what it starts.
    pub usd: Option<MicroUsd>,
}

/// The limits of a call for `payer`. `runs` are its run and the runs above that, the nearest first.
pub fn limits_of(rules: &[Rule], payer: &Payer, runs: &[RunBudget]) -> Vec<Limit> {
    let budgets = runs.iter().filter_map(|budget| {
        let scope = Scope::Run(budget.run.clone());
        let most = budget.usd?.0;
        Some(Limit { scope, window: Window::Total, unit: Unit::Usd, most, is_hard: true })
    });
    let root = runs.last().map(|budget| &budget.run);
    let scopes = payer.scopes(runs.iter().skip(1).map(|budget| &budget.run));
    let ruled = rules.iter().flat_map(|rule| {
        scopes
            .iter()
            .filter(move |scope| rule.is_for(scope, root))
            .map(|scope| rule.limit(scope.clone()))
    });
    budgets.chain(ruled).collect()
}
