//! Settings: layers of them, each value with its origin.
//!
//! A flag wins over the environment, that over the project's `.env`, that over the project's file,
//! that over the user's, that over the default. Layers are merged setting by setting.

mod accounts;
mod edit;
mod file;
mod keys;
mod layer;
mod path;
mod section;
mod settings;
mod variables;

pub(crate) use accounts::provider_of;
pub use edit::ConfigScope;
pub(crate) use edit::{set, write_atomically};
pub(crate) use layer::{Layer, Origin};
pub(crate) use section::Draft;
pub(crate) use settings::{
    AgentSettings, KeySource, PermissionSettings, ProviderSettings, Settings,
};

use crate::{
    Environment, ServiceError,
    document::Diagnostic,
    views::{ConfigView, SettingView},
};
use layer::Entry;
use path::KeyPath;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

/// The name of a settings file in its directory.
pub(crate) const FILE: &str = "config.toml";

/// Settings as they were read, by key.
#[derive(Clone)]
pub(crate) struct Config {
    entries: BTreeMap<KeyPath, Entry>,
    settings: Settings,
    /// The process's variables over those of the project's `.env`.
    variables: BTreeMap<String, String>,
    /// Which of them are the process's.
    own_variables: BTreeSet<String>,
    /// The addresses of providers that the user named, in settings, environment or flags.
    own_addresses: BTreeSet<String>,
}

impl fmt::Debug for Config {
    /// The settings alone: a variable may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The files that settings come from.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFiles {
    pub(crate) project: PathBuf,
    pub(crate) user: Option<PathBuf>,
    pub(crate) dot_env: PathBuf,
}

impl ConfigFiles {
    pub(crate) fn of(project: &Path, environment: &Environment) -> Self {
        Self {
            project: project.join(".orchestrator").join(FILE),
            user: environment.user_directory().map(|directory| directory.join(FILE)),
            dot_env: project.join(".env"),
        }
    }
}

impl Config {
    /// Reads every layer.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub(crate) fn load(
        files: &ConfigFiles,
        environment: &Environment,
        flags: &[(String, String)],
    ) -> Result<Self, ServiceError> {
        let mut problems = Vec::new();
        let mut entries = defaults();
        let mut add =
            |found: Result<Vec<Entry>, Vec<Diagnostic>>, entries: &mut Vec<Entry>| match found {
                Ok(found) => entries.extend(found),
                Err(found) => problems.extend(found),
            };
        if let Some(user) = &files.user {
            add(file::read(user, Layer::User), &mut entries);
        }
        add(file::read(&files.project, Layer::Project), &mut entries);
        let names = variables::names(&entries);
        let dot_env: BTreeMap<String, String> = match variables::read_dot_env(&files.dot_env) {
            Ok(variables) => variables.into_iter().collect(),
            Err(found) => {
                add(Err(found), &mut entries);
                BTreeMap::new()
            }
        };
        add(variables::read(&dot_env, Layer::DotEnv, &names), &mut entries);
        add(variables::read(&environment.variables, Layer::Environment, &names), &mut entries);
        add(read_flags(flags), &mut entries);
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let mut variables = dot_env;
        variables.extend(environment.variables.clone());
        let own_addresses = entries
            .iter()
            .filter(|entry| matches!(entry.layer, Layer::User | Layer::Environment | Layer::Flag))
            .filter(|entry| {
                entry.path.fits("providers.*.base-url")
                    || entry.path.fits("providers.*.accounts.*.base-url")
            })
            .filter_map(|entry| entry.value.as_str().map(str::to_owned))
            .collect();
        let own_variables = environment.variables.keys().cloned().collect();
        Ok(Self { own_variables, own_addresses, ..Self::merge(entries, variables)? })
    }

    fn merge(
        mut entries: Vec<Entry>,
        variables: BTreeMap<String, String>,
    ) -> Result<Self, ServiceError> {
        entries.sort_by_key(|entry| entry.layer);
        let mut merged: BTreeMap<KeyPath, Entry> = BTreeMap::new();
        for entry in entries {
            // A key has one place: a stronger layer's replaces whatever a weaker one names.
            if let [section, .., key, _] = &entry.path.0[..]
                && section == "providers"
                && key == "key"
            {
                let prefix = &entry.path.0[..entry.path.0.len() - 1];
                let rival = merged.values().find(|other| {
                    other.path.starts_with(prefix)
                        && other.layer == entry.layer
                        && other.path != entry.path
                });
                if rival.is_some() {
                    let message = format!("`{}` names two places", KeyPath(prefix.to_vec()));
                    return Err(invalid(vec![entry.origin.diagnostic("ORC-0104", message)]));
                }
                merged.retain(|path, _| !path.starts_with(prefix));
            }
            merged.insert(entry.path.clone(), entry);
        }
        for entry in merged.values().filter(|entry| entry.path.0[0] == "prices") {
            // A price with a part missing would count that part as nothing.
            let lacks = ["input", "output"].into_iter().find(|part| {
                let mut needed = entry.path.0[..entry.path.0.len() - 1].to_vec();
                needed.push((*part).to_owned());
                !merged.contains_key(&KeyPath(needed))
            });
            if let Some(part) = lacks {
                let model = KeyPath(entry.path.0[..2].to_vec());
                let message = format!("`{model}` has no `{part}`");
                let hint = "a price needs both `input` and `output`, in USD per million tokens";
                let found = entry.origin.diagnostic("ORC-0104", message);
                return Err(invalid(vec![found.suggest(Some(hint.into()))]));
            }
        }
        for entry in merged.values() {
            let [section, model, key] = &entry.path.0[..] else { continue };
            let other = match (&**section, &**key) {
                ("prices", "batch-input") => "batch-output",
                ("prices", "batch-output") => "batch-input",
                _ => continue,
            };
            let needed = ["prices", model, other].map(str::to_owned).to_vec();
            if !merged.contains_key(&KeyPath(needed)) {
                let model = KeyPath(entry.path.0[..2].to_vec());
                let message = format!("`{model}` has `{key}` and no `{other}`");
                return Err(invalid(vec![entry.origin.diagnostic("ORC-0104", message)]));
            }
        }
        for entry in merged.values().filter(|entry| entry.path.0[0] == "tenant") {
            // Whoever wrote a project does not say what all of the user's work may cost.
            if matches!(entry.layer, Layer::Project | Layer::DotEnv) {
                let message = format!("`{}` is a limit of yours, not of a project", entry.path);
                let mend = format!("orchestrator config set --user {} VALUE", entry.path);
                let found = entry.origin.diagnostic("ORC-0580", message);
                return Err(invalid(vec![found.suggest(Some(mend))]));
            }
        }
        let mut document = Map::new();
        for (path, entry) in &merged {
            insert(&mut document, &path.0, entry.value.clone());
        }
        // Every value was checked on its own, so this holds; if it ever does not, say so.
        let settings = serde_json::from_value(Value::Object(document)).map_err(|error| {
            invalid(vec![Diagnostic::new("ORC-0104", format!("settings do not fit: {error}"))])
        })?;
        let (own_variables, own_addresses) = Default::default();
        Ok(Self { entries: merged, settings, variables, own_variables, own_addresses })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A variable of the process or, where it is not set there, of the project's `.env`.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// Whether that variable is the process's, not only one of the project's `.env`.
    pub(crate) fn is_users_own(&self, name: &str) -> bool {
        self.own_variables.contains(name)
    }

    /// Whether the user, not only the project, named that address of a provider.
    pub(crate) fn user_names(&self, address: &str) -> bool {
        self.own_addresses.contains(address)
    }

    /// Which layer the setting with these names comes from.
    pub(crate) fn layer(&self, names: &[&str]) -> Option<Layer> {
        let path = KeyPath(names.iter().map(|name| (*name).to_owned()).collect());
        self.entries.get(&path).map(|entry| entry.layer)
    }

    /// Whether the setting with these names, or something in its section, is set.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        let path: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.entries.values().any(|entry| entry.path.starts_with(&path))
    }

    /// Where the setting with these names was set, or else something in its section.
    pub(crate) fn origin(&self, names: &[&str]) -> Option<&Origin> {
        let path: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        (1..=path.len()).rev().find_map(|length| {
            let found = self.entries.values().find(|entry| entry.path.starts_with(&path[..length]));
            found.map(|entry| &entry.origin)
        })
    }

    /// All settings, in the order of their keys.
    pub(crate) fn view(&self) -> ConfigView {
        ConfigView {
            schema: "orchestrator.config/v1",
            items: self.entries.values().map(view).collect(),
        }
    }

    /// One setting, or all of a section.
    ///
    /// # Errors
    /// A key that is not known; one that is known and has no value gives none.
    pub(crate) fn get(&self, key: &str) -> Result<ConfigView, ServiceError> {
        let path = known_path(key)?;
        let items = self.entries.values().filter(|entry| entry.path.starts_with(&path.0));
        Ok(ConfigView { schema: "orchestrator.config/v1", items: items.map(view).collect() })
    }
}

/// The key of every setting; `*` stands for a name of the user's own. What only refuses is left out.
pub fn setting_keys() -> impl Iterator<Item = &'static str> {
    keys::SETTINGS
        .iter()
        .filter(|setting| setting.takes != keys::Takes::NoSecret)
        .map(|setting| setting.key)
}

fn view(entry: &Entry) -> SettingView {
    SettingView {
        key: entry.path.to_string(),
        value: entry.value.clone(),
        layer: entry.layer.as_str(),
        origin: entry.origin.to_string(),
    }
}

fn known_path(key: &str) -> Result<KeyPath, ServiceError> {
    let unknown = |suggestion| {
        let message = format!("the setting `{key}` is not known");
        invalid(vec![Diagnostic::new("ORC-0103", message).suggest(suggestion)])
    };
    let path = KeyPath::parse(key)
        .ok_or_else(|| unknown(Some("write it like `defaults.max-parallel`".to_owned())))?;
    if keys::find(&path).is_some() || keys::is_section(&path) {
        Ok(path)
    } else {
        Err(unknown(keys::suggest(&path)))
    }
}

pub(crate) fn invalid(diagnostics: Vec<Diagnostic>) -> ServiceError {
    ServiceError::Invalid { what: "cannot use the settings".into(), diagnostics }
}

fn defaults() -> Vec<Entry> {
    keys::SETTINGS
        .iter()
        .filter_map(|setting| {
            let entry = Entry {
                path: KeyPath::parse(setting.key)?,
                value: Value::String(setting.default?.to_owned()),
                layer: Layer::Default,
                origin: Origin::Default,
            };
            entry.check().ok()
        })
        .collect()
}

fn read_flags(flags: &[(String, String)]) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (key, value) in flags {
        let origin = Origin::Flag(key.clone());
        let entry = match KeyPath::parse(key) {
            Some(path) => {
                let value = Value::String(value.clone());
                Entry { path, value, layer: Layer::Flag, origin }.check()
            }
            None => {
                Err(origin.diagnostic("ORC-0103", "this is not the key of a setting".into()).into())
            }
        };
        match entry {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

fn insert(map: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            map.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = map.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
