//! The places of attempts: made when the first task asks for one.

use super::{attempt::failure, redact};
use crate::{
    OrchestratorService, ServiceError, credentials::Guard, service::Opened as OpenedStore,
};
use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    id::{CommitId, TurnNumber},
    port::{AttemptHost, Checked, LandRequest, WorkspaceOrder, Workspaces},
    workspace::{
        Checkpoint, ChecksPolicy, Landing, Opened, Snapshot, WorkspaceKind, WorkspacePolicy,
    },
};
use orchestrator_workspace::{
    GitWorkspaces, Temporary,
    check::CheckOrder,
    sandbox::{Off, Sandbox},
};
use std::{fs, io, ops::RangeInclusive, path::PathBuf, sync::Arc};
use tokio::sync::OnceCell;

/// The most files that may change between two checkpoints.
const FILES: usize = 100_000;
/// The size in bytes from which on a file is left out, where the settings do not say it.
const LARGEST: u64 = 10_000_000;

/// How many directories lie prepared, and how many bytes they may take, where the settings do not
/// say it.
const POOL: u32 = 2;
const POOL_SIZE: u64 = 2_000_000_000;

/// Gives attempts places, and proves and lands what they make there.
pub(crate) struct Places {
    service: OrchestratorService,
    opened: OpenedStore,
    git: OnceCell<GitWorkspaces>,
}

impl Places {
    pub(crate) fn new(service: OrchestratorService, opened: OpenedStore) -> Self {
        Self { service, opened, git: OnceCell::new() }
    }

    async fn git(&self) -> Result<&GitWorkspaces, Failure> {
        let made = self.git.get_or_try_init(|| self.service.git_workspaces()).await;
        made.map_err(|error| failure(&error))
    }
}

impl OrchestratorService {
    /// The places of this project's attempts, in its state directory. Checks and landing are not among
    /// what they do: see [`OrchestratorService::checker`] and [`OrchestratorService::lander`].
    ///
    /// # Errors
    /// [`ServiceError::Sandbox`] when commands of set-up and clean-up could not be confined, invalid
    /// settings.
    pub(crate) async fn git_workspaces(&self) -> Result<GitWorkspaces, ServiceError> {
        let this = self.clone();
        // To find a sandbox is to try it, which waits for programs.
        let sandbox = tokio::task::spawn_blocking(move || this.sandbox()).await;
        let sandbox = sandbox.map_err(|error| ServiceError::Internal(error.to_string()))??;
        let temporary = self.place().state().join("tmp");
        let own = Temporary::make(&temporary, "places-");
        let own = own.map_err(|error| self.unusable(&temporary, &error))?;
        Ok(self.git_workspaces_in(sandbox).await?.temporary(own))
    }

    async fn git_workspaces_in(
        &self,
        sandbox: Arc<dyn Sandbox>,
    ) -> Result<GitWorkspaces, ServiceError> {
        let state = self.place().state();
        let given = &self.settings()?.settings().workspaces;
        let largest = given.largest_file.unwrap_or(LARGEST);
        let places = match self.git().await {
            Ok(git) => GitWorkspaces::new(git.clone(), &state, sandbox),
            // Only worktrees need it, and say so.
            Err(error @ ServiceError::Git(_)) => {
                GitWorkspaces::without_git(failure(&error), &state, sandbox)
            }
            Err(error) => return Err(error),
        };
        let mut places = places
            .commands(self.confinement()?, self.passed(&[]))
            .pool(usize::try_from(given.pool.unwrap_or(POOL)).unwrap_or_default())
            .pool_size(given.pool_size.unwrap_or(POOL_SIZE))
            .pool_fills(given.prepare)
            .include_uncommitted(self.includes_uncommitted())
            .bounds(largest, FILES);
        if let Some(text) = &given.ports {
            places = places.port_range(port_range(text)?);
        }
        if let Some(data) = self.environment().data_directory() {
            places = places.port_locks(data.join("ports"));
        }
        Ok(places)
    }

    /// The places of attempts to be looked at and removed, when there may be any. Nothing is run in
    /// them, and so nothing is confined.
    ///
    /// # Errors
    /// Invalid settings.
    pub(crate) async fn kept_places(&self) -> Result<Option<GitWorkspaces>, ServiceError> {
        match self.place().state().join("worktrees").is_dir() {
            true => self.git_workspaces_in(Arc::new(Off)).await.map(Some),
            false => Ok(None),
        }
    }

    fn unusable(&self, path: &std::path::Path, error: &io::Error) -> ServiceError {
        ServiceError::State {
            directory: self.place().state(),
            reason: format!("`{}`: {error}", path.display()),
        }
    }

    /// The directory of what an attempt writes outside of its place: its home and its temporary
    /// files. It goes with the place.
    pub(super) fn home_of(&self, order: &WorkspaceOrder, opened: &Opened) -> PathBuf {
        let (state, kept) = (self.place().state(), opened.directory.clone());
        let worktrees = state.join("worktrees");
        let name = kept.strip_prefix(&worktrees).ok().and_then(|below| below.components().next());
        let name = match name {
            Some(name) => name.as_os_str().to_owned(),
            None => format!("{}+{}+{}", order.run, order.task, order.attempt).into(),
        };
        state.join("homes").join(name)
    }
}

#[async_trait]
impl Workspaces for Places {
    async fn open(
        &self,
        order: &WorkspaceOrder,
        host: &dyn AttemptHost,
    ) -> Result<Opened, Failure> {
        let redactor = self.service.known().redactor();
        let guard = Guard::new(host, &redactor);
        let opened = self.git().await?.open(order, &guard).await;
        let mut opened = opened.map_err(|error| redact::failure(error, &redactor))?;
        // Without a separator at its end, for people.
        opened.directory = opened.directory.components().collect();
        let service = self.service.clone();
        let agent = order.agent.clone();
        let name = tokio::task::spawn_blocking(move || service.sandbox_name(agent.as_ref())).await;
        let name = name.map_err(|error| failure(&ServiceError::Internal(error.to_string())))?;
        opened.sandbox = name.map_err(|error| failure(&error))?;
        Ok(opened)
    }

    async fn checkpoint(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Checkpoint>, Failure> {
        self.git().await?.checkpoint(order, opened, turn).await
    }

    async fn measure(&self, order: &WorkspaceOrder, opened: &Opened) -> Result<(), Failure> {
        let home = self.service.home_of(order, opened);
        self.git().await?.within_quota(order, opened, &[home]).await
    }

    async fn snapshot(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        message: &str,
    ) -> Result<Option<Snapshot>, Failure> {
        let redactor = self.service.known().redactor();
        let mut snapshot = self.git().await?.snapshot(order, opened, message).await?;
        if let Some(snapshot) = &mut snapshot {
            redact::snapshot(snapshot, &redactor);
        }
        Ok(snapshot)
    }

    async fn check(
        &self,
        order: &WorkspaceOrder,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
        host: &dyn AttemptHost,
    ) -> Result<Checked, Failure> {
        let service = self.service.clone();
        let checker = tokio::task::spawn_blocking(move || service.checker()).await;
        let checker =
            checker.map_err(|error| failure(&ServiceError::Internal(error.to_string())))?;
        let checker = checker.map_err(|error| failure(&error))?;
        let repository = self.service.repository().await.map_err(|error| failure(&error))?;
        let order = CheckOrder { commit, base, policy: checks, setup: &order.policy.setup };
        let redactor = self.service.known().redactor();
        let checked = checker.check(&repository, order, &Guard::new(host, &redactor)).await;
        let mut checked = checked.map_err(|error| redact::failure(error.into(), &redactor))?;
        redact::evidence(&mut checked.evidence, &redactor);
        redact::outputs(&mut checked.outputs, &redactor);
        Ok(checked)
    }

    async fn land(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        host: &dyn AttemptHost,
    ) -> Result<Landing, Failure> {
        let lander = self.service.lander(&self.opened).await.map_err(|error| failure(&error))?;
        let redactor = self.service.known().redactor();
        let landing = lander.land(order, request, &Guard::new(host, &redactor)).await;
        let mut landing = landing.map_err(|error| redact::failure(error, &redactor))?;
        redact::landing(&mut landing, &redactor);
        Ok(landing)
    }

    async fn close(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        keep: bool,
    ) -> Result<(), Failure> {
        self.git().await?.close(order, opened, keep).await?;
        if !keep || opened.kind == WorkspaceKind::Project {
            let home = self.service.home_of(order, opened);
            let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(home)).await;
            if let Ok(Err(error)) = removed
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "what an attempt wrote outside of its place stays");
            }
        }
        Ok(())
    }
}

/// The ports that `FIRST-LAST` names.
fn port_range(text: &str) -> Result<RangeInclusive<u16>, ServiceError> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (1 <= first && first <= last).then_some(first..=last)
    });
    range.ok_or_else(|| ServiceError::Argument {
        what: "`workspaces.ports`",
        given: text.chars().take(40).collect(),
        expected: "write the first and the last port, such as `20000-29999`".into(),
    })
}

/// What settings say of workspaces that do not say it themselves.
pub(crate) fn complete(policy: &mut Option<Arc<WorkspacePolicy>>, quota: Option<u64>) {
    if let Some(policy) = policy
        && quota.is_some()
        && policy.quota.is_none()
    {
        Arc::make_mut(policy).quota = quota;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_a_first_and_a_last() {
        assert_eq!(port_range("20000-20010").unwrap(), 20_000..=20_010);
        assert_eq!(port_range("7 - 7").unwrap(), 7..=7);
        for bad in ["", "7", "0-5", "9-3", "1-70000", "a-b", "-1"] {
            assert_eq!(port_range(bad).unwrap_err().code(), "ORC-0801", "{bad}");
        }
    }
}
