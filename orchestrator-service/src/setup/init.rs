//! Setting a project up: settings from what is found on the machine.

use super::found::{coding_programs, keys};
use crate::{OrchestratorService, ServiceError, config::write_atomically, views::InitView};
use std::fmt::Write;

/// How a project is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitOptions {
    /// Replaces settings that are there.
    pub force: bool,
}

impl OrchestratorService {
    /// Sets the project up: writes `.orchestrator/config.toml` from the keys that are found, and
    /// the `.gitignore` that keeps the state out of version control.
    ///
    /// # Errors
    /// Settings that are there already, an unwritable directory.
    pub fn init(&self, options: &InitOptions) -> Result<InitView, ServiceError> {
        let file = self.config_files().project;
        if file.exists() && !options.force {
            return Err(ServiceError::SetUpAlready(file));
        }
        let keys = keys(self);
        let ignore = self.place().directory().join(".gitignore");
        let mut written = Vec::new();
        if !ignore.exists() {
            written.push(ignore.display().to_string());
        }
        self.place().prepare()?;
        write_atomically(&file, settings(&keys).as_bytes())
            .map_err(|source| ServiceError::SettingsUnwritable { file: file.clone(), source })?;
        written.push(file.display().to_string());
        let mut found: Vec<String> =
            keys.iter().map(|usual| format!("{} for {}", usual.variable, usual.kind)).collect();
        found.extend(coding_programs(self.environment()).into_iter().map(|(name, path)| {
            format!("{name} at {} (not offered as an agent yet)", path.display())
        }));
        let mut next = vec!["orchestrator execute --task-type audit".to_owned()];
        if !keys.is_empty() {
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
# kind = \"anthropic\"                         # anthropic | openai-chat | deepseek | ollama
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
# usd-per-run = 5.00                         # recorded and shown; enforced by a later version

[defaults]
max-parallel = 4                             # the most attempts of a run at once
# timeout = \"30m\"                            # of an attempt whose task does not say
";

fn settings(keys: &[&super::found::Usual]) -> String {
    let mut text = HEAD.to_owned();
    for usual in keys {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[providers.{}]\nkind = \"{}\"\nkey = {{ env = \"{}\" }}\n",
            usual.name, usual.kind, usual.variable
        );
    }
    match keys.first() {
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
    text.push_str(TAIL);
    text
}
