//! What a limit is of.

use crate::{
    id::{AgentName, ProjectId, ProviderName, RunId, TaskName, TenantId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The milliseconds of an hour: sums of scopes that live on are kept by the hour.
pub(super) const HOUR: u64 = 3_600_000;

/// The kinds of [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScopeKind {
    /// All projects of a tenant.
    Tenant,
    /// A project.
    Project,
    /// A run, with the runs that it starts.
    Run,
    /// A task of a run, with all of its attempts.
    Task,
    /// An agent of a project.
    Agent,
    /// An account at a provider: an entry of `[providers]`, or one of its accounts.
    Account,
}

/// One thing that calls are counted for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// All projects of a tenant.
    Tenant(TenantId),
    /// A project.
    Project(TenantId, ProjectId),
    /// A run, with the runs that it starts.
    Run(RunId),
    /// A task of a run, with all of its attempts.
    Task(RunId, TaskName),
    /// An agent of a project.
    Agent(TenantId, ProjectId, AgentName),
    /// An account at a provider, of a project.
    Account(TenantId, ProjectId, ProviderName),
}

impl Scope {
    /// Its kind.
    pub fn kind(&self) -> ScopeKind {
        match self {
            Self::Tenant(_) => ScopeKind::Tenant,
            Self::Project(..) => ScopeKind::Project,
            Self::Run(_) => ScopeKind::Run,
            Self::Task(..) => ScopeKind::Task,
            Self::Agent(..) => ScopeKind::Agent,
            Self::Account(..) => ScopeKind::Account,
        }
    }

    /// The key under which stores keep its sums. No two scopes share one: ids hold no slash.
    pub fn key(&self) -> String {
        match self {
            Self::Tenant(tenant) => format!("tenant/{tenant}"),
            Self::Project(tenant, project) => format!("project/{tenant}/{project}"),
            Self::Run(run) => format!("run/{run}"),
            Self::Task(run, task) => format!("task/{run}/{task}"),
            Self::Agent(tenant, project, agent) => format!("agent/{tenant}/{project}/{agent}"),
            Self::Account(tenant, project, name) => format!("account/{tenant}/{project}/{name}"),
        }
    }

    /// The start of the period whose sums a call at `at` is counted in: the hour in UTC, or 0 for
    /// runs and tasks, which have one sum.
    pub fn period(&self, at: Timestamp) -> Timestamp {
        match self.kind() {
            ScopeKind::Run | ScopeKind::Task => Timestamp(0),
            ScopeKind::Tenant | ScopeKind::Project | ScopeKind::Agent | ScopeKind::Account => {
                Timestamp(at.0 - at.0 % HOUR)
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(tenant) => write!(f, "tenant `{tenant}`"),
            Self::Project(_, project) => write!(f, "project `{project}`"),
            Self::Run(run) => write!(f, "run `{run}`"),
            Self::Task(_, task) => write!(f, "task `{task}`"),
            Self::Agent(_, _, agent) => write!(f, "agent `{agent}`"),
            Self::Account(_, _, account) => write!(f, "provider account `{account}`"),
        }
    }
}
