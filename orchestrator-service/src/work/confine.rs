//! How what agents and checks run is confined, as the settings say.

use crate::{OrchestratorService, ServiceError, config::AgentSettings};
use orchestrator_core::id::AgentName;
#[cfg(target_os = "linux")]
use orchestrator_workspace::sandbox::{self, Container, Dagger, Engine, Landlock};
use orchestrator_workspace::sandbox::{
    Confinement, Limits, Network, Off, Reads, Sandbox, SandboxError,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

/// The mode in which nothing is confined.
const OFF: &str = "off";
/// The mode in which the strongest sandbox is taken that holds here.
const AUTO: &str = "auto";

impl OrchestratorService {
    /// What confines programs of this project. It is found, and has proved itself, once; that takes
    /// a moment, in which the thread waits.
    ///
    /// # Errors
    /// [`ServiceError::Sandbox`] when there is none that holds: then nothing may run in its place.
    pub(crate) fn sandbox(&self) -> Result<Arc<dyn Sandbox>, ServiceError> {
        let mode = self.settings()?.settings().sandbox.mode.as_deref();
        self.sandbox_by(mode.unwrap_or(AUTO))
    }

    /// What confines the programs of an agent; none when they are not confined.
    ///
    /// # Errors
    /// As for [`OrchestratorService::sandbox`].
    pub(super) fn sandbox_of(
        &self,
        agent: Option<&AgentName>,
    ) -> Result<Option<Arc<dyn Sandbox>>, ServiceError> {
        let settings = self.settings()?.settings();
        let mode = settings.sandbox.mode.as_deref().unwrap_or(AUTO);
        let own = agent.and_then(|agent| settings.agents.get(agent.as_str()));
        let mode = match (own.and_then(|own| own.sandbox.as_deref()), mode) {
            (Some(OFF), _) | (None, OFF) => return Ok(None),
            (Some(_), OFF) => AUTO,
            (_, mode) => mode,
        };
        self.sandbox_by(mode).map(Some)
    }

    fn sandbox_by(&self, mode: &str) -> Result<Arc<dyn Sandbox>, ServiceError> {
        let mut made = self.work().sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sandbox) = made.get(mode) {
            return Ok(sandbox.clone());
        }
        let sandbox = self.find_sandbox(mode)?;
        made.insert(mode.to_owned(), sandbox.clone());
        Ok(sandbox)
    }

    #[cfg(target_os = "linux")]
    fn find_sandbox(&self, mode: &str) -> Result<Arc<dyn Sandbox>, ServiceError> {
        let unavailable = |what: String| ServiceError::Sandbox(SandboxError::Unavailable(what));
        if mode == OFF {
            return Ok(Arc::new(Off));
        }
        let launcher = self.options().launcher.clone().ok_or_else(|| {
            unavailable("this program was set up without a launcher of sandboxes".into())
        })?;
        let program = |name: &str| {
            let found = self.environment().programs(name).into_iter().next();
            found.ok_or_else(|| unavailable(format!("`{name}` is not on PATH")))
        };
        let image = || {
            let image = self.settings()?.settings().sandbox.image.clone();
            image.ok_or_else(|| {
                let what = format!("`{mode}` needs an image: set `sandbox.image`");
                ServiceError::Sandbox(SandboxError::Invalid(what))
            })
        };
        Ok(match mode {
            "landlock" => Arc::new(Landlock::new(launcher)),
            "bubblewrap" => Arc::new(Landlock::new(launcher).in_bubblewrap(program("bwrap")?)),
            "docker" => {
                Arc::new(Container::new(launcher, Engine::Docker, program("docker")?, image()?))
            }
            "podman" => {
                Arc::new(Container::new(launcher, Engine::Podman, program("podman")?, image()?))
            }
            "dagger" => Arc::new(Dagger::new(launcher, program("dagger")?, image()?)),
            _ => Arc::from(sandbox::auto(&launcher, program("bwrap").ok())?),
        })
    }

    /// Nothing but nothing is known to confine programs on this system.
    #[cfg(not(target_os = "linux"))]
    fn find_sandbox(&self, mode: &str) -> Result<Arc<dyn Sandbox>, ServiceError> {
        if mode == OFF {
            return Ok(Arc::new(Off));
        }
        let what = format!("nothing is known that does so on {}", std::env::consts::OS);
        Err(SandboxError::Unavailable(what).into())
    }

    /// Whom the programs of an agent may talk to. `gateway` is the port of the model gateway, for an
    /// agent that has one.
    pub(super) fn network_of(
        &self,
        agent: &AgentName,
        gateway: Option<u16>,
    ) -> Result<Network, ServiceError> {
        let settings = self.settings()?.settings();
        let own = settings.agents.get(agent.as_str()).and_then(|own| own.network.as_deref());
        let name = own.or(settings.sandbox.network.as_deref()).unwrap_or("gateway");
        Ok(network(name, &settings.sandbox.hosts, gateway))
    }

    /// What is not confined of runs here, in words; none when all of it is.
    ///
    /// # Errors
    /// Invalid settings.
    pub(crate) fn unconfined(&self) -> Result<Option<String>, ServiceError> {
        let settings = self.settings()?.settings();
        if settings.sandbox.mode.as_deref() == Some(OFF) {
            let what = "sandbox off: programs of agents and checks are not confined";
            return Ok(Some(what.to_owned()));
        }
        let is_off = |own: &AgentSettings| own.sandbox.as_deref() == Some(OFF);
        let named = settings.agents.iter().filter(|(_, own)| is_off(own));
        let named: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
        Ok(match named.is_empty() {
            true => None,
            false => Some(format!("sandbox off for {}: not confined", named.join(", "))),
        })
    }

    /// What no program may see: where credentials usually are, the user's settings and data of this
    /// product, the project's `.env`, and the state.
    pub(crate) fn hidden(&self) -> Result<Vec<PathBuf>, ServiceError> {
        let environment = self.environment();
        let mut all = match environment.get("HOME") {
            Some(home) => Confinement::default().without_credentials(Path::new(home)),
            None => Confinement::default(),
        };
        all.hidden.extend(environment.user_directory());
        all.hidden.extend(environment.data_directory());
        let named = environment.get("ORCHESTRATOR_KEY_FILE");
        all.hidden.extend(named.map(|path| environment.directory.join(path)));
        all.hidden.push(self.place().state());
        all.hidden.push(self.project().join(".env"));
        let settings = &self.settings()?.settings().sandbox;
        all.hidden.extend(settings.hidden.iter().map(|path| self.path_of(path)));
        Ok(all.hidden)
    }

    /// What every confinement of this project has: what may be read and written besides, what is
    /// hidden, and how much may be used. The network is nobody's yet.
    pub(crate) fn confinement(&self) -> Result<Confinement, ServiceError> {
        let settings = &self.settings()?.settings().sandbox;
        let paths = |of: &[String]| of.iter().map(|path| self.path_of(path)).collect::<Vec<_>>();
        Ok(Confinement {
            writable: paths(&settings.writable),
            reads: match settings.reads.as_deref() {
                Some("system") => Reads::Only(paths(&settings.readable)),
                _ => Reads::All,
            },
            visible: self.visible()?,
            hidden: self.hidden()?,
            limits: self.bounds()?,
            ..Confinement::default()
        })
    }

    /// What stays visible in places for temporary files: the project, where it lies in one, and what the
    /// settings name.
    pub(super) fn visible(&self) -> Result<Vec<PathBuf>, ServiceError> {
        let named = &self.settings()?.settings().sandbox.readable;
        let named = named.iter().map(|path| self.path_of(path));
        Ok(named.chain([self.project().to_owned()]).collect())
    }

    /// How much a program with all that it starts may use.
    pub(crate) fn bounds(&self) -> Result<Limits, ServiceError> {
        let settings = &self.settings()?.settings().sandbox;
        Ok(Limits {
            memory: settings.memory,
            processes: settings.processes,
            cpu: settings.cpu,
            files: settings.files,
            file_size: settings.file_size,
        })
    }

    /// The path that a setting names: `~` is the user's home, what is relative is the project's.
    pub(crate) fn path_of(&self, setting: &str) -> PathBuf {
        let home = self.environment().get("HOME");
        match (setting.strip_prefix('~'), home) {
            (Some(""), Some(home)) => PathBuf::from(home),
            (Some(rest), Some(home)) if rest.starts_with('/') => {
                PathBuf::from(home).join(rest.trim_start_matches('/'))
            }
            _ => self.project().join(setting),
        }
    }
}

/// The network that a setting names. `gateway` is the port of the model gateway, where there is one.
pub(crate) fn network(name: &str, hosts: &[String], gateway: Option<u16>) -> Network {
    match (name, gateway) {
        ("all", _) => Network::All,
        ("hosts", _) => Network::Only { hosts: hosts.to_vec(), gateway },
        ("gateway", Some(port)) => Network::Gateway(port),
        _ => Network::None,
    }
}
