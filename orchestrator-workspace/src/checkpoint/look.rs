//! Looking at checkpoints, and going back to one.

use super::record::base_of;
use crate::{
    GitWorkspaces,
    git::{CommitInfo, Diff, GitError, checkpoint_ref},
    worktree::Registry,
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{AttemptNumber, CommitId, RunId, TaskName, TurnNumber},
    port::WorkspaceOrder,
    workspace::{Checkpoint, Opened},
};
use std::path::Path;

/// How many checkpoints of an attempt are listed.
const LISTED: usize = 10_000;

/// A checkpoint that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The commit.
    pub commit: CommitId,
    /// The state before: another checkpoint or the base.
    pub before: Option<CommitId>,
    /// The attempt that it was made in: an attempt that went on where another was cut off has those
    /// of that one as well.
    pub attempt: AttemptNumber,
    /// The turn after which it was made; none where no turn ended.
    pub turn: Option<TurnNumber>,
    /// When, in seconds since 1970.
    pub time: i64,
}

impl Recorded {
    /// Reads a commit; `None` when it is no checkpoint.
    fn of(info: CommitInfo) -> Option<Self> {
        let attempt = info.trailer("Orchestrator-Attempt")?.parse().ok().map(AttemptNumber)?;
        info.trailer("Orchestrator-Base")?;
        let turn = info.trailer("Orchestrator-Turn").and_then(|turn| turn.parse().ok());
        Some(Self {
            attempt,
            turn: turn.map(TurnNumber),
            before: info.parents.first().cloned(),
            time: info.time,
            commit: info.id,
        })
    }
}

impl GitWorkspaces {
    /// The checkpoints of an attempt, newest first; none when it has none.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::repository`], and what git says.
    pub async fn checkpoints(
        &self,
        project: &Path,
        run: &RunId,
        task: &TaskName,
        attempt: AttemptNumber,
    ) -> Result<Vec<Recorded>, Failure> {
        let repository = self.repository(project).await?;
        let name = checkpoint_ref(run, task, attempt);
        let Some(newest) = repository.find_ref(&name).await? else { return Ok(Vec::new()) };
        let base = repository.commit(&newest).await?;
        let base = base.trailer("Orchestrator-Base").and_then(|base| CommitId::new(base).ok());
        let history = repository.commits(base.as_ref(), &newest, LISTED).await?;
        Ok(history.into_iter().map_while(Recorded::of).collect())
    }

    /// What differs between two commits, at most `most` bytes of it.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::checkpoints`].
    pub async fn diff(
        &self,
        project: &Path,
        from: &CommitId,
        to: &CommitId,
        most: u64,
    ) -> Result<Diff, Failure> {
        Ok(self.repository(project).await?.diff(from, to, &[], most).await?)
    }

    /// What differs between a commit and the files of a place as they are now.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::checkpoints`]; `invalid_request` when the place is gone or has no git.
    pub async fn diff_files(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        from: &CommitId,
        most: u64,
    ) -> Result<Diff, Failure> {
        let name = self.name_of_git(opened).ok_or_else(no_git)?;
        let _turn = self.turn(&name).await;
        let mark = self.mark(&name)?;
        let repository = self.repository(&order.directory).await?;
        let scanned = self.scan(&repository, order, &name, &mark, base_of(opened)?).await?;
        Ok(repository.diff(from, &scanned.tree, &[], most).await?)
    }

    /// The files of a place as they are now, as a tree: what [`GitWorkspaces::diff_files`] compares.
    ///
    /// # Errors
    /// As there.
    pub async fn files_now(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
    ) -> Result<CommitId, Failure> {
        let name = self.name_of_git(opened).ok_or_else(no_git)?;
        let _turn = self.turn(&name).await;
        let mark = self.mark(&name)?;
        let repository = self.repository(&order.directory).await?;
        Ok(self.scan(&repository, order, &name, &mark, base_of(opened)?).await?.tree)
    }

    /// Brings the files of a place to those of a commit, such as a checkpoint. What is there now is
    /// recorded before, and told: nothing that can be recorded is lost. What is ignored or was left
    /// out stays as it is. The next checkpoint goes on from the present ones; nothing is rewritten.
    ///
    /// # Errors
    /// As for [`GitWorkspaces::diff_files`]; `transient` while another process uses the place.
    pub async fn restore(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        commit: &CommitId,
    ) -> Result<Option<Checkpoint>, Failure> {
        let name = self.name_of_git(opened).ok_or_else(no_git)?;
        let _turn = self.turn(&name).await;
        let is_ours = self.claims().contains_key(&name);
        let _claim = match is_ours {
            true => None,
            false => Some(self.claim(&name).await?),
        };
        let mark = self.mark(&name)?;
        let repository = self.repository(&order.directory).await?;
        if !repository.holds(commit).await? {
            return Err(GitError::Unknown { name: commit.to_string() }.into());
        }
        let before = self.record(order, opened, &name, &mark, None).await?;
        let (top, index) = (self.registry.directory(&name), self.registry.beside(&name, "index"));
        repository.switch(commit, &top, &index).await?;
        Ok(before)
    }

    /// The place of an attempt: what [`GitWorkspaces::restore`] needs of one that a person names.
    ///
    /// # Errors
    /// `invalid_request` when it is not there any more.
    pub fn find(
        &self,
        run: &RunId,
        task: &TaskName,
        attempt: AttemptNumber,
    ) -> Result<(WorkspaceOrder, Opened), Failure> {
        let name = Registry::name(run, task, attempt);
        let mark = self.mark(&name)?;
        Ok(mark.opened(self.registry.directory(&name)))
    }
}

fn no_git() -> Failure {
    Failure::new(
        ErrorClass::InvalidRequest,
        "the workspace has no git: only worktrees are recorded",
    )
}
