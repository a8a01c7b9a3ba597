//! Bringing what a run has made onto a branch of the user's.

use super::{
    pieces::Piece,
    queue::{failed, target},
};
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{EvidenceView, LandItem, LandRefusal, LandStepView, LandView},
};
use async_trait::async_trait;
use orchestrator_core::{
    error::ErrorClass,
    id::{CommitId, LandingId, RunId},
    port::{
        AttemptHost, Clock, LandRequest, LandingFilter, LogLine, Page, Progress, RunRow,
        WorkspaceOrder,
    },
    time::Timestamp,
    workspace::{LandMode, LandPolicy, Landing, WorkspacePolicy},
};
use orchestrator_workspace::{
    git::{Merge, NewCommit, Repository},
    landing::{LandError, Lander, LandingStep, LandingWatch},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// How much of what was settled for the branch is looked at for what was undone there.
const PART: usize = 500;

/// Which run is to land, where and how.
#[derive(Debug, Clone, Default)]
pub struct LandOrder {
    /// An id, the start of one, or `latest`.
    pub run: String,
    /// The branch; the one that the project is on when there is none.
    pub into: Option<String>,
    /// `direct` onto a branch that is there, which is also meant when there is none; or `branch`
    /// onto one that is made when it is not.
    pub mode: Option<String>,
    /// Whether work that no check has proved may land.
    pub unverified: bool,
    /// Whether a clean checkout of the branch goes along.
    pub update_checkout: bool,
    /// How long it is waited for; until it has ended when there is none.
    pub wait: Option<Duration>,
}

impl OrchestratorService {
    /// Lands what a run has made: each piece of its result branch as a commit of its own, in the order
    /// in which it came there, through the queue of the branch, where as many as a batch holds are
    /// checked at once. So each keeps its author and its message, and can be undone by itself. When it
    /// is known beforehand that one of them conflicts none is landed; when the checks of one do not
    /// pass on the branch, those before it stay and those after it do not land. Asked again it goes on
    /// where it was.
    ///
    /// `watch` is told how it goes; `stop` calls it off.
    ///
    /// # Errors
    /// An unknown run, or one that has not ended, has nothing to land, has work that is not verified,
    /// or was rolled back there; [`ServiceError::Git`]; [`ServiceError::Landing`] when it may not land
    /// there. A conflict or a red result is no error.
    pub async fn land(
        &self,
        order: &LandOrder,
        watch: Option<LandWatch>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<LandView, ServiceError> {
        let (opened, row) = self.find_run(&order.run).await?;
        if !row.status.is_final() {
            let (run, status) = (row.id.to_string(), row.status.to_string());
            return Err(ServiceError::RunGoesOn { action: "land", run, status });
        }
        let repository = self.repository().await?;
        let (mode, branch) = place(order, &repository).await?;
        let pieces = self.pieces(opened, &row, &repository, &branch).await?;
        if pieces.is_empty() {
            return Err(ServiceError::NothingToLand { run: row.id.to_string(), branch });
        }
        refuse_unverified(&row.id, &pieces, order.unverified)?;
        refuse_undone(opened, &row.id, &branch, &pieces).await?;
        let mut lander = self.lander_for(opened, order.update_checkout).await?;
        let names = Arc::new(Names::default());
        if let Some(tell) = watch {
            lander = lander.with_watch(Arc::new(Watch { tell, names: names.clone() }));
        }
        let row = &row;
        let ground = Ground { service: self, opened, row, repository, lander, names, branch, mode };
        ground.land(&pieces, order, stop).await
    }
}

/// Where to and how.
async fn place(
    order: &LandOrder,
    repository: &Repository,
) -> Result<(LandMode, String), ServiceError> {
    let mode = match order.mode.as_deref() {
        None | Some("direct") => LandMode::Direct,
        Some("branch") => LandMode::Branch,
        Some(other) => {
            return Err(ServiceError::Argument {
                what: "--mode",
                given: other.chars().take(40).collect(),
                expected: "it is `direct` or `branch`".into(),
            });
        }
    };
    match (&order.into, mode) {
        (Some(branch), _) => Ok((mode, branch.clone())),
        (None, LandMode::Branch) => Err(ServiceError::Argument {
            what: "--into",
            given: "left out".into(),
            expected: "`--mode branch` needs the name of the branch that is made".into(),
        }),
        (None, LandMode::Direct | LandMode::PullRequest | LandMode::No) => {
            let head = repository.head().await?.branch;
            Ok((mode, head.ok_or(LandError::NoTarget)?))
        }
    }
}

fn refuse_unverified(run: &RunId, pieces: &[Piece], may: bool) -> Result<(), ServiceError> {
    let unverified = pieces.iter().filter(|piece| piece.verified != Some(true));
    let tasks: Vec<_> = unverified.map(|piece| piece.task.to_string()).collect();
    match may || tasks.is_empty() {
        true => Ok(()),
        false => Err(ServiceError::Unverified { run: run.to_string(), tasks }),
    }
}

/// The queue tells of work that was undone that it has landed, which is not what is wanted.
async fn refuse_undone(
    opened: &Opened,
    run: &RunId,
    branch: &str,
    pieces: &[Piece],
) -> Result<(), ServiceError> {
    let target = target(branch);
    let filter = LandingFilter {
        tenant: Some(target.tenant),
        project: Some(target.project),
        branch: Some(target.branch),
        run: Some(run.clone()),
    };
    let page = Page { limit: PART, cursor: None };
    let settled = opened.landings().settled(&filter, &page).await.map_err(failed)?.items;
    let wanted: BTreeSet<&CommitId> = pieces.iter().map(|piece| &piece.commit).collect();
    let undone = settled.iter().filter(|row| wanted.contains(&row.commit));
    let by: Vec<String> =
        undone.filter_map(|row| row.reverted.as_ref()).map(ToString::to_string).collect();
    match by.is_empty() {
        true => Ok(()),
        false => {
            Err(ServiceError::RolledBack { run: run.to_string(), branch: branch.to_owned(), by })
        }
    }
}

/// Where a run lands.
struct Ground<'a> {
    service: &'a OrchestratorService,
    opened: &'a Opened,
    row: &'a RunRow,
    repository: Repository,
    lander: Lander,
    names: Arc<Names>,
    branch: String,
    mode: LandMode,
}

impl Ground<'_> {
    async fn land(
        &self,
        pieces: &[Piece],
        order: &LandOrder,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<LandView, ServiceError> {
        let before = self.tip().await?;
        let mut view = LandView {
            schema: "orchestrator.land/v1",
            run: self.row.id.to_string(),
            branch: self.branch.clone(),
            status: "landed",
            before: before.as_ref().map(ToString::to_string),
            after: None,
            items: pieces.iter().map(item).collect(),
            refused: None,
        };
        let (tell, told) = watch::channel(false);
        let host = Stoppable { told };
        if self.is_known_to_conflict(pieces, &mut view).await? {
            view.after = view.before.clone();
            return Ok(view);
        }
        let work = self.work(pieces, order.unverified)?;
        let mut landings = Vec::new();
        let bringing = self.lander.bring_all(&work, &host, &mut landings);
        let patience = async {
            match order.wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        let ended = {
            tokio::pin!(bringing);
            tokio::select! {
                biased;
                done = &mut bringing => Some(done),
                () = stop => {
                    // What waits is taken out of the queue, which takes a moment.
                    let _ = tell.send(true);
                    Some(bringing.await)
                }
                // What waits stays in the queue: whoever lands next on the branch lands it too.
                () = patience => None,
            }
        };
        let came = landings.len();
        for (place, landing) in landings.into_iter().enumerate() {
            self.came(place, &pieces[place], landing, &mut view).await?;
        }
        match ended {
            Some(Err(LandError::Checks(failure))) if failure.class == ErrorClass::Cancelled => {
                view.status = "withdrawn";
                view.items[came..].iter_mut().for_each(|item| item.state = "withdrawn");
            }
            Some(done) => done?,
            None => {
                view.status = "waiting";
                view.items[came..].iter_mut().for_each(|item| item.state = "waiting");
            }
        }
        view.after = self.tip().await?.map(|tip| tip.to_string());
        Ok(view)
    }

    async fn tip(&self) -> Result<Option<CommitId>, ServiceError> {
        Ok(self.repository.find_ref(&format!("refs/heads/{}", self.branch)).await?)
    }

    /// The orders and requests of the pieces. All are as urgent as the most urgent of them, since none
    /// lands before those that it was made on.
    fn work(
        &self,
        pieces: &[Piece],
        unverified: bool,
    ) -> Result<Vec<(WorkspaceOrder, LandRequest)>, ServiceError> {
        let priority = pieces.iter().map(|piece| piece.priority).max().unwrap_or_default();
        let mut work = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let (order, mut request) = (self.order(piece), self.request(piece, unverified));
            request.priority = priority;
            let id = self.lander.work_id(&self.branch, &order, &request)?;
            self.names.add(id, piece.task.to_string());
            work.push((order, request));
        }
        Ok(work)
    }

    /// Notes what came of the piece at `place`.
    async fn came(
        &self,
        place: usize,
        piece: &Piece,
        landing: Landing,
        view: &mut LandView,
    ) -> Result<(), ServiceError> {
        match landing {
            Landing::Landed(landed) => {
                let is_new = landed.commit != landed.before;
                view.items[place].state = if is_new { "landed" } else { "unchanged" };
                view.items[place].landed = is_new.then(|| landed.commit.to_string());
            }
            // No piece is brought into one from here.
            Landing::Requested(request) => {
                return Err(ServiceError::Internal(format!("`{}` is open", request.url)));
            }
            Landing::Conflict(conflict) => {
                let refusal = LandRefusal {
                    task: piece.task.to_string(),
                    tip: conflict.tip.to_string(),
                    files: conflict.files,
                    message: conflict.message,
                    evidence: None,
                };
                refuse(view, place, "conflict", refusal);
            }
            Landing::Red { tip, evidence, .. } => {
                let bytes = serde_json::to_vec(&evidence)
                    .map_err(|error| ServiceError::Internal(error.to_string()))?;
                // The same content as the queue has kept.
                let blob = self.opened.blobs().put(&bytes).await?;
                let bad = evidence.checks.iter().filter(|check| !check.outcome.is_good());
                let bad: Vec<&str> = bad.map(|check| check.name.as_str()).collect();
                let message = format!(
                    "the checks do not pass together with what is on `{}`: {}",
                    self.branch,
                    bad.join(", ")
                );
                let refusal = LandRefusal {
                    task: piece.task.to_string(),
                    tip: tip.to_string(),
                    files: Vec::new(),
                    message,
                    evidence: Some(EvidenceView::new(&evidence, blob.to_string())),
                };
                refuse(view, place, "red", refusal);
            }
        }
        Ok(())
    }

    /// Puts the pieces together on the branch as the queue will, without landing any.
    async fn is_known_to_conflict(
        &self,
        pieces: &[Piece],
        view: &mut LandView,
    ) -> Result<bool, ServiceError> {
        let Some(tip) = self.tip().await? else { return Ok(false) };
        let there = super::queue::landed(self.opened, &self.branch, &self.row.id).await?;
        let mut at = tip.clone();
        for (place, piece) in pieces.iter().enumerate() {
            if there.iter().any(|row| row.task == piece.task && row.commit == piece.commit) {
                continue;
            }
            match self.repository.merge_trees(&piece.base, &at, &piece.commit).await? {
                Merge::Clean { tree } => {
                    let (parents, message) = ([at.clone()], "orchestrator: tried\n");
                    let new = NewCommit { tree: &tree, parents: &parents, message, author: None };
                    at = self.repository.commit_tree(new).await?;
                }
                Merge::Conflict { files, message, .. } => {
                    refuse(
                        view,
                        place,
                        "conflict",
                        LandRefusal {
                            task: piece.task.to_string(),
                            tip: tip.to_string(),
                            files,
                            message: self.service.known().redactor().text(&message).into_owned(),
                            evidence: None,
                        },
                    );
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn order(&self, piece: &Piece) -> WorkspaceOrder {
        let (run, task) = (self.row.id.clone(), piece.task.clone());
        let policy = Arc::new(WorkspacePolicy::default());
        let directory = self.service.project().to_owned();
        let mut order = WorkspaceOrder::new(run, task, directory, policy);
        order.attempt = piece.attempt;
        order
    }

    fn request(&self, piece: &Piece, unverified: bool) -> LandRequest {
        let policy = LandPolicy {
            mode: self.mode,
            target: Some(self.branch.clone()),
            unverified,
            ..LandPolicy::default()
        };
        LandRequest {
            commit: piece.commit.clone(),
            base: piece.base.clone(),
            policy,
            checks: piece.checks.clone(),
            verified: piece.verified == Some(true),
            priority: piece.priority,
        }
    }
}

fn item(piece: &Piece) -> LandItem {
    LandItem {
        task: piece.task.to_string(),
        attempt: piece.attempt.0,
        commit: piece.commit.to_string(),
        verified: piece.verified,
        state: "not-tried",
        landed: None,
    }
}

fn refuse(view: &mut LandView, place: usize, state: &'static str, refusal: LandRefusal) {
    view.status = state;
    view.items[place].state = state;
    view.refused = Some(refusal);
}

/// Is told how a landing goes. Must not block.
pub type LandWatch = Arc<dyn Fn(&LandStepView) + Send + Sync>;

/// What people call the pieces of a landing.
#[derive(Debug, Default)]
struct Names(Mutex<BTreeMap<LandingId, String>>);

impl Names {
    fn add(&self, id: LandingId, task: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, task);
    }

    /// The task, or the id of what others have in the queue.
    fn of(&self, id: &LandingId) -> String {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(id).cloned().unwrap_or_else(|| id.to_string())
    }
}

/// Tells a front-end of the steps of the queue.
struct Watch {
    tell: LandWatch,
    names: Arc<Names>,
}

impl LandingWatch for Watch {
    fn step(&self, branch: &str, step: &LandingStep) {
        let mut view = LandStepView {
            schema: "orchestrator.land-step/v1",
            branch: branch.to_owned(),
            step: "taken",
            work: Vec::new(),
            pieces: 0,
            commit: None,
            state: None,
        };
        match step {
            LandingStep::Taken => {}
            LandingStep::Joined { work, candidate } => {
                view.step = "joined";
                view.work = work.iter().map(|id| self.names.of(id)).collect();
                view.pieces = work.len();
                view.commit = Some(candidate.to_string());
            }
            LandingStep::Checking { work, candidate } => {
                (view.step, view.pieces) = ("checking", *work);
                view.commit = Some(candidate.to_string());
            }
            LandingStep::Advancing { to } => {
                (view.step, view.commit) = ("advancing", Some(to.to_string()));
            }
            LandingStep::Advanced { to } => {
                (view.step, view.commit) = ("advanced", Some(to.to_string()));
            }
            LandingStep::Settled { work, state } => {
                (view.step, view.pieces, view.state) = ("settled", 1, Some(*state));
                view.work = vec![self.names.of(work)];
            }
            // A step that is not known here says nothing to people either.
            _ => return,
        }
        (self.tell)(&view);
    }
}

/// Nobody follows it; it can be called off.
#[derive(Debug)]
struct Stoppable {
    told: watch::Receiver<bool>,
}

#[async_trait]
impl AttemptHost for Stoppable {
    fn log(&self, _line: LogLine) {}

    fn progress(&self, _progress: Progress) {}

    fn now(&self) -> Timestamp {
        orchestrator_core::engine::SystemClock.now()
    }

    async fn cancelled(&self) {
        let mut told = self.told.clone();
        if told.wait_for(|stopped| *stopped).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending().await
        }
    }
}
