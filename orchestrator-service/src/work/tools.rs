//! Git in the project's own checkout, for people.

use super::writer::{MOST_DIFF, Writer, Wrote};
use crate::{
    OrchestratorService, ServiceError,
    views::{
        GitBranchesView, GitCommitView, GitDiffView, GitLogView, GitPullView, GitPushView,
        GitStatusView,
    },
};
use orchestrator_workspace::tools::{GitTools, Hooks, NewMessage};
use std::future::Future;

/// The most bytes of differences that are shown.
const DIFF: u64 = 1 << 20;

/// Which differences are wanted.
#[derive(Debug, Clone, Default)]
pub struct DiffOrder {
    /// What is staged, in place of what differs from that.
    pub staged: bool,
    /// Only in these; all when there are none.
    pub paths: Vec<String>,
}

/// What is to be committed.
#[derive(Debug, Clone, Default)]
pub struct CommitOrder {
    /// The message; without one an agent is asked, or it is made from what changes.
    pub message: Option<String>,
    /// Who writes the message where none is given. When that comes to nothing the message is made from
    /// what changes, and the view says so.
    pub writer: Option<Writer>,
    /// Everything that differs and is not ignored, in place of what is staged.
    pub all: bool,
    /// Whether the repository's hooks run.
    pub hooks: bool,
}

impl OrchestratorService {
    async fn git_tools(&self, hooks: bool) -> Result<GitTools, ServiceError> {
        let hooks = if hooks { Hooks::Allowed } else { Hooks::Off };
        Ok(GitTools::new(self.repository().await?, hooks))
    }

    /// What the project's checkout is on, and what differs there.
    ///
    /// # Errors
    /// [`ServiceError::Git`], [`ServiceError::GitTool`].
    pub async fn git_status(&self) -> Result<GitStatusView, ServiceError> {
        Ok(self.git_tools(false).await?.status().await?.into())
    }

    /// What differs in the project's checkout, at most 1 MiB.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_diff(&self, order: &DiffOrder) -> Result<GitDiffView, ServiceError> {
        let diff = self.git_tools(false).await?.diff(order.staged, &order.paths, DIFF).await?;
        Ok(GitDiffView::new(order.staged, diff))
    }

    /// The commits that lead to `name`, or to where the checkout is, newest first.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_log(
        &self,
        name: Option<&str>,
        most: usize,
    ) -> Result<GitLogView, ServiceError> {
        let items = self.git_tools(false).await?.log(name, most).await?;
        let items = items.into_iter().map(Into::into).collect();
        Ok(GitLogView { schema: "orchestrator.git-log/v1", items })
    }

    /// The branches.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_branches(&self) -> Result<GitBranchesView, ServiceError> {
        let items = self.git_tools(false).await?.branches().await?;
        let items = items.into_iter().map(Into::into).collect();
        Ok(GitBranchesView { schema: "orchestrator.git-branches/v1", created: None, items })
    }

    /// Makes a branch at a commit, or where the checkout is. The checkout stays as it is.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_create_branch(
        &self,
        name: &str,
        at: Option<&str>,
    ) -> Result<GitBranchesView, ServiceError> {
        let made = self.git_tools(false).await?.create_branch(name, at).await?;
        let (created, items) = (Some(made.name.clone()), vec![made.into()]);
        Ok(GitBranchesView { schema: "orchestrator.git-branches/v1", created, items })
    }

    /// Commits in the project's checkout. What is committed is what was staged when the call began,
    /// however long an agent writes. `None` when `stop` has called it off before anything was
    /// committed.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`]; an agent that cannot be asked.
    pub async fn git_commit(
        &self,
        order: CommitOrder,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Option<GitCommitView>, ServiceError> {
        let tools = self.git_tools(order.hooks).await?;
        if let Some(message) = order.message {
            let made = tools.commit(NewMessage::Given(message), order.all).await?;
            return Ok(Some(GitCommitView::new(made, "given", None)));
        }
        if let Some(writer) = &order.writer {
            self.judge_writer(writer).await?;
        }
        let staged = tools.stage(order.all).await?;
        let Some(writer) = order.writer else {
            let made = tools.commit_staged(&staged, NewMessage::Conventional).await?;
            return Ok(Some(GitCommitView::new(made, "files", None)));
        };
        let mut diff = tools.diff(true, &[], MOST_DIFF).await?;
        if diff.is_cut {
            diff.text.push_str("(the rest is left out)\n");
        }
        match self.ask_for_message(&writer, &staged.files, diff.text, stop).await? {
            Wrote::CalledOff => Ok(None),
            Wrote::Answered { message: Some(text), told } => {
                let made = tools.commit_staged(&staged, NewMessage::Written(text)).await?;
                Ok(Some(GitCommitView::new(made, "agent", Some(told))))
            }
            Wrote::Answered { message: None, told } => {
                let made = tools.commit_staged(&staged, NewMessage::Conventional).await?;
                Ok(Some(GitCommitView::new(made, "files", Some(told))))
            }
        }
    }

    /// Pushes a branch, or the one that is checked out, to a remote that is set up. Only forward.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_push(
        &self,
        remote: Option<&str>,
        branch: Option<&str>,
        hooks: bool,
    ) -> Result<GitPushView, ServiceError> {
        Ok(self.git_tools(hooks).await?.push(remote, branch).await?.into())
    }

    /// Brings the branch that is checked out forward to where a remote has it.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_pull(
        &self,
        remote: Option<&str>,
        hooks: bool,
    ) -> Result<GitPullView, ServiceError> {
        Ok(self.git_tools(hooks).await?.pull(remote).await?.into())
    }
}
