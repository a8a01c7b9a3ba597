//! Setting a project up: settings from what is found on the machine.

use super::found::{Usual, coding_programs, keys};
use crate::{
    Environment, OrchestratorService, ServiceError,
    config::write_atomically,
    roster::{USUAL, found_for},
    views::InitView,
};
use orchestrator_core::workflow::did_you_mean;
use std::{fmt::Write, path::PathBuf};

/// How a project is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitOptions {
    /// Replaces settings that are there.
    pub force: bool,
    /// What the agents run on: the name of one of [`SetupChoices::providers`], whether or not its
    /// key is there yet, or [`NO_PROVIDER`]. None takes the first whose key was found.
    pub provider: Option<String>,
}

/// The name of the choice to use no model.
pub const NO_PROVIDER: &str = "builtin";

/// What can be chosen when a project is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupChoices {
    /// Where the settings are written.
    pub file: PathBuf,
    /// Whether there are settings already.
    pub is_set_up: bool,
    /// The providers in the order in which they are preferred, those whose key was found first.
    pub providers: Vec<ProviderChoice>,
}

/// A provider that the agents can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderChoice {
    /// Its name in the settings.
    pub name: &'static str,
    /// The variable that holds its key.
    pub variable: &'static str,
    /// The model that the agents use there unless they are told otherwise.
    pub model: &'static str,
    /// Whether the variable is set.
    pub found: bool,
}

impl OrchestratorService {
    /// What [`OrchestratorService::init`] can be asked for here.
    pub fn setup_choices(&self) -> SetupChoices {
        let keys = keys(self);
        let choice = |usual: &'static Usual| ProviderChoice {
            name: usual.name,
            variable: usual.variable,
            model: usual.model,
            found: keys.contains(&usual),
        };
        // A second variable for a kind is no choice of its own unless it is the one that is set.
        let offered = USUAL.iter().enumerate().filter(|(at, usual)| {
            keys.contains(usual) || USUAL[..*at].iter().all(|other| other.kind != usual.kind)
        });
        let mut providers: Vec<ProviderChoice> = offered.map(|(_, usual)| choice(usual)).collect();
        providers.sort_by_key(|choice| !choice.found);
        let file = self.config_files().project;
        SetupChoices { is_set_up: file.exists(), file, providers }
    }

    /// The providers to write down, that of the agents first.
    fn chosen(
        &self,
        keys: &[&'static Usual],
        wanted: Option<&str>,
    ) -> Result<Vec<&'static Usual>, ServiceError> {
        let Some(wanted) = wanted else { return Ok(keys.to_vec()) };
        if wanted == NO_PROVIDER {
            return Ok(Vec::new());
        }
        let Some(first) = USUAL.iter().find(|usual| usual.name == wanted) else {
            let names = USUAL.iter().map(|usual| usual.name).chain([NO_PROVIDER]);
            let hint = did_you_mean(wanted, names.clone());
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(ServiceError::Argument {
                what: "the provider",
                given: wanted.chars().take(40).collect(),
                expected: format!("it is one of {}{hint}", names.collect::<Vec<_>>().join(", ")),
            });
        };
        let others = keys.iter().copied().filter(|usual| *usual != first);
        Ok([first].into_iter().chain(others).collect())
    }

    /// Sets the project up: writes `.orchestrator/config.toml` from the keys that are found, and
    /// the `.gitignore` that keeps the state out of version control.
    ///
    /// # Errors
    /// Settings that are there already, an unknown provider, an unwritable directory.
    pub fn init(&self, options: &InitOptions) -> Result<InitView, ServiceError> {
        let file = self.config_files().project;
        if file.exists() && !options.force {
            return Err(ServiceError::SetUpAlready(file));
        }
        let keys = keys(self);
        let chosen = self.chosen(&keys, options.provider.as_deref())?;
        let ignore = self.place().directory().join(".gitignore");
        let mut written = Vec::new();
        if !ignore.exists() {
            written.push(ignore.display().to_string());
        }
        self.place().prepare()?;
        write_atomically(&file, settings(&chosen, &keys, self.environment()).as_bytes())
            .map_err(|source| ServiceError::SettingsUnwritable { file: file.clone(), source })?;
        written.push(file.display().to_string());
        let mut found: Vec<String> =
            keys.iter().map(|usual| format!("{} for {}", usual.variable, usual.kind)).collect();
        let programs = coding_programs(self.environment());
        found.extend(
            programs
                .iter()
                .map(|(adapter, path)| format!("{} at {}", adapter.provider(), path.display())),
        );
        let mut next = vec!["orchestrator execute --task-type audit".to_owned()];
        for missing in chosen.iter().filter(|usual| !keys.contains(usual)) {
            next.push(format!("export {}=...", missing.variable));
        }
        if !chosen.is_empty() {
            next.push("orchestrator execute \"Say what to build\" --dry-run".into());
        }
        next.push("orchestrator doctor".into());
        Ok(InitView {
            schema: "orchestrator.init/v1",
            project: self.project().display().to_string(),
            written,
            found,
            next,
        })
    }
}

const HEAD: &str = "\
# Settings of this project. Weaker than flags, ORCHESTRATOR_* variables and `.env`; stronger than
# your own settings. `orchestrator config show --origin` says where each value comes from.
";

const NO_KEY: &str = "
# No key was found. The built-in analysts work without one: orchestrator execute --task-type audit
# With a key, or with a model server of your own:
#
# [providers.anthropic]
# kind = \"anthropic\"        # anthropic | openai-responses | openai-chat | gemini | deepseek | ollama
# key = { env = \"ANTHROPIC_API_KEY\" }        # the name of a variable, never the key itself
#
# [providers.local]
# kind = \"openai-chat\"
# base-url = \"http://127.0.0.1:8000/v1\"
#
# [agents.dev]                               # the other roles use its provider and model
# provider = \"local\"
# model = \"the-model\"
";

const TAIL: &str = "
# [budget]
# usd-per-run = 5.00                         # the most that a run may cost, with what it starts

[defaults]
max-parallel = 4                             # the most attempts of a run at once
# timeout = \"30m\"                            # of an attempt whose task does not say
";

fn settings(chosen: &[&Usual], keys: &[&Usual], environment: &Environment) -> String {
    let mut text = HEAD.to_owned();
    for usual in chosen {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[providers.{}]\nkind = \"{}\"\nkey = {{ env = \"{}\" }}\n",
            usual.name, usual.kind, usual.variable
        );
    }
    match chosen.first() {
        Some(first) => {
            let _ = write!(
                text,
                "\n# The roles pm, qa, security and docs use the same provider and model unless they have a \
                 section.\n[agents.dev]\nrole = \"dev\"\nprovider = \"{}\"\nmodel = \"{}\"\n",
                first.name, first.model
            );
        }
        None => text.push_str(NO_KEY),
    }
    text.push_str(&coding(chosen, keys, environment));
    text.push_str(TAIL);
    text
}

/// The sections of the coding CLIs that were found: those that a chosen key can meter, and the others for
/// the user to decide.
fn coding(chosen: &[&Usual], keys: &[&Usual], environment: &Environment) -> String {
    let mut text = String::new();
    let mut metered = Vec::new();
    for usual in chosen.iter().filter(|usual| keys.contains(usual)) {
        for adapter in found_for(usual.kind, environment) {
            let name = adapter.provider();
            if metered.contains(&name) {
                continue;
            }
            metered.push(name);
            let _ = write!(
                text,
                "\n# Works when it is named: `--agent dev={name}`. Its calls are metered.\n\
                 [agents.{name}]\nprovider = \"{name}\"\nmodel = \"{}\"\naccounts = [\"{}\"]\n",
                usual.model, usual.name
            );
        }
    }
    let found = coding_programs(environment);
    let others = found.iter().map(|(adapter, _)| adapter.provider());
    for name in others.filter(|name| !metered.contains(name)) {
        let _ = write!(
            text,
            "\n# `{name}` is on PATH. To let it work with your own login, where a limit may be passed by a turn:\n\
             # [agents.{name}]\n# provider = \"{name}\"\n# mode = \"own-login\"\n"
        );
    }
    text
}
