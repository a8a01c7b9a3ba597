//! Who a call is made for.

use super::Scope;
use crate::id::{AgentName, AttemptNumber, ProjectId, ProviderName, RunId, TaskName, TenantId};
use serde::{Deserialize, Serialize};

/// Who pays for a call. The runs above `run` pay too; the store knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Payer {
    /// The tenant.
    pub tenant: TenantId,
    /// The project.
    pub project: ProjectId,
    /// The run; `None` for a call that is of no run.
    pub run: Option<RunId>,
    /// The task of the run.
    pub task: Option<TaskName>,
    /// The attempt at the task.
    pub attempt: Option<AttemptNumber>,
    /// The agent.
    pub agent: Option<AgentName>,
    /// The account that is called: the name of its entry in `[providers]`. For a provider with several
    /// accounts whoever asks names the provider, and the gateway the account that it chose.
    pub account: ProviderName,
    /// The model that is called.
    pub model: String,
}

impl Payer {
    /// A call of `model` through `account` that is of no run, for the default tenant and project.
    pub fn new(account: ProviderName, model: impl Into<String>) -> Self {
        Self {
            tenant: TenantId::default(),
            project: ProjectId::default(),
            run: None,
            task: None,
            attempt: None,
            agent: None,
            account,
            model: model.into(),
        }
    }

    /// Every scope that pays; `above` are the runs above its own, the nearest first.
    pub fn scopes<'a>(&self, above: impl IntoIterator<Item = &'a RunId>) -> Vec<Scope> {
        let (tenant, project) = (&self.tenant, &self.project);
        let mut scopes = vec![
            Scope::Tenant(tenant.clone()),
            Scope::Project(tenant.clone(), project.clone()),
            Scope::Account(tenant.clone(), project.clone(), self.account.clone()),
        ];
        if let Some(agent) = &self.agent {
            scopes.push(Scope::Agent(tenant.clone(), project.clone(), agent.clone()));
        }
        if let Some(run) = &self.run {
            scopes.push(Scope::Run(run.clone()));
            if let Some(task) = &self.task {
                scopes.push(Scope::Task(run.clone(), task.clone()));
            }
        }
        scopes.extend(above.into_iter().cloned().map(Scope::Run));
        scopes
    }
}
