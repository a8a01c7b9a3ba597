//! The project's git repository.

use crate::{OrchestratorService, ServiceError};
use orchestrator_workspace::{
    git::{Git, Repository},
    process::Environment,
};

/// Variables that git reads besides the usual ones: where the user's configuration is, and how
/// remotes are reached.
const GIT_READS: [&str; 4] =
    ["XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND"];

impl OrchestratorService {
    /// The repository that holds the project.
    ///
    /// # Errors
    /// [`ServiceError::Git`] when git is missing or too old, or the project is in no repository
    /// that can be worked with.
    pub(crate) async fn repository(&self) -> Result<Repository, ServiceError> {
        Ok(Repository::discover(self.git().await?, self.project()).await?)
    }

    /// The `git` of this machine.
    ///
    /// # Errors
    /// [`ServiceError::Git`] when it is missing or too old.
    pub(crate) async fn git(&self) -> Result<&Git, ServiceError> {
        let found = || Git::find(self.passed(&GIT_READS.map(str::to_owned)));
        Ok(self.work().git.get_or_try_init(found).await?)
    }

    /// What programs see of the environment: the usual variables, and those that are named.
    pub(crate) fn passed(&self, named: &[String]) -> Environment {
        let variables = self.environment().variables.iter();
        Environment::from_vars(variables.map(|(name, value)| (name.into(), value.into())), named)
    }
}
