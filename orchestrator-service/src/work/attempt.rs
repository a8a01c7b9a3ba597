//! How the program of an attempt is confined.

use crate::{OrchestratorService, ServiceError};
use async_trait::async_trait;
use orchestrator_agents::command::{Confine, Confined};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::AgentName,
    port::{Assignment, Work, WorkspaceOrder},
    workspace::{Opened, WorkspaceKind, WorkspacePolicy},
};
use orchestrator_workspace::{
    check::tool_homes,
    process::Environment,
    sandbox::{Confinement, Network, Reads},
};
use std::{ffi::OsString, fs, path::PathBuf, sync::Arc};

/// Confines programs of attempts that have a place of their own. Those without work in the project,
/// as the user would.
#[derive(Debug, Clone)]
pub(crate) struct Confiner {
    service: OrchestratorService,
    /// The port at which the program reaches models.
    gateway: Option<u16>,
    /// What is run, where the task does not say it.
    words: Vec<String>,
}

impl Confiner {
    pub(crate) fn new(service: OrchestratorService) -> Self {
        Self { service, gateway: None, words: Vec::new() }
    }

    /// The same for the program and arguments `words`, which reaches models at `url`.
    pub(crate) fn of_program(&self, words: &[String], url: &str) -> Self {
        let port =
            url.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse().ok());
        Self { service: self.service.clone(), gateway: port, words: words.to_vec() }
    }

    /// Whether what runs for `assignment` may talk to other hosts than the gateway.
    ///
    /// # Errors
    /// As when it is confined.
    pub(crate) fn lets_out(&self, assignment: &Assignment) -> Result<bool, Failure> {
        let agent = &assignment.agent.name;
        let sandbox = self.service.sandbox_of(Some(agent)).map_err(|error| failure(&error))?;
        let network = self.service.network_of(agent, None).map_err(|error| failure(&error))?;
        Ok(sandbox.is_none() || !matches!(network, Network::None | Network::Gateway(_)))
    }

    fn made(&self, assignment: &Assignment, opened: &Opened) -> Result<Option<Confined>, Failure> {
        let failed = |error: ServiceError| failure(&error);
        let agent = &assignment.agent.name;
        let Some(sandbox) = self.service.sandbox_of(Some(agent)).map_err(failed)? else {
            return Ok(None);
        };
        let mut confinement = self.service.confinement().map_err(failed)?;
        let words = match &assignment.work {
            Work::Command(words) => words,
            Work::Prompt(_) => &self.words,
        };
        // A script is read by its interpreter, wherever it lies.
        let files = words.iter().map(PathBuf::from).filter(|word| word.is_absolute());
        confinement.visible.extend(files.filter(|word| word.is_file()));
        let (run, task) = (assignment.run.clone(), assignment.task.clone());
        let policy = Arc::new(WorkspacePolicy::default());
        let mut order = WorkspaceOrder::new(run, task, assignment.project.clone(), policy);
        order.attempt = assignment.attempt;
        let own = self.service.home_of(&order, opened);
        let (home, temporary) = (own.join("home"), own.join("tmp"));
        for directory in [&home, &temporary] {
            fs::create_dir_all(directory).map_err(|error| {
                let message = format!("cannot make `{}`: {error}", directory.display());
                Failure::new(ErrorClass::Transient, message)
            })?;
        }
        confinement.writable.push(own);
        match opened.kind {
            WorkspaceKind::Project => read_also(&mut confinement, opened.directory.clone()),
            WorkspaceKind::None | WorkspaceKind::Copy | WorkspaceKind::Worktree => {
                confinement.writable.push(self.top(opened));
                // Git looks into the repository, and changes nothing there.
                read_also(&mut confinement, assignment.project.join(".git"));
            }
        }
        confinement.network = self.service.network_of(agent, self.gateway).map_err(failed)?;
        let mut variables: Vec<(String, OsString)> = vec![
            ("HOME".into(), home.into()),
            ("TMPDIR".into(), temporary.into()),
            // The index is not to be written where git only looks.
            ("GIT_OPTIONAL_LOCKS".into(), "0".into()),
        ];
        if let Some(home) = self.service.environment().get("HOME") {
            let homes = tool_homes(home.as_ref(), Environment::default());
            let named = homes
                .iter()
                .map(|(name, value)| (name.to_string_lossy().into_owned(), value.clone()));
            variables.extend(named);
        }
        Ok(Some(Confined { sandbox, confinement, variables }))
    }

    /// The whole of the place in which the attempt works in a directory.
    fn top(&self, opened: &Opened) -> PathBuf {
        let worktrees = self.service.place().state().join("worktrees");
        let below = opened.directory.strip_prefix(&worktrees).ok();
        match below.and_then(|below| below.components().next()) {
            Some(name) => worktrees.join(name),
            None => opened.directory.clone(),
        }
    }
}

fn read_also(confinement: &mut Confinement, path: PathBuf) {
    if let Reads::Only(paths) = &mut confinement.reads {
        paths.push(path);
    }
}

#[async_trait]
impl Confine for Confiner {
    async fn confine(&self, assignment: &Assignment) -> Result<Option<Confined>, Failure> {
        let Some(opened) = assignment.workspace.clone() else { return Ok(None) };
        let (this, assignment) = (self.clone(), assignment.clone());
        // To find a sandbox is to try it, which waits for programs.
        let made = tokio::task::spawn_blocking(move || this.made(&assignment, &opened)).await;
        made.map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?
    }
}

impl OrchestratorService {
    /// What an agent's programs are confined by, as it is recorded.
    pub(super) fn sandbox_name(&self, agent: Option<&AgentName>) -> Result<String, ServiceError> {
        let sandbox = self.sandbox_of(agent)?;
        Ok(sandbox.map_or_else(|| "off".to_owned(), |sandbox| sandbox.name().to_owned()))
    }
}

/// What an error of this crate means for an attempt.
pub(crate) fn failure(error: &ServiceError) -> Failure {
    let class = match error {
        ServiceError::Git(error) => error.class(),
        ServiceError::Sandbox(_) => ErrorClass::Unsafe,
        ServiceError::Checks(error) => error.class(),
        ServiceError::Landing(error) => error.class(),
        ServiceError::State { .. } | ServiceError::Store { .. } => ErrorClass::Transient,
        ServiceError::Internal(_) => ErrorClass::Internal,
        _ => ErrorClass::InvalidRequest,
    };
    let mut message = format!("{}: {error}", error.code());
    if let Some(source) = std::error::Error::source(error) {
        message.push_str(&format!(": {source}"));
    }
    if let Some(help) = error.help() {
        message.push_str(&format!("; {help}"));
    }
    Failure::new(class, message)
}
