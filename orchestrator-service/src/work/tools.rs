//! Git in the project's own checkout, for people.

use crate::{
    OrchestratorService, ServiceError,
    views::{
        GitBranchesView, GitCommitView, GitDiffView, GitLogView, GitPullView, GitPushView,
        GitStatusView,
    },
};
use orchestrator_workspace::tools::{GitTools, Hooks, NewMessage};

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
    /// The message; made from what changes when there is none.
    pub message: Option<String>,
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

    /// Commits in the project's checkout.
    ///
    /// # Errors
    /// As for [`OrchestratorService::git_status`].
    pub async fn git_commit(&self, order: CommitOrder) -> Result<GitCommitView, ServiceError> {
        let message = order.message.map_or(NewMessage::Conventional, NewMessage::Given);
        Ok(self.git_tools(order.hooks).await?.commit(message, order.all).await?.into())
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
