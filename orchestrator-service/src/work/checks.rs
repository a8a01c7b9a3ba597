//! What runs checks.

use super::{confine::network, redact};
use crate::{KnownSecrets, OrchestratorService, ServiceError};
use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    id::CommitId,
    port::{AttemptHost, Checked, Clock, LogLine, Progress},
    time::Timestamp,
    workspace::ChecksPolicy,
};
use orchestrator_workspace::{
    check::{CheckOrder, CheckSettings, Checker, RecentBaselines, tool_homes},
    git::Repository,
    landing::Prove,
};
use std::{future::pending, path::Path, sync::Arc, time::Duration};

/// How long a check may take that does not say it, where the settings do not either.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

impl OrchestratorService {
    /// What runs checks on commits of this project.
    ///
    /// # Errors
    /// [`ServiceError::Sandbox`] when they could not be confined; invalid settings.
    pub(crate) fn checker(&self) -> Result<Arc<Checker>, ServiceError> {
        if let Some(checker) = self.work().checker.get() {
            return Ok(checker.clone());
        }
        let (sandbox, baselines) = (self.sandbox()?, Arc::new(RecentBaselines::default()));
        let checker = Arc::new(Checker::new(sandbox, self.settings_of_checks()?, baselines));
        Ok(self.work().checker.get_or_init(|| checker).clone())
    }

    fn settings_of_checks(&self) -> Result<CheckSettings, ServiceError> {
        let settings = &self.settings()?.settings().checks;
        let mut environment = self.passed(&settings.environment);
        if let Some(home) = self.environment().get("HOME") {
            environment = tool_homes(Path::new(home), environment);
        }
        let mut made = CheckSettings::new(self.place().state().join("checks"), environment);
        made.writable = settings.writable.iter().map(|path| self.path_of(path)).collect();
        made.hidden = self.hidden()?;
        made.visible = self.visible()?;
        made.network =
            network(settings.network.as_deref().unwrap_or("none"), &settings.hosts, None);
        made.limits = self.bounds()?;
        made.timeout = settings.timeout.unwrap_or(TIMEOUT);
        Ok(made)
    }
}

/// Runs checks for the queue of a branch, where no attempt is told how they go.
#[derive(Debug)]
pub(super) struct Prover {
    pub(super) checker: Arc<Checker>,
    pub(super) repository: Repository,
    /// What must not be in the evidence.
    pub(super) known: KnownSecrets,
}

#[async_trait]
impl Prove for Prover {
    async fn prove(
        &self,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
    ) -> Result<Checked, Failure> {
        let order = CheckOrder { commit, base, policy: checks, setup: &checks.setup };
        let redactor = self.known.redactor();
        let checked = self.checker.check(&self.repository, order, &Unwatched).await;
        let mut checked = checked.map_err(|error| redact::failure(error.into(), &redactor))?;
        redact::evidence(&mut checked.evidence, &redactor);
        redact::outputs(&mut checked.outputs, &redactor);
        Ok(checked)
    }
}

/// Nobody follows what is run, and nobody stops it but by dropping it.
#[derive(Debug)]
pub(crate) struct Unwatched;

#[async_trait]
impl AttemptHost for Unwatched {
    fn log(&self, _line: LogLine) {}

    fn progress(&self, _progress: Progress) {}

    fn now(&self) -> Timestamp {
        orchestrator_core::engine::SystemClock.now()
    }

    async fn cancelled(&self) {
        pending().await
    }
}
