//! The places of attempts on this machine: what implements the port.

use crate::{
    Temporary,
    git::{Git, Repository},
    process::Environment,
    sandbox::{Confinement, Sandbox},
    worktree::{Bounds, Claim, Pool, Registry},
};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{CommitId, TurnNumber},
    port::{AttemptHost, Checked, LandRequest, WorkspaceOrder, Workspaces},
    workspace::{Checkpoint, ChecksPolicy, Landing, Opened, Snapshot},
};
use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The size in bytes from which on a file is not recorded.
const MAX_SIZE: u64 = 10 * 1024 * 1024;
/// How many files one checkpoint may add or change.
const MAX_FILES: usize = 100_000;
/// How many directories are prepared before somebody asks.
const POOL: Bounds = Bounds { count: 2, bytes: 2 << 30 };

/// How often a place that is in use is asked for, and how long is waited each time.
const CLAIMS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Runs checks on a commit: what [`Workspaces::check`] asks of [`GitWorkspaces`].
#[async_trait]
pub trait Checker: Send + Sync {
    /// As for [`Workspaces::check`].
    ///
    /// # Errors
    /// As there.
    async fn check(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
        host: &dyn AttemptHost,
    ) -> Result<Checked, Failure>;
}

/// Brings commits onto branches: what [`Workspaces::land`] asks of [`GitWorkspaces`].
#[async_trait]
pub trait Lander: Send + Sync {
    /// As for [`Workspaces::land`].
    ///
    /// # Errors
    /// As there.
    async fn land(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
        request: &LandRequest,
        host: &dyn AttemptHost,
    ) -> Result<Landing, Failure>;
}

/// Gives attempts places to work in, by git.
///
/// One value serves all attempts of a process. Places are below the state directory; several
/// processes may share it.
pub struct GitWorkspaces {
    /// Or why there is none; places without a repository do without it.
    git: Result<Git, Failure>,
    pub(crate) registry: Registry,
    pub(crate) state: PathBuf,
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) confinement: Confinement,
    pub(crate) environment: Environment,
    pub(crate) ports: PathBuf,
    pub(crate) port_range: RangeInclusive<u16>,
    pub(crate) pool: Pool,
    pub(crate) fills: bool,
    /// Kept until the end.
    _temporary: Option<Temporary>,
    pub(crate) includes_uncommitted: bool,
    pub(crate) max_size: u64,
    pub(crate) max_files: usize,
    checker: Option<Arc<dyn Checker>>,
    lander: Option<Arc<dyn Lander>>,
    repositories: Mutex<HashMap<PathBuf, Repository>>,
    claims: Mutex<BTreeMap<String, Claim>>,
    /// One call at a time for each place.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for GitWorkspaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitWorkspaces").field("state", &self.state).finish_non_exhaustive()
    }
}

impl GitWorkspaces {
    /// Places below the directory `state`, whose commands are confined by `sandbox`.
    pub fn new(git: Git, state: &Path, sandbox: Arc<dyn Sandbox>) -> Self {
        Self::made(Ok(git), state, sandbox)
    }

    /// The same on a machine without a git that can be used: places of the kinds `none`, `project` and
    /// `copy`. Whatever needs a repository fails with `why`.
    pub fn without_git(why: Failure, state: &Path, sandbox: Arc<dyn Sandbox>) -> Self {
        Self::made(Err(why), state, sandbox)
    }

    fn made(git: Result<Git, Failure>, state: &Path, sandbox: Arc<dyn Sandbox>) -> Self {
        let registry = Registry::new(state);
        Self {
            pool: Pool::new(registry.root(), POOL),
            fills: true,
            _temporary: None,
            git,
            registry,
            state: state.to_owned(),
            sandbox,
            confinement: Confinement::default(),
            environment: Environment::default(),
            ports: state.join("ports"),
            port_range: crate::worktree::PORTS,
            includes_uncommitted: false,
            max_size: MAX_SIZE,
            max_files: MAX_FILES,
            checker: None,
            lander: None,
            repositories: Mutex::default(),
            claims: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// What commands of set-up and clean-up may do besides writing their place, and what they see of
    /// the environment. Nothing and nothing unless it is said.
    #[must_use]
    pub fn commands(mut self, confinement: Confinement, environment: Environment) -> Self {
        (self.confinement, self.environment) = (confinement, environment);
        self
    }

    /// The directory for temporary files of such commands: what [`GitWorkspaces::commands`] says is
    /// completed with it, so it is said after that.
    #[must_use]
    pub fn temporary(mut self, directory: Temporary) -> Self {
        self.confinement.writable.push(directory.path().to_owned());
        self.environment = self.environment.with("TMPDIR", directory.path());
        self._temporary = Some(directory);
        self
    }

    /// Where it is noted which ports are taken: the same directory for all that are not to share
    /// ports, such as one of the user. `ports` of the state directory unless it is said.
    #[must_use]
    pub fn port_locks(mut self, directory: PathBuf) -> Self {
        self.ports = directory;
        self
    }

    /// Of which ports attempts are given theirs; 20000 to 29999 unless it is said.
    #[must_use]
    pub fn port_range(mut self, range: RangeInclusive<u16>) -> Self {
        self.port_range = range;
        self
    }

    /// How many directories lie prepared before somebody asks, which take as much of the disk as
    /// that many checkouts; 2 unless it is said, and 0 turns it off. They stay when the process ends,
    /// and the next one takes them. A place that is closed and was confined leaves one, if there are
    /// fewer.
    #[must_use]
    pub fn pool(mut self, count: usize) -> Self {
        self.pool = Pool::new(self.registry.root(), Bounds { count, ..self.pool.bounds() });
        self
    }

    /// How many bytes prepared directories may take on the disk in all; 2 GiB unless it is said.
    #[must_use]
    pub fn pool_size(mut self, bytes: u64) -> Self {
        self.pool = Pool::new(self.registry.root(), Bounds { bytes, ..self.pool.bounds() });
        self
    }

    /// Whether directories are prepared while attempts work, as they are unless it is said; else only
    /// places that are closed leave some, and [`GitWorkspaces::prepare`].
    #[must_use]
    pub fn pool_fills(mut self, fills: bool) -> Self {
        self.fills = fills;
        self
    }

    /// Whether runs begin with what the project has not committed, besides its commit: changed,
    /// staged and new files, without what is ignored. The project itself is not changed.
    #[must_use]
    pub fn include_uncommitted(mut self, includes: bool) -> Self {
        self.includes_uncommitted = includes;
        self
    }

    /// From which size in bytes on files are left out (10 MiB unless it is said), and how many files
    /// may change between two checkpoints (100,000).
    #[must_use]
    pub fn bounds(mut self, max_size: u64, max_files: usize) -> Self {
        (self.max_size, self.max_files) = (max_size, max_files);
        self
    }

    /// What runs checks.
    #[must_use]
    pub fn checker(mut self, checker: Arc<dyn Checker>) -> Self {
        self.checker = Some(checker);
        self
    }

    /// What lands.
    #[must_use]
    pub fn lander(mut self, lander: Arc<dyn Lander>) -> Self {
        self.lander = Some(lander);
        self
    }

    /// Prepares directories for the next attempts of a project now, with the files of its head; else
    /// that begins with the first attempt.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::repository`], and what git says.
    pub async fn prepare(&self, project: &Path) -> Result<(), Failure> {
        let repository = self.repository(project).await?;
        self.registry.prepare()?;
        let head = repository.head_commit().await?;
        Ok(self.pool.fill(&repository, &head).await?)
    }

    /// The repository of a project.
    ///
    /// # Errors
    /// `invalid_request` when it has none that can be used, with what to do; without git why that is.
    pub async fn repository(&self, project: &Path) -> Result<Repository, Failure> {
        if let Some(known) = held(&self.repositories).get(project) {
            return Ok(known.clone());
        }
        let git = self.git.as_ref().map_err(Clone::clone)?;
        let found = Repository::discover(git, project).await?;
        held(&self.repositories).insert(project.to_owned(), found.clone());
        Ok(found)
    }

    pub(crate) fn claims(&self) -> MutexGuard<'_, BTreeMap<String, Claim>> {
        held(&self.claims)
    }

    /// Claims a place for this process. One whose process has just died may be held for a moment by a
    /// program that it was starting, so it is asked more than once.
    pub(crate) async fn claim(&self, name: &str) -> Result<Claim, Failure> {
        let mut tries = CLAIMS;
        loop {
            if let Some(claim) = self.registry.claim(name)? {
                return Ok(claim);
            }
            tries -= 1;
            if tries == 0 {
                let message = format!(
                    "the workspace `{name}` is in use by another process: pause its run, or wait \
                     until it has ended"
                );
                return Err(Failure::new(ErrorClass::Transient, message));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for its turn with a place.
    pub(crate) async fn turn(&self, name: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(held(&self.turns).entry(name.to_owned()).or_default());
        turn.lock_owned().await
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_set_up(what: &str) -> Failure {
    let message = format!("{what} is not set up here: this build or service was given none");
    Failure::new(ErrorClass::InvalidRequest, message)
}

#[async_trait]
impl Workspaces for GitWorkspaces {
    async fn open(
        &self,
        order: &WorkspaceOrder,
        host: &dyn AttemptHost,
    ) -> Result<Opened, Failure> {
        tokio::select! {
            opened = self.open_place(order, host) => opened,
            () = host.cancelled() => {
                Err(Failure::new(ErrorClass::Cancelled, "the attempt was stopped before its workspace was ready"))
            }
        }
    }

    async fn checkpoint(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Checkpoint>, Failure> {
        self.record_checkpoint(order, opened, turn).await
    }

    async fn measure(&self, order: &WorkspaceOrder, opened: &Opened) -> Result<(), Failure> {
        self.within_quota(order, opened, &[]).await
    }

    async fn snapshot(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        message: &str,
    ) -> Result<Option<Snapshot>, Failure> {
        self.record_snapshot(order, opened, message).await
    }

    async fn check(
        &self,
        order: &WorkspaceOrder,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
        host: &dyn AttemptHost,
    ) -> Result<Checked, Failure> {
        let checker = self.checker.as_ref().ok_or_else(|| not_set_up("running checks"))?;
        let repository = self.repository(&order.directory).await?;
        checker.check(&repository, order, commit, base, checks, host).await
    }

    async fn land(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        host: &dyn AttemptHost,
    ) -> Result<Landing, Failure> {
        let lander = self.lander.as_ref().ok_or_else(|| not_set_up("landing"))?;
        let repository = self.repository(&order.directory).await?;
        lander.land(&repository, order, request, host).await
    }

    async fn close(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        keep: bool,
    ) -> Result<(), Failure> {
        self.close_place(order, opened, keep).await
    }
}
