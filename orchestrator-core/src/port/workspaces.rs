//! The workspace port: where attempts work, how their work is recorded, proved and landed.

use crate::{
    error::Failure,
    id::{
        AgentName, AttemptNumber, CommitId, Epoch, ProjectId, RunId, TaskName, TenantId, TurnNumber,
    },
    port::AttemptHost,
    task::Priority,
    workspace::{
        Checkpoint, ChecksPolicy, Evidence, LandPolicy, Landing, Opened, Snapshot, WorkspacePolicy,
    },
};
use async_trait::async_trait;
use std::{path::PathBuf, sync::Arc};

/// Gives attempts a place to work in, and records, proves and lands what they make there.
///
/// Every call may be made again after a crash and is harmless then: what is there is found, what is
/// half done is finished or begun again. Nothing that the user has is changed: not the checkout, the
/// index, the stashes, nor a branch that is not named as a target.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Makes the place of an attempt ready.
    ///
    /// # Errors
    /// `invalid_request` when the project cannot be used so, with what to do; `unsafe` when it
    /// cannot be confined as asked; `transient` when the machine fails, such as a full disk;
    /// `cancelled` when `host` says so.
    async fn open(&self, order: &WorkspaceOrder, host: &dyn AttemptHost)
    -> Result<Opened, Failure>;

    /// Records the present state of a worktree on a hidden ref; `None` when nothing has changed
    /// since the last checkpoint, or the workspace has no git.
    ///
    /// # Errors
    /// As for [`Workspaces::open`].
    async fn checkpoint(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Checkpoint>, Failure>;

    /// Looks whether the place has grown beyond the quota of its policy. The engine asks from time to
    /// time while an attempt works there, and stops it when this fails; other calls may be under way
    /// meanwhile. Nothing is measured unless an implementation says otherwise.
    ///
    /// # Errors
    /// `tool_failed` when it has, with how much it takes.
    async fn measure(&self, order: &WorkspaceOrder, opened: &Opened) -> Result<(), Failure> {
        let _ = (order, opened);
        Ok(())
    }

    /// Records what the attempt has made as one commit on its base, whatever the agent did to
    /// branches and history; `None` when the workspace has no git.
    ///
    /// # Errors
    /// As for [`Workspaces::open`].
    async fn snapshot(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        message: &str,
    ) -> Result<Option<Snapshot>, Failure>;

    /// Runs the checks in a fresh, confined checkout of a commit, and looks for what weakens them.
    /// A check that fails is evidence and no error. What each check printed comes beside it, in the
    /// same order.
    ///
    /// # Errors
    /// As for [`Workspaces::open`].
    async fn check(
        &self,
        order: &WorkspaceOrder,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
        host: &dyn AttemptHost,
    ) -> Result<Checked, Failure>;

    /// Brings a commit onto a branch, in its turn: together with what is there, checked together,
    /// and by fast-forward.
    ///
    /// # Errors
    /// As for [`Workspaces::open`]. A conflict or a red result is no error.
    async fn land(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        host: &dyn AttemptHost,
    ) -> Result<Landing, Failure>;

    /// Lets go of the place of an attempt that has ended: with `keep` it stays for people to look
    /// at until it is cleaned away, else it is removed. Commits and branches stay.
    ///
    /// # Errors
    /// As for [`Workspaces::open`].
    async fn close(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        keep: bool,
    ) -> Result<(), Failure>;
}

/// Which attempt wants a place, and what kind.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkspaceOrder {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// Which try.
    pub attempt: AttemptNumber,
    /// The fencing token of the attempt.
    pub epoch: Epoch,
    /// Whose project it is.
    pub tenant: TenantId,
    /// The project's id.
    pub project: ProjectId,
    /// Who works there, when that is known.
    pub agent: Option<AgentName>,
    /// The project's directory.
    pub directory: PathBuf,
    /// What the task declares.
    pub policy: Arc<WorkspacePolicy>,
    /// From where it begins.
    pub start: Start,
    /// Commits that tasks of another run had landed on its result branch and that were carried over
    /// into this run, all on one line: the result branch of this run begins at the last of that
    /// line, and not where the project is.
    pub carried: Vec<CommitId>,
}

impl WorkspaceOrder {
    /// An order of the first attempt, with only what no attempt can lack; the public fields take the
    /// rest.
    pub fn new(
        run: RunId,
        task: TaskName,
        directory: PathBuf,
        policy: Arc<WorkspacePolicy>,
    ) -> Self {
        Self {
            run,
            task,
            attempt: AttemptNumber(1),
            epoch: Epoch(1),
            tenant: TenantId::default(),
            project: ProjectId::default(),
            agent: None,
            directory,
            policy,
            start: Start::Tip,
            carried: Vec::new(),
        }
    }
}

/// From where an attempt begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// From the tip of the run's result branch, which begins where the project was when the run
    /// first asked for a workspace.
    #[default]
    Tip,
    /// In the place of an attempt that was cut off, with the files as they are there; from its last
    /// checkpoint when the place is gone.
    Resume(Opened),
    /// From what an earlier attempt made, on the same base: it is to be mended.
    Mend {
        /// The base.
        base: CommitId,
        /// What the earlier attempt made.
        commit: CommitId,
    },
    /// From a commit, with what an earlier attempt made brought onto it: conflicts stand in the
    /// files, between the marks that git makes.
    Onto {
        /// The commit to begin from.
        tip: CommitId,
        /// What the earlier attempt made.
        commit: CommitId,
    },
}

/// What came of checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The evidence; its `output`s are not filled in yet.
    pub evidence: Evidence,
    /// What each check printed, up to a bound, in the order of the evidence.
    pub outputs: Vec<Vec<u8>>,
}

/// Work that wants onto a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct LandRequest {
    /// The commit.
    pub commit: CommitId,
    /// What it was made on.
    pub base: CommitId,
    /// Where to and how.
    pub policy: LandPolicy,
    /// What has to pass on the result.
    pub checks: ChecksPolicy,
    /// Whether the commit itself is verified.
    pub verified: bool,
    /// How urgent it is among those that wait.
    pub priority: Priority,
}
