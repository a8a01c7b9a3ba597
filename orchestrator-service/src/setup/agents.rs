//! Adding agents to the project's settings, and removing them.

use crate::{
    OrchestratorService, ServiceError,
    config::{Config, ConfigFiles, Draft},
    document::Diagnostic,
    roster::Roster,
    views::AgentsChangeView,
};
use orchestrator_core::{id::AgentName, workflow::did_you_mean};
use orchestrator_store::vault::FileVault;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is not wrong with settings but not there yet: a key, a program, a way to models.
const NOT_YET: [&str; 5] = ["ORC-0516", "ORC-0517", "ORC-0569", "ORC-0570", "ORC-0574"];

/// An agent that is to be added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentOrder {
    /// Its name.
    pub name: String,
    /// What it runs on: a provider of the settings, or such as `claude-code`.
    pub provider: String,
    /// Its model.
    pub model: Option<String>,
    /// Its role; its name otherwise.
    pub role: Option<String>,
    /// `metered` or `own-login`, of a coding CLI.
    pub mode: Option<String>,
    /// Its program with its arguments.
    pub command: Vec<String>,
}

impl OrchestratorService {
    /// Adds an agent to the project's settings, keeping the rest of the file as it is. It is judged before
    /// anything is written; what is only not there yet, such as a key, is told as `note`.
    ///
    /// A service that has read its settings already does not see the change.
    ///
    /// # Errors
    /// A name that is taken or none, settings that do not fit, an unwritable file.
    pub fn agents_add(&self, order: &AgentOrder) -> Result<AgentsChangeView, ServiceError> {
        let files = self.config_files();
        let name = self.agent_name(&order.name)?;
        let before = self.drafted(&files)?;
        let mut draft = Draft::of(&files)?;
        if before.1.settings().agents.contains_key(&name) {
            let message = format!("agent `{name}` is in the settings already");
            let hint = format!(
                "change it with `orchestrator config set agents.{name}.KEY VALUE`, or remove it first"
            );
            let found = Diagnostic::new("ORC-0577", message).suggest(Some(hint));
            return Err(ServiceError::invalid("cannot add the agent", found));
        }
        let text = |value: &String| Value::String(value.clone());
        let mut settings = vec![("provider", text(&order.provider))];
        let others = [("model", &order.model), ("role", &order.role), ("mode", &order.mode)];
        settings.extend(
            others.into_iter().filter_map(|(key, value)| Some((key, text(value.as_ref()?)))),
        );
        if !order.command.is_empty() {
            settings.push(("command", order.command.iter().map(text).collect()));
        }
        draft.add(&name, settings)?;
        self.change_agents("add", name, &files, &draft, &before.0)
    }

    /// Removes an agent from the project's settings, keeping the rest of the file as it is.
    ///
    /// # Errors
    /// An agent that is not in that file, one that others need, an unwritable file.
    pub fn agents_remove(&self, name: &str) -> Result<AgentsChangeView, ServiceError> {
        let files = self.config_files();
        let name = self.agent_name(name)?;
        let mut draft = Draft::of(&files)?;
        let known = draft.agents();
        if !draft.remove(&name) {
            let message = format!("agent `{name}` is not in `{}`", files.project.display());
            let hint = match did_you_mean(&name, known.iter().map(String::as_str)) {
                Some(hint) => hint,
                None if known.is_empty() => {
                    "there are none; `orchestrator list-agents` says where each comes from".into()
                }
                None => format!("there are {}", known.join(", ")),
            };
            let found = Diagnostic::new("ORC-0578", message).suggest(Some(hint));
            return Err(ServiceError::invalid("cannot remove the agent", found));
        }
        let before = self.drafted(&files)?.0;
        self.change_agents("remove", name, &files, &draft, &before)
    }

    fn agent_name(&self, name: &str) -> Result<String, ServiceError> {
        let valid = AgentName::new(name).map_err(|error| ServiceError::Argument {
            what: "the name of the agent",
            given: name.chars().take(40).collect(),
            expected: error.to_string(),
        })?;
        Ok(valid.to_string())
    }

    /// Writes `draft` unless it makes something wrong that was not.
    fn change_agents(
        &self,
        action: &'static str,
        agent: String,
        files: &ConfigFiles,
        draft: &Draft,
        before: &BTreeMap<String, Diagnostic>,
    ) -> Result<AgentsChangeView, ServiceError> {
        let directory =
            tempfile::tempdir().map_err(|error| ServiceError::Internal(error.to_string()))?;
        let drafted =
            ConfigFiles { project: directory.path().join("config.toml"), ..files.clone() };
        draft.write(&drafted.project)?;
        let (after, _) = self.drafted(&drafted)?;
        let fresh = after.iter().find(|(name, found)| {
            !NOT_YET.contains(&found.code)
                && before.get(*name).map(|old| old.code) != Some(found.code)
        });
        if let Some((name, found)) = fresh {
            // The place in a draft is no place that anybody can look at.
            let found = Diagnostic::new(found.code, found.message.clone())
                .suggest(found.suggestion.clone());
            let what = match *name == agent {
                true => format!("cannot {action} agent `{agent}`"),
                false => {
                    format!("cannot {action} agent `{agent}`: `{name}` could not be used then")
                }
            };
            return Err(ServiceError::invalid(what, found));
        }
        self.place().prepare()?;
        draft.write(&files.project)?;
        let note = after.get(&agent).map(|found| {
            let help = found.suggestion.as_ref().map(|help| format!("; {help}"));
            format!("{}: {}{}", found.code, found.message, help.unwrap_or_default())
        });
        Ok(AgentsChangeView {
            schema: "orchestrator.agents-change/v1",
            action,
            agent,
            file: files.project.display().to_string(),
            note,
        })
    }

    /// What is wrong with each agent by the settings of `files`.
    fn drafted(
        &self,
        files: &ConfigFiles,
    ) -> Result<(BTreeMap<String, Diagnostic>, Config), ServiceError> {
        let config = Config::load(files, self.environment(), self.setting_flags())?;
        let kept = || self.vault_if_any().map_or_else(|| Ok(Vec::new()), FileVault::list);
        let roster = Roster::new(&config, &kept).with_programs(self.environment(), &config);
        let wrong = roster
            .members()
            .into_iter()
            .filter_map(|member| Some((member.spec.name.to_string(), member.unusable.clone()?)));
        Ok((wrong.collect(), config))
    }
}
