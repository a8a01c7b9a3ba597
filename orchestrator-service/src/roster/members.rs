//! Who can be given work, by the settings and by what is there without any.

use super::{
    BUILTIN, CODING, Member, Program, Provider, Roster, Source, USUAL, is_coding,
    permission::{self, WrongRule},
    rule::Named,
};
use crate::{
    config::{AgentSettings, Config, PermissionSettings},
    document::Diagnostic,
};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    id::{AgentName, ProviderName},
    task::COMMAND_AGENT,
    workflow::did_you_mean,
};
use std::sync::Arc;

/// What is said of a rule that is none, where it stands.
fn wrong_rule(name: &str, found: WrongRule, config: &Config) -> Diagnostic {
    let WrongRule { in_defaults, list, error } = found;
    let path: &[&str] = match in_defaults {
        true => &["defaults", "permissions", list],
        false => &["agents", name, "permissions", list],
    };
    let message = format!("{}: {error}", path.join("."));
    let found = match config.origin(path) {
        Some(origin) => origin.diagnostic("ORC-0678", message),
        None => Diagnostic::new("ORC-0678", message),
    };
    found.suggest(error.suggestion)
}

impl Roster {
    pub(super) fn add(&mut self, name: &str, role: Role, provider: &str, source: Source) {
        if let (Ok(name), Ok(provider)) = (AgentName::new(name), ProviderName::new(provider)) {
            let spec = AgentSpec::new(name.clone(), role, provider);
            self.members.insert(name, Member { spec, source, unusable: None, program: None });
        }
    }

    pub(super) fn configure(&mut self, name: &str, settings: &AgentSettings, config: &Config) {
        let Ok(agent) = AgentName::new(name) else { return };
        // An agent that is named like a role has it; `[agents.dev]` need not say so.
        let role = settings.role.clone().unwrap_or_else(|| Role::from(name.to_owned()));
        let usual = self.usual_provider();
        let own = settings.provider.as_deref();
        // What runs on no provider of the settings has no models to choose from.
        let chooses = own.is_none_or(|own| self.provider(own).is_some());
        let named = settings
            .model
            .as_deref()
            .filter(|_| chooses)
            .map_or(Named::Model, |model| self.named(name, model, own, config));
        let (route, wrong) = match named {
            Named::Rule(route) => (Some(Arc::new(route)), None),
            Named::Wrong(wrong) => (None, Some(*wrong)),
            Named::Model => (None, None),
        };
        let first = route.as_ref().and_then(|route| route.models.first());
        let by_rule = first.map(|model| model.provider.as_str());
        let provider = by_rule.or(own).or(usual.as_deref());
        let valid = provider.and_then(|provider| ProviderName::new(provider).ok());
        let fallback = ProviderName::new("none").ok();
        let Some(provider_name) = valid.clone().or(fallback) else { return };
        let mut spec = AgentSpec::new(agent.clone(), role, provider_name);
        spec.model = first.map(|model| model.model.clone()).or_else(|| settings.model.clone());
        spec.join = settings.join.unwrap_or(true);
        spec.instructions = settings.instructions.clone();
        spec.max_tokens = settings.max_tokens;
        spec.max_parallel = settings.max_parallel;
        spec.fall_back =
            settings.fall_back.iter().filter_map(|other| AgentName::new(other).ok()).collect();
        let judged = self.judge(name, settings, provider, &mut spec, config);
        let unusable = wrong.or(judged);
        let program = match provider {
            Some(COMMAND_AGENT) => Some(Program::of(settings, &self.routes)),
            Some(provider) => {
                Program::of_coding(settings, provider, &self.routes, spec.permissions.as_deref())
            }
            None => None,
        };
        spec.route = route;
        self.members.insert(agent, Member { spec, source: Source::Config, unusable, program });
    }

    /// Completes the specification, or says why the agent cannot work.
    fn judge(
        &self,
        name: &str,
        settings: &AgentSettings,
        provider: Option<&str>,
        spec: &mut AgentSpec,
        config: &Config,
    ) -> Option<Diagnostic> {
        let wrong = |key: &str, code: &'static str, message: String, hint: Option<String>| {
            let found = match config.origin(&["agents", name, key]) {
                Some(origin) => origin.diagnostic(code, message),
                None => Diagnostic::new(code, message),
            };
            Some(found.suggest(hint))
        };
        if name == COMMAND_AGENT {
            let message = format!("`{name}` runs programs and cannot be another agent");
            return wrong("role", "ORC-0518", message, Some("give the agent another name".into()));
        }
        let Some(provider) = provider else {
            let message = format!("agent `{name}` has no `provider`, and no key was found");
            let hint = "set ANTHROPIC_API_KEY, OPENAI_API_KEY, DEEPSEEK_API_KEY or GEMINI_API_KEY, \
                        or add a [providers] entry";
            return wrong("provider", "ORC-0518", message, Some(hint.into()));
        };
        if permission::has_tools(provider) {
            match permission::read(&settings.permissions, config) {
                Ok(permissions) => spec.permissions = permissions.map(Arc::new),
                Err(found) => return Some(wrong_rule(name, found, config)),
            }
        } else if settings.permissions != PermissionSettings::default() {
            let message = format!(
                "agent `{name}` has `permissions`, and what runs on `{provider}` has no tools that \
                 they could be about"
            );
            let hint = "remove them: they are for coding CLIs and other agents with tools";
            return wrong("permissions", "ORC-0519", message, Some(hint.into()));
        }
        if is_coding(provider) {
            return self.judge_coding(name, settings, provider, spec, &wrong);
        }
        if settings.mode.as_deref() == Some("own-login") {
            let message =
                format!("agent `{name}` has `mode = \"own-login\"`, which is for coding CLIs only");
            return wrong("mode", "ORC-0519", message, Some("remove `mode`".into()));
        }
        for other in &settings.fall_back {
            let known = config.settings().agents.contains_key(other)
                || AgentName::new(other).is_ok_and(|other| self.members.contains_key(&other));
            if !known {
                let message = format!("agent `{name}` falls back to `{other}`, which there is not");
                let names = config.settings().agents.keys().map(String::as_str);
                return wrong("fall-back", "ORC-0511", message, did_you_mean(other, names));
            }
        }
        if provider == COMMAND_AGENT {
            if settings.command.first().is_none_or(String::is_empty) {
                let message = format!("agent `{name}` runs a program, and no `command` names it");
                let hint = format!("agents.{name}.command = [\"PROGRAM\", \"ARGUMENT\"]");
                return wrong("provider", "ORC-0518", message, Some(hint));
            }
            let unknown =
                settings.accounts.iter().find(|account| !self.providers.contains_key(*account));
            return unknown.and_then(|account| {
                let message =
                    format!("agent `{name}` may call `{account}`, which is no provider here");
                let names = self.providers.keys().map(String::as_str);
                wrong("accounts", "ORC-0515", message, did_you_mean(account, names))
            });
        }
        let for_programs = [
            ("arguments", settings.arguments.is_empty()),
            ("command", settings.command.is_empty()),
            ("models", settings.models.is_empty()),
            ("accounts", settings.accounts.is_empty()),
        ];
        if let Some((key, _)) = for_programs.into_iter().find(|(_, is_empty)| !is_empty) {
            let message = format!(
                "agent `{name}` has `{key}`, which is for programs, and runs on `{provider}`"
            );
            let hint = format!("remove `{key}`, or set agents.{name}.provider to `command`");
            return wrong(key, "ORC-0518", message, Some(hint));
        }
        if provider == BUILTIN {
            if matches!(spec.role, Role::Own(_)) {
                let message =
                    format!("agent `{name}` is built in, but there is no analyst for its role");
                let hint = "give it one of the roles pm, dev, qa, security and docs".to_owned();
                return wrong("role", "ORC-0518", message, Some(hint));
            }
            return None;
        }
        if CODING.contains(&provider) {
            let message = format!("agents on `{provider}` are not offered yet");
            let hint = "use a model provider such as `anthropic`, or a program of your own: \
                        `provider = \"command\"`";
            return wrong("provider", "ORC-0514", message, Some(hint.into()));
        }
        match self.provider(provider) {
            None => {
                let message =
                    format!("agent `{name}` runs on `{provider}`, which is no provider here");
                let names = self.names();
                let names = names.iter().map(String::as_str).chain([BUILTIN]);
                let hint = did_you_mean(provider, names)
                    .unwrap_or_else(|| format!("add [providers.{provider}] with its `kind`"));
                wrong("provider", "ORC-0515", message, Some(hint))
            }
            Some(Provider { config: Err(reason), .. }) => Some((**reason).clone()),
            Some(Provider { model, .. }) => {
                spec.model = spec.model.clone().or_else(|| model.map(str::to_owned));
                if spec.model.is_some() {
                    return None;
                }
                let message = format!("agent `{name}` has no `model`");
                let hint = format!("orchestrator config set agents.{name}.model NAME");
                wrong("model", "ORC-0518", message, Some(hint))
            }
        }
    }

    /// The provider of agents that name none: the only one, or the first that was found.
    pub(super) fn usual_provider(&self) -> Option<String> {
        let found = USUAL.iter().find(|usual| {
            self.providers.get(usual.name).is_some_and(|provider| provider.found_by.is_some())
        });
        match found {
            Some(usual) => Some(usual.name.to_owned()),
            None => {
                let mut names = self.names().into_iter();
                names.next().filter(|_| names.next().is_none())
            }
        }
    }

    /// One agent for each known role that has none: like the first agent of the settings that calls a
    /// model, or else is a program, or else on the usual provider.
    pub(super) fn add_defaults(&mut self) {
        let of_config =
            |member: &&Member| member.source == Source::Config && member.unusable.is_none();
        let able = || self.members.values().filter(of_config);
        let chosen = able().find(|member| member.calls_model());
        let chosen = chosen.or_else(|| able().find(|member| member.program.is_some()));
        let (provider, model, route, source, program) = match chosen {
            Some(member) => {
                let Member { spec, program, .. } = member;
                let (provider, model) = (spec.provider.clone(), spec.model.clone());
                (provider, model, spec.route.clone(), Source::Config, program.clone())
            }
            None => {
                let Some(name) = self.usual_provider() else { return };
                let Some(Provider { config: Ok(_), model: Some(model), found_by, .. }) =
                    self.provider(&name)
                else {
                    return;
                };
                let Ok(name) = ProviderName::new(&name) else { return };
                let source = if found_by.is_some() { Source::Environment } else { Source::Config };
                (name, Some((*model).to_owned()), None, source, None)
            }
        };
        for mut spec in AgentSpec::defaults(&provider) {
            let taken = self.members.values().any(|member| {
                member.spec.name == spec.name
                    || (member.source == Source::Config && member.spec.role == spec.role)
            });
            if !taken {
                spec.model = model.clone();
                spec.route = route.clone();
                let program = program.clone();
                let member = Member { spec, source, unusable: None, program };
                self.members.insert(member.spec.name.clone(), member);
            }
        }
    }
}
