//! Who does which task of a workflow.

use super::Roster;
use crate::{ServiceError, document::Diagnostic, templates::Loaded};
use orchestrator_core::{
    agent::{AgentSpec, Role, select},
    id::AgentName,
    task::TaskKind,
    workflow::{Workflow, did_you_mean},
};
use std::collections::{BTreeMap, BTreeSet};

/// Who does which task: for each task of the workflow the agents that may, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) agents: Vec<Vec<AgentName>>,
}

impl Bound {
    /// Everybody who may be given work.
    pub(crate) fn everybody(&self) -> BTreeSet<&AgentName> {
        self.agents.iter().flatten().collect()
    }
}

impl Roster {
    /// Puts agents in place of roles or other agents, as `--agent ROLE=NAME` asks.
    ///
    /// # Errors
    /// An agent that there is not, or a role that no task asks for.
    pub(crate) fn replace(
        &self,
        workflow: &mut Workflow,
        agents: &[(String, String)],
    ) -> Result<(), ServiceError> {
        let asked: BTreeSet<String> = workflow
            .tasks
            .iter()
            .filter(|task| matches!(task.kind, TaskKind::Agent { .. }))
            .map(|task| task.wanted().to_owned())
            .collect();
        for (role, name) in agents {
            self.get(name)?;
            if !asked.contains(role) {
                let known: Vec<&str> = asked.iter().map(String::as_str).collect();
                return Err(ServiceError::Argument {
                    what: "the role in `--agent ROLE=NAME`",
                    given: role.clone(),
                    expected: format!("the tasks of this workflow ask for {}", known.join(", ")),
                });
            }
        }
        for task in &mut workflow.tasks {
            if let TaskKind::Agent { agent, .. } = &mut task.kind
                && let Some((_, name)) = agents.iter().find(|(role, _)| role == agent)
            {
                agent.clone_from(name);
            }
        }
        Ok(())
    }

    /// Finds who does each task, and names that agent in the workflow wherever its role alone
    /// would not lead to the same.
    ///
    /// A built-in analyst is never chosen by its role: it would not do what the prompt says.
    ///
    /// # Errors
    /// Every task that nobody can do.
    pub(crate) fn bind(
        &self,
        workflow: &mut Workflow,
        from: &Loaded,
    ) -> Result<Bound, ServiceError> {
        let able: BTreeMap<AgentName, AgentSpec> = self
            .members
            .iter()
            .filter(|(_, member)| member.unusable.is_none())
            .map(|(name, member)| (name.clone(), member.spec.clone()))
            .collect();
        let by_role: BTreeMap<AgentName, AgentSpec> = able
            .iter()
            .filter(|(name, _)| {
                self.members
                    .get(*name)
                    .is_some_and(|m| m.calls_model() || m.source != super::Source::BuiltIn)
            })
            .map(|(name, spec)| (name.clone(), spec.clone()))
            .collect();
        let mut agents = Vec::with_capacity(workflow.tasks.len());
        let (mut problems, mut model_needed) = (Vec::new(), false);
        for task in &workflow.tasks {
            let wanted = task.wanted();
            let found = match able.contains_key(wanted) {
                true => select(wanted, &able),
                false if self.members.contains_key(wanted) => Vec::new(),
                false => select(wanted, &by_role),
            };
            if found.is_empty() {
                match self.why_nobody(wanted) {
                    Nobody::Unusable(diagnostic) => problems.push(diagnostic),
                    Nobody::NoModel => model_needed = true,
                    Nobody::Unknown(suggestion) => {
                        let pointer = format!("/tasks/{}/agent", task.name);
                        let message = format!(
                            "task `{}` asks for `{wanted}`, but no agent has that name or role",
                            task.name
                        );
                        let found = from.diagnostic("ORC-0512", &pointer, message);
                        let hint = suggestion.unwrap_or_else(|| {
                            "`orchestrator list-agents` shows those that there are".into()
                        });
                        problems.push(found.suggest(Some(hint)));
                    }
                }
            }
            agents.push(found);
        }
        problems.dedup();
        if !problems.is_empty() {
            return Err(ServiceError::Invalid {
                what: "cannot find agents for the workflow".into(),
                diagnostics: problems,
            });
        }
        if model_needed {
            return Err(ServiceError::ModelNeeded(format!("`{}`", from.name)));
        }
        let bound = Bound { agents };
        let everybody: BTreeMap<AgentName, AgentSpec> = bound
            .everybody()
            .into_iter()
            .filter_map(|name| Some((name.clone(), able.get(name)?.clone())))
            .collect();
        for (task, names) in workflow.tasks.iter_mut().zip(&bound.agents) {
            let same = select(task.wanted(), &everybody) == *names;
            if let (TaskKind::Agent { agent, .. }, Some(first), false) =
                (&mut task.kind, names.first(), same)
            {
                agent.clone_from(&first.to_string());
            }
        }
        Ok(bound)
    }

    fn why_nobody(&self, wanted: &str) -> Nobody {
        let named = self.members.get(wanted);
        let of_role = self.members.values().filter(|member| member.spec.role.as_str() == wanted);
        let broken = named.into_iter().chain(of_role).find_map(|member| member.unusable.clone());
        if let Some(diagnostic) = broken {
            return Nobody::Unusable(diagnostic);
        }
        if !matches!(Role::from(wanted.to_owned()), Role::Own(_)) {
            return match self.why_no_model() {
                Some(diagnostic) if !self.has_model() => Nobody::Unusable(diagnostic.clone()),
                _ => Nobody::NoModel,
            };
        }
        let names = self.members.keys().map(AgentName::as_str);
        let roles = Role::KNOWN.iter().map(Role::as_str);
        Nobody::Unknown(did_you_mean(wanted, names.chain(roles)))
    }
}

enum Nobody {
    Unusable(Diagnostic),
    NoModel,
    Unknown(Option<String>),
}
