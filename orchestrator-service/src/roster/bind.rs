//! Who does which task of a workflow.

use super::Roster;
use crate::{ServiceError, document::Diagnostic, templates::Loaded};
use orchestrator_core::{
    agent::{AgentSpec, Role, select},
    event::RunCreated,
    id::AgentName,
    task::{Binding, COMMAND_AGENT, TaskKind},
    workflow::{Mode, Workflow, did_you_mean},
};
use std::collections::{BTreeMap, BTreeSet};

/// Who does the tasks of some workflows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// For each task of each workflow the agents that may do it, best first.
    pub(crate) agents: Vec<Vec<Vec<AgentName>>>,
    everybody: BTreeSet<AgentName>,
}

impl Bound {
    /// Everybody who may be given work.
    pub(crate) fn everybody(&self) -> &BTreeSet<AgentName> {
        &self.everybody
    }
}

/// Who can be chosen at all, and who by a role alone.
struct Able {
    all: BTreeMap<AgentName, AgentSpec>,
    by_role: BTreeMap<AgentName, AgentSpec>,
}

impl Roster {
    /// Puts agents in place of roles or other agents, as `--agent ROLE=NAME` asks.
    ///
    /// # Errors
    /// An agent that there is not, or a role that no task asks for.
    pub(crate) fn replace(
        &self,
        workflows: &mut [&mut Workflow],
        agents: &[(String, String)],
    ) -> Result<(), ServiceError> {
        let kinds = workflows.iter().flat_map(|workflow| &workflow.tasks);
        let asked: BTreeSet<String> = kinds
            .flat_map(|task| [Some(&task.kind), task.compensate.as_deref()].into_iter().flatten())
            .filter(|kind| matches!(kind, TaskKind::Agent { .. }))
            .filter_map(|kind| kind.wanted().map(str::to_owned))
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
        for workflow in workflows {
            for agent in asked_in(workflow) {
                if let Some((_, name)) = agents.iter().find(|(role, _)| role == agent) {
                    agent.clone_from(name);
                }
            }
        }
        Ok(())
    }

    /// Finds who does each task, and names that agent in the workflow wherever its role alone
    /// would not lead to the same among all who are needed.
    ///
    /// A built-in analyst is never chosen by its role: it would not do what the prompt says.
    ///
    /// # Errors
    /// Every task that nobody can do.
    pub(crate) fn bind(
        &self,
        asking: &mut [(&mut Workflow, &Loaded)],
    ) -> Result<Bound, ServiceError> {
        let able = self.able();
        let (mut problems, mut model_needed) = (Vec::new(), None);
        let mut bound = Bound { agents: Vec::new(), everybody: BTreeSet::new() };
        for (workflow, from) in asking.iter() {
            let mut agents = Vec::with_capacity(workflow.tasks.len());
            for task in &workflow.tasks {
                let mut find = |wanted: Option<&str>, part: &str| {
                    let Some(wanted) = wanted else { return Vec::new() };
                    let found = self.find(wanted, &able);
                    if found.is_empty() {
                        match self.why_nobody(wanted) {
                            Nobody::Unusable(diagnostic) => problems.push(diagnostic),
                            Nobody::NoModel => {
                                model_needed.get_or_insert_with(|| from.name.clone());
                            }
                            Nobody::Unknown(suggestion) => {
                                let pointer = format!("/tasks/{}/{part}agent", task.name);
                                let message = format!(
                                    "task `{}` asks for `{wanted}`, but no agent has that name or \
                                     role",
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
                    bound.everybody.extend(found.iter().cloned());
                    found
                };
                let undo = task.compensate.as_deref().and_then(TaskKind::wanted);
                agents.push(find(task.wanted(), ""));
                find(undo, "compensate/");
            }
            bound.agents.push(agents);
        }
        problems.dedup();
        if !problems.is_empty() {
            return Err(ServiceError::Invalid {
                what: "cannot find agents for the workflow".into(),
                diagnostics: problems,
            });
        }
        if let Some(name) = model_needed {
            return Err(ServiceError::ModelNeeded(format!("`{name}`")));
        }
        let managed = asking.iter().any(|(workflow, _)| workflow.mode == Mode::Hierarchical);
        if managed {
            bound.everybody.extend(able.for_a_manager());
        }
        let everybody: BTreeMap<AgentName, AgentSpec> = bound
            .everybody
            .iter()
            .filter_map(|name| Some((name.clone(), able.all.get(name)?.clone())))
            .collect();
        for (workflow, _) in asking {
            for agent in asked_in(workflow) {
                let names = self.find(agent, &able);
                if let Some(first) = names.first()
                    && select(agent, &everybody) != names
                {
                    *agent = first.to_string();
                }
            }
        }
        Ok(bound)
    }

    /// Everybody who may be given work when a run that began as `created` goes on: those that it
    /// was bound to, those that the workflows ask for which it may start, and where tasks may be
    /// added while it runs, whoever could be asked then.
    pub(crate) fn needed(&self, created: &RunCreated) -> BTreeSet<AgentName> {
        let able = self.able();
        let named = |binding: &Binding| {
            binding.agents.iter().chain(&binding.undo).cloned().collect::<Vec<_>>()
        };
        let mut needed: BTreeSet<AgentName> = created.bindings.iter().flat_map(named).collect();
        for workflow in created.library.values() {
            for task in &workflow.tasks {
                let kinds = [Some(&task.kind), task.compensate.as_deref()];
                let wanted = kinds.into_iter().flatten().filter_map(TaskKind::wanted);
                needed.extend(wanted.flat_map(|wanted| self.find(wanted, &able)));
            }
        }
        let all = created.library.values().chain([&created.workflow]);
        if all.into_iter().any(|workflow| workflow.mode == Mode::Hierarchical) {
            needed.extend(able.for_a_manager());
        }
        needed
    }

    fn able(&self) -> Able {
        let all: BTreeMap<AgentName, AgentSpec> = self
            .members
            .iter()
            .filter(|(_, member)| member.unusable.is_none())
            .map(|(name, member)| (name.clone(), member.spec.clone()))
            .collect();
        let by_role = all
            .iter()
            .filter(|(name, _)| {
                self.members.get(*name).is_some_and(|m| {
                    m.source != super::Source::Found
                        && (m.calls_model() || m.source != super::Source::BuiltIn)
                })
            })
            .map(|(name, spec)| (name.clone(), spec.clone()))
            .collect();
        Able { all, by_role }
    }

    /// Who can do what is asked of `wanted`, best first.
    fn find(&self, wanted: &str, able: &Able) -> Vec<AgentName> {
        match able.all.contains_key(wanted) {
            true => select(wanted, &able.all),
            false if self.members.contains_key(wanted) => Vec::new(),
            false => select(wanted, &able.by_role),
        }
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

impl Able {
    /// Who may be asked by tasks that a manager adds: anybody by role, and programs.
    fn for_a_manager(&self) -> impl Iterator<Item = AgentName> + '_ {
        let programs = self.all.keys().filter(|name| name.as_str() == COMMAND_AGENT);
        self.by_role.keys().chain(programs).cloned()
    }
}

/// The names and roles that the tasks of `workflow` ask for, where they are written.
fn asked_in(workflow: &mut Workflow) -> impl Iterator<Item = &mut String> {
    workflow.tasks.iter_mut().flat_map(|task| {
        let undo = task.compensate.as_deref_mut();
        [Some(&mut task.kind), undo].into_iter().flatten().filter_map(|kind| match kind {
            TaskKind::Agent { agent, .. } => Some(agent),
            TaskKind::Command { .. } | TaskKind::Workflow { .. } | TaskKind::Approval { .. } => {
                None
            }
        })
    })
}

enum Nobody {
    Unusable(Diagnostic),
    NoModel,
    Unknown(Option<String>),
}
