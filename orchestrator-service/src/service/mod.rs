//! The service: one project, opened lazily.

mod opened;
mod refs;

pub(crate) use opened::Opened;
pub(crate) use refs::LATEST;

use crate::{
    ConfigScope, Environment, OpenOptions, ServiceError,
    cassette::Replayed,
    clock::{now, parse_date},
    config::{self, Config, ConfigFiles},
    credentials::KnownSecrets,
    owner::Owner,
    programs::Access,
    project::Project,
    roster::Roster,
    telemetry::Telemetry,
    templates::Catalogue,
    views::ConfigView,
    work::Work,
};
use orchestrator_core::time::{Timestamp, parse_duration};
use orchestrator_gateway::route::Joins;
use orchestrator_store::vault::FileVault;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Everything that a front-end can ask for, about one project.
///
/// Opening reads nothing but directories; settings and the store are opened when first needed.
/// A value is cheap to clone; clones share all state. Calls that touch the store need a tokio
/// runtime around them.
#[derive(Clone)]
pub struct OrchestratorService {
    inner: Arc<Inner>,
    /// What is in the place of models, for this clone and those that are made of it.
    replayed: Option<Arc<Replayed>>,
    /// Whether worktrees begin with what the project has not committed.
    includes_uncommitted: bool,
}

struct Inner {
    environment: Environment,
    options: OpenOptions,
    project: Project,
    owner: Owner,
    config: OnceLock<Config>,
    roster: OnceLock<Roster>,
    opened: OnceLock<Opened>,
    vault: OnceLock<Option<FileVault>>,
    joins: Joins,
    telemetry: OnceLock<Telemetry>,
    access: Mutex<Option<Arc<Access>>>,
    work: Work,
}

impl fmt::Debug for OrchestratorService {
    /// The project alone: the environment may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrchestratorService").field("project", &self.project()).finish()
    }
}

impl OrchestratorService {
    /// Finds the project.
    ///
    /// # Errors
    /// A path that is not a directory, or whose name cannot be used.
    pub fn open(environment: Environment, options: OpenOptions) -> Result<Self, ServiceError> {
        let project = Project::find(&environment, options.path.as_deref())?;
        let inner = Inner {
            environment,
            options,
            project,
            owner: Owner::me(),
            config: OnceLock::new(),
            roster: OnceLock::new(),
            opened: OnceLock::new(),
            vault: OnceLock::new(),
            joins: Joins::default(),
            telemetry: OnceLock::new(),
            access: Mutex::default(),
            work: Work::default(),
        };
        Ok(Self { inner: Arc::new(inner), replayed: None, includes_uncommitted: false })
    }

    /// The project's directory: absolute.
    pub fn project(&self) -> &Path {
        self.inner.project.root()
    }

    /// The same project, with `replayed` in the place of all models.
    pub(crate) fn with_replayed(&self, replayed: Replayed) -> Self {
        Self { replayed: Some(Arc::new(replayed)), ..self.clone() }
    }

    /// The same project, whose worktrees begin with what is not committed if `includes` says so.
    pub(crate) fn including_uncommitted(self, includes: bool) -> Self {
        Self { includes_uncommitted: includes, ..self }
    }

    pub(crate) fn includes_uncommitted(&self) -> bool {
        self.includes_uncommitted
    }

    pub(crate) fn replayed(&self) -> Option<&Replayed> {
        self.replayed.as_deref()
    }

    pub(crate) fn place(&self) -> &Project {
        &self.inner.project
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    pub(crate) fn options(&self) -> &OpenOptions {
        &self.inner.options
    }

    /// The secrets that this process has read so far.
    pub(crate) fn known(&self) -> &KnownSecrets {
        &self.inner.options.known
    }

    /// The user's credential store, where there is a place for one.
    pub(crate) fn vault_if_any(&self) -> Option<&FileVault> {
        self.inner.vault.get_or_init(|| self.make_vault()).as_ref()
    }

    /// The requests of this service to models that are under way.
    pub(crate) fn joins(&self) -> &Joins {
        &self.inner.joins
    }

    /// The access of programs to models, made by `make` when there is none yet.
    pub(crate) fn shared_access(
        &self,
        make: impl FnOnce() -> Result<Access, ServiceError>,
    ) -> Result<Arc<Access>, ServiceError> {
        let mut access = self.inner.access.lock().unwrap_or_else(PoisonError::into_inner);
        match &*access {
            Some(access) => Ok(access.clone()),
            None => Ok(access.insert(Arc::new(make()?)).clone()),
        }
    }

    /// What was set up of workspaces, checks and landing.
    pub(crate) fn work(&self) -> &Work {
        &self.inner.work
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.inner.owner
    }

    pub(crate) fn config_files(&self) -> ConfigFiles {
        ConfigFiles::of(self.project(), self.environment())
    }

    /// The settings that were given besides the files.
    pub(crate) fn setting_flags(&self) -> &[(String, String)] {
        &self.inner.options.settings
    }

    /// The settings in force, read once.
    pub(crate) fn settings(&self) -> Result<&Config, ServiceError> {
        if let Some(config) = self.inner.config.get() {
            return Ok(config);
        }
        let files = self.config_files();
        let config = Config::load(&files, self.environment(), &self.inner.options.settings)?;
        self.known().learn(crate::roster::keys_in_variables(&config));
        Ok(self.inner.config.get_or_init(|| config))
    }

    /// Everybody who can be given work. In a replay no key is looked for.
    pub(crate) fn roster(&self) -> Result<&Roster, ServiceError> {
        let config = self.settings()?;
        if let Some(replayed) = &self.replayed {
            let agents = &replayed.cassette.header().agents;
            let project = self.project();
            return Ok(replayed.roster.get_or_init(|| {
                Roster::replaying(config, agents).with_tokenizers(config, project)
            }));
        }
        let kept = || self.vault_if_any().map_or_else(|| Ok(Vec::new()), FileVault::list);
        let project = self.project();
        Ok(self.inner.roster.get_or_init(|| {
            let roster = Roster::new(config, &kept).with_tokenizers(config, project);
            roster.with_programs(self.environment(), config)
        }))
    }

    /// All templates and workflows that can be named.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, ServiceError> {
        let user = self.environment().user_directory().map(|user| user.join("workflows"));
        let project = self.place().directory().join("workflows");
        Ok(Catalogue::read(&project, user.as_deref(), self.roster()?.has_model()))
    }

    /// The store, made when it is not there yet.
    pub(crate) fn store(&self) -> Result<&Opened, ServiceError> {
        if let Some(opened) = self.inner.opened.get() {
            return Ok(opened);
        }
        self.place().prepare()?;
        let opened = Opened::open(&self.place().state())?;
        Ok(self.inner.opened.get_or_init(|| opened))
    }

    /// The directory for what runs in the background say: made when it is not there yet, and kept
    /// out of version control like all of the state.
    ///
    /// # Errors
    /// A state directory that cannot be made.
    pub fn background(&self) -> Result<PathBuf, ServiceError> {
        self.place().prepare()?;
        let directory = self.place().state().join("background");
        std::fs::create_dir_all(&directory).map_err(|error| ServiceError::State {
            directory: directory.clone(),
            reason: error.to_string(),
        })?;
        Ok(directory)
    }

    /// The store, if the project has one: looking at nothing writes nothing.
    pub(crate) fn store_if_any(&self) -> Result<Option<&Opened>, ServiceError> {
        if self.inner.opened.get().is_none() && !self.place().has_state() {
            return Ok(None);
        }
        self.store().map(Some)
    }

    /// All settings in force, with their origins.
    ///
    /// # Errors
    /// Invalid settings.
    pub fn config(&self) -> Result<ConfigView, ServiceError> {
        Ok(self.settings()?.view())
    }

    /// One setting, or all below a section; none when nobody set it.
    ///
    /// # Errors
    /// An unknown key, invalid settings.
    pub fn config_get(&self, key: &str) -> Result<ConfigView, ServiceError> {
        self.settings()?.get(key)
    }

    /// Writes one setting, keeping the rest of the file as it is; returns the file.
    ///
    /// A service that has read its settings already does not see the change.
    ///
    /// # Errors
    /// An unknown key, a value that does not fit, an unwritable file.
    pub fn config_set(
        &self,
        key: &str,
        value: &str,
        scope: ConfigScope,
    ) -> Result<PathBuf, ServiceError> {
        config::set(&self.config_files(), scope, key, value)
    }

    /// What observes the runs that are driven here.
    pub(crate) fn telemetry_if_any(&self) -> Option<&Telemetry> {
        self.inner.telemetry.get()
    }

    pub(crate) fn set_telemetry(&self, telemetry: Telemetry) {
        // One that is there has seen what went before, and stays.
        let _ = self.inner.telemetry.set(telemetry);
    }

    /// The instant that `text` names: a duration before now such as `7d`, or a date such as
    /// `2026-01-31` (midnight in UTC) or `2026-01-31T09:30:00Z`.
    ///
    /// # Errors
    /// Text that is neither.
    pub fn since(&self, text: &str) -> Result<Timestamp, ServiceError> {
        if let Ok(before) = parse_duration(text) {
            let before = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
            return Ok(Timestamp(now().0.saturating_sub(before)));
        }
        parse_date(text.trim()).ok_or_else(|| ServiceError::Argument {
            what: "the time",
            given: text.chars().take(40).collect(),
            expected: "write how long ago, such as `7d` or `12h`, or a date such as `2026-01-31`"
                .into(),
        })
    }
}
