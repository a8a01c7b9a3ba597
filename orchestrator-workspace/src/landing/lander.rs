//! Bringing work onto a branch, for those who have made it.

use super::{
    LandError, LandingSettings, LandingWatch, OpenedRequest, PullRequest, PullRequests,
    RequestState,
    ground::Ground,
    lock::{self, Lock},
    message,
    pass::Worker,
};
use crate::git::{GitError, Repository, result_branch};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{BlobId, CacheKey, CommitId, LandingId, RunId},
    port::{AttemptHost, Blobs, Checked, Clock, LandRequest, Landings, WorkspaceOrder},
    workspace::{
        ChecksPolicy, Evidence, LandMode, Landing, LandingRow, LandingState, LandingTarget, Verdict,
    },
};
use serde_json::json;
use std::{fmt, path::PathBuf, sync::Arc};
use tokio::sync::Notify;

/// Runs checks on a commit: in a fresh, confined checkout of it.
#[async_trait]
pub trait Prove: Send + Sync {
    /// What `checks` give on `commit`, which would follow `base` on its branch. Must stop what it
    /// started when it is dropped.
    ///
    /// # Errors
    /// When they could not be run; a check that fails is evidence.
    async fn prove(
        &self,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
    ) -> Result<Checked, Failure>;
}

/// Evidence that was kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) evidence: BlobId,
    /// What the checks printed.
    pub(super) outputs: Vec<BlobId>,
    pub(super) verdict: Verdict,
}

/// Hides what must not be recorded in a text.
type Hide = dyn Fn(&str) -> String + Send + Sync;

/// What a [`Lander`] works with.
#[derive(Clone)]
pub struct LanderParts {
    /// The repository.
    pub repository: Repository,
    /// The queues.
    pub landings: Arc<dyn Landings>,
    /// Where evidence is kept.
    pub blobs: Arc<dyn Blobs>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What runs checks.
    pub prove: Arc<dyn Prove>,
    /// The directory of the locks: one for all processes that work on these queues, such as
    /// `landing` in the state directory. Made when it is not there.
    pub locks: PathBuf,
    /// How queues are worked.
    pub settings: LandingSettings,
}

/// Brings work onto branches, each piece in its turn, and undoes it.
///
/// There is no process for it: whoever has work waits in the queue of its branch, and one of those
/// who wait works on the queue until its own work has ended, then the next. The queue is durable, and
/// the right to work on it is a lock of the kernel's: when whoever has it dies, another goes on where
/// it was.
pub struct Lander {
    pub(super) repository: Repository,
    pub(super) landings: Arc<dyn Landings>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) prove: Arc<dyn Prove>,
    pub(super) locks: PathBuf,
    pub(super) settings: LandingSettings,
    pub(super) watch: Option<Arc<dyn LandingWatch>>,
    forge: Option<Arc<dyn PullRequests>>,
    hide: Option<Arc<Hide>>,
    /// Told when something is settled or a lock is given back.
    pub(super) news: Notify,
}

impl fmt::Debug for Lander {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lander")
            .field("repository", &self.repository)
            .field("locks", &self.locks)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LanderParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanderParts")
            .field("repository", &self.repository)
            .field("locks", &self.locks)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Lander {
    /// One that works with these parts, opens no pull requests and tells nobody how it goes.
    pub fn new(parts: LanderParts) -> Self {
        let LanderParts { repository, landings, blobs, clock, prove, locks, settings } = parts;
        Self {
            repository,
            landings,
            blobs,
            clock,
            prove,
            locks,
            settings,
            watch: None,
            forge: None,
            hide: None,
            news: Notify::new(),
        }
    }

    /// The same, which opens pull requests there.
    #[must_use]
    pub fn with_forge(mut self, forge: Arc<dyn PullRequests>) -> Self {
        self.forge = Some(forge);
        self
    }

    /// The same, which records what git says of a conflict only as `hide` gives it: without secrets.
    #[must_use]
    pub fn with_hidden(mut self, hide: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.hide = Some(Arc::new(hide));
        self
    }

    /// The same, which tells how it goes.
    #[must_use]
    pub fn with_watch(mut self, watch: Arc<dyn LandingWatch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Brings the work of an attempt onto its branch, and waits until that has ended. Asked again
    /// for the same work, as after a crash, it tells what came of it; work that did not land is
    /// tried again when the branch has moved since.
    ///
    /// # Errors
    /// `invalid_request` when it may not land there; `no_progress` when a checkout stands in the
    /// way, which a person can change; `transient` when the machine fails or the branch is moved
    /// again and again; `cancelled` when `host` says so, with the work withdrawn; what the checks
    /// say when they cannot be run.
    pub async fn land(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        host: &dyn AttemptHost,
    ) -> Result<Landing, Failure> {
        Ok(self.bring(order, request, host).await?)
    }

    /// The same as [`Lander::land`], for those who want to know just what stood in the way.
    ///
    /// # Errors
    /// As for [`Lander::land`]; that `host` said so is [`LandError::Checks`] of class `cancelled`.
    pub async fn bring(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        host: &dyn AttemptHost,
    ) -> Result<Landing, LandError> {
        Ok(match request.policy.mode {
            LandMode::No => return Err(LandError::Nowhere),
            LandMode::PullRequest => self.open_pull_request(order, request).await?,
            LandMode::Branch | LandMode::Direct => {
                let row = self.enqueue(order, request, None).await?;
                let (id, target) = (row.id, row.target);
                let ended = tokio::select! {
                    biased;
                    () = host.cancelled() => Err(None),
                    ended = self.until_settled(&id, &target) => ended.map_err(Some),
                };
                match ended {
                    Ok(row) => self.told(row).await?,
                    Err(error) => {
                        // Nobody waits for it; work that may have landed is left to the queue.
                        let now = self.clock.now();
                        let left = self.landings.withdraw(&id, now).await;
                        if let Err(error) = left {
                            tracing::warn!(%error, work = %id, "cannot withdraw work");
                        }
                        return Err(error.unwrap_or_else(|| LandError::Checks(cancelled())));
                    }
                }
            }
        })
    }

    /// Brings pieces of work onto their branch that were made one on the other, in this order: all of
    /// them are put into the queue, so that they are checked together as far as the queue does that.
    /// None lands without those before it. `landings` gets what came of each, in their order and as
    /// soon as that is known; the last may be one that did not land, and those after it are withdrawn
    /// then. When this is dropped, what waits stays in the queue.
    ///
    /// # Errors
    /// As for [`Lander::bring`]; [`LandError::Nowhere`] when they are not for one branch of this
    /// repository.
    pub async fn bring_all(
        &self,
        work: &[(WorkspaceOrder, LandRequest)],
        host: &dyn AttemptHost,
        landings: &mut Vec<Landing>,
    ) -> Result<(), LandError> {
        let mut waiting: Vec<LandingId> = Vec::new();
        let brought = self.bring_each(work, host, landings, &mut waiting).await;
        // What has ended is not changed by it.
        for id in waiting.iter().skip(landings.len()) {
            if let Err(error) = self.landings.withdraw(id, self.clock.now()).await {
                tracing::warn!(%error, work = %id, "cannot withdraw work");
            }
        }
        brought
    }

    async fn bring_each(
        &self,
        work: &[(WorkspaceOrder, LandRequest)],
        host: &dyn AttemptHost,
        landings: &mut Vec<Landing>,
        waiting: &mut Vec<LandingId>,
    ) -> Result<(), LandError> {
        let mut target: Option<LandingTarget> = None;
        for (order, request) in work {
            if !matches!(request.policy.mode, LandMode::Branch | LandMode::Direct) {
                return Err(LandError::Nowhere);
            }
            let row = self.enqueue(order, request, waiting.last()).await?;
            if *target.get_or_insert_with(|| row.target.clone()) != row.target {
                return Err(LandError::Nowhere);
            }
            waiting.push(row.id);
            if !row.state.is_open() && !matches!(row.state, LandingState::Landed { .. }) {
                break;
            }
        }
        let Some(target) = target else { return Ok(()) };
        for id in waiting.iter() {
            let row = tokio::select! {
                biased;
                () = host.cancelled() => return Err(LandError::Checks(cancelled())),
                row = self.until_settled(id, &target) => row?,
            };
            let landing = self.told(row).await?;
            let has_landed = matches!(landing, Landing::Landed(_));
            landings.push(landing);
            if !has_landed {
                break;
            }
        }
        Ok(())
    }

    /// Under which id the work of a request is, or would be, in the queue of `branch`.
    ///
    /// # Errors
    /// None that a valid order leads to.
    pub fn work_id(
        &self,
        branch: &str,
        order: &WorkspaceOrder,
        request: &LandRequest,
    ) -> Result<LandingId, LandError> {
        id_of(&target_of(order, branch.to_owned()), order, request)
    }

    /// The branch that a request is for.
    ///
    /// # Errors
    /// [`LandError::NoTarget`], [`LandError::Git`].
    pub async fn branch_of(&self, run: &RunId, request: &LandRequest) -> Result<String, LandError> {
        match (&request.policy.target, request.policy.mode) {
            (Some(target), _) => Ok(target.clone()),
            (None, LandMode::Branch) => Ok(result_branch(run)),
            (None, LandMode::Direct | LandMode::PullRequest | LandMode::No) => {
                self.repository.head().await?.branch.ok_or(LandError::NoTarget)
            }
        }
    }

    /// Puts the work into its queue, or finds it there.
    async fn enqueue(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        after: Option<&LandingId>,
    ) -> Result<LandingRow, LandError> {
        let branch = self.branch_of(&order.run, request).await?;
        let ground = Ground::new(self.repository.clone(), &branch);
        if request.policy.mode == LandMode::Direct
            && !request.verified
            && !request.policy.unverified
        {
            return Err(LandError::Unverified { branch });
        }
        let tip = ground.tip().await?;
        if tip.is_none() && request.policy.mode == LandMode::Direct {
            return Err(LandError::NoBranch { branch });
        }
        if let Some(directory) = ground.checked_out().await? {
            ground.check_checkout(&directory, self.settings.update_checkout).await?;
        }
        let mut row = self.row(order, request, branch).await?;
        row.after = after.cloned();
        let row = self.landings.enqueue(row).await?;
        let is_past = match &row.state {
            LandingState::Conflict { tip: then, .. } | LandingState::Red { tip: then, .. } => {
                tip.as_ref() != Some(then)
            }
            LandingState::Withdrawn {} => true,
            LandingState::Waiting {} | LandingState::Testing { .. } => row.is_unwanted,
            LandingState::Requested { .. } | LandingState::Landed { .. } => false,
        };
        match is_past {
            true => Ok(self.landings.again(&row.id, self.clock.now()).await?),
            false => Ok(row),
        }
    }

    async fn row(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        branch: String,
    ) -> Result<LandingRow, LandError> {
        let changed = self.repository.changed_files(&request.base, &request.commit).await?;
        let paths = changed.into_iter().flat_map(|file| file.from.into_iter().chain([file.path]));
        let mut files: Vec<String> = paths.take(LandingRow::LISTED).collect();
        files.sort();
        files.dedup();
        let mut checks = request.checks.clone();
        if checks.setup.is_empty() {
            checks.setup.clone_from(&order.policy.setup);
        }
        let target = target_of(order, branch);
        Ok(LandingRow {
            id: id_of(&target, order, request)?,
            target,
            run: order.run.clone(),
            task: order.task.clone(),
            attempt: order.attempt,
            commit: request.commit.clone(),
            base: request.base.clone(),
            mode: request.policy.mode,
            priority: request.priority,
            at: self.clock.now(),
            files,
            checks,
            after: None,
            state: LandingState::Waiting {},
            tried: Vec::new(),
            is_unwanted: false,
            settled_at: None,
            reverted: None,
        })
    }

    /// Waits until work has ended; works on its queue whenever nobody else does.
    async fn until_settled(
        &self,
        id: &LandingId,
        target: &LandingTarget,
    ) -> Result<LandingRow, LandError> {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on nothing is missed.
            news.as_mut().enable();
            let row = self.landings.landing(id).await?;
            let row = row.ok_or_else(|| LandError::Gone(id.clone()))?;
            if !row.state.is_open() {
                return Ok(row);
            }
            match self.lock(&target.branch)? {
                Some(lock) => {
                    let has_settled = {
                        let _news = OnDrop(&self.news);
                        Worker::take(self, target, lock).await?.until_settled(id).await?
                    };
                    if !has_settled {
                        // It waits for something that nobody here can bring about.
                        tokio::time::sleep(self.settings.poll).await;
                    }
                }
                None => {
                    // Another process tells nobody here.
                    let _ = tokio::time::timeout(self.settings.poll, news).await;
                }
            }
        }
    }

    /// The file whose lock is the right to work on the queue of a branch, for those who look after
    /// the state directory.
    pub fn lock_file(&self, branch: &str) -> PathBuf {
        lock::place(&self.locks, self.repository.common_dir(), branch)
    }

    pub(super) fn lock(&self, branch: &str) -> Result<Option<Lock>, LandError> {
        Lock::take(&self.locks, self.repository.common_dir(), branch)
    }

    /// What came of work that has ended.
    async fn told(&self, row: LandingRow) -> Result<Landing, LandError> {
        if let Some(landed) = row.landed() {
            return Ok(Landing::Landed(landed));
        }
        if let Some(conflict) = row.conflict() {
            return Ok(Landing::Conflict(conflict));
        }
        if let Some(request) = row.request() {
            return Ok(Landing::Requested(request));
        }
        match row.state {
            LandingState::Red { tip, evidence, .. } => {
                let evidence = Box::new(self.evidence(&evidence).await?);
                Ok(Landing::Red { target: row.target.branch, tip, evidence })
            }
            LandingState::Waiting {}
            | LandingState::Testing { .. }
            | LandingState::Requested { .. }
            | LandingState::Landed { .. }
            | LandingState::Conflict { .. }
            | LandingState::Withdrawn {} => Err(LandError::Checks(cancelled())),
        }
    }

    /// Keeps evidence, and what the checks printed beside it.
    pub(super) async fn keep(&self, checked: Checked) -> Result<Kept, LandError> {
        let Checked { mut evidence, outputs } = checked;
        for (check, output) in evidence.checks.iter_mut().zip(&outputs) {
            check.output = Some(self.blobs.put(output).await?);
        }
        let bytes = serde_json::to_vec(&evidence);
        let bytes = bytes.map_err(|error| LandError::Unreadable(error.to_string()))?;
        let blob = self.blobs.put(&bytes).await?;
        Ok(Kept { evidence: blob, outputs: evidence.outputs(), verdict: evidence.verdict })
    }

    /// A state as it may be recorded.
    pub(super) fn hidden(&self, mut state: LandingState) -> LandingState {
        if let (Some(hide), LandingState::Conflict { files, message, .. }) =
            (&self.hide, &mut state)
        {
            *message = hide(message);
            files.iter_mut().for_each(|file| *file = hide(file));
        }
        state
    }

    /// Evidence that was kept.
    ///
    /// # Errors
    /// [`LandError::Evidence`], [`LandError::Unreadable`].
    pub async fn evidence(&self, blob: &BlobId) -> Result<Evidence, LandError> {
        let bytes = self.blobs.get(blob).await?;
        serde_json::from_slice(&bytes).map_err(|error| LandError::Unreadable(error.to_string()))
    }

    async fn open_pull_request(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
    ) -> Result<Landing, LandError> {
        let forge = self.forge.as_ref().ok_or(LandError::NoForge)?;
        let branch = self.branch_of(&order.run, request).await?;
        if !request.verified && !request.policy.unverified {
            return Err(LandError::Unverified { branch });
        }
        // That it is wanted is recorded before anybody is asked, so that a crash does not lose it.
        let row = self.row(order, request, branch).await?;
        let mut row = self.landings.enqueue(row).await?;
        match &row.state {
            LandingState::Requested { .. } | LandingState::Landed { .. } => {
                return self.told(row).await;
            }
            LandingState::Waiting {} | LandingState::Testing { .. } => {}
            LandingState::Conflict { .. }
            | LandingState::Red { .. }
            | LandingState::Withdrawn {} => {
                row = self.landings.again(&row.id, self.clock.now()).await?;
            }
        }
        let work = self.repository.commit(&request.commit).await?;
        let OpenedRequest { url, number } = forge
            .open(&PullRequest {
                run: order.run.clone(),
                task: order.task.clone(),
                commit: request.commit.clone(),
                target: row.target.branch.clone(),
                title: message::subject(&work.message).to_owned(),
                body: message::body(&work.message).to_owned(),
            })
            .await?;
        tracing::info!(%url, target = %row.target, "a pull request is open");
        let row = self.landings.requested(&row.id, &url, number).await?;
        self.told(row).await
    }

    /// Looks what came of the pull requests that are open for `target`, and records it: what was merged
    /// has landed, what was closed is withdrawn. How many have ended; none while another process works
    /// on the queue.
    ///
    /// # Errors
    /// [`LandError::NoForge`]; what the forge says; [`LandError::Queue`].
    pub async fn follow_requests(&self, target: &LandingTarget) -> Result<usize, LandError> {
        let forge = self.forge.as_ref().ok_or(LandError::NoForge)?;
        let open = self.landings.waiting(target).await?;
        let mut ended = Vec::new();
        for (row, request) in open.into_iter().filter_map(|row| row.request().map(|one| (row, one)))
        {
            let opened = OpenedRequest { url: request.url, number: request.number };
            match forge.look(&opened).await? {
                RequestState::Open => {}
                RequestState::Merged { commit, before } => {
                    let (evidence, outputs) = (None, Vec::new());
                    let state = LandingState::Landed { commit, before, evidence, outputs };
                    ended.push((row.id, state));
                }
                RequestState::Closed => ended.push((row.id, LandingState::Withdrawn {})),
            }
        }
        if ended.is_empty() {
            return Ok(0);
        }
        let Some(lock) = self.lock(&target.branch)? else { return Ok(0) };
        let _news = OnDrop(&self.news);
        let count = ended.len();
        Worker::take(self, target, lock).await?.settle(ended).await?;
        Ok(count)
    }
}

/// Tells those who wait when it goes: the lock is free then.
struct OnDrop<'a>(&'a Notify);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

fn cancelled() -> Failure {
    Failure::new(ErrorClass::Cancelled, "landing was cancelled; the work stays on its own branch")
}

/// The queue of `branch` for the project that `order` is of.
fn target_of(order: &WorkspaceOrder, branch: String) -> LandingTarget {
    LandingTarget { tenant: order.tenant.clone(), project: order.project.clone(), branch }
}

/// The same for the same work, so that asking again after a crash finds it.
fn id_of(
    target: &LandingTarget,
    order: &WorkspaceOrder,
    request: &LandRequest,
) -> Result<LandingId, LandError> {
    let (tenant, project) = (target.tenant.as_str(), target.project.as_str());
    let attempt = [order.run.as_str(), order.task.as_str(), &order.attempt.to_string()];
    let key =
        CacheKey::of(&json!([tenant, project, target.branch, attempt, request.commit.as_str()]));
    let digits = key.as_str().trim_start_matches("sha256:");
    LandingId::new(format!("l_{}", &digits[..24]))
        .map_err(|invalid| LandError::Git(GitError::Unknown { name: invalid.to_string() }))
}
