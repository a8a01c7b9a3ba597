//! Committing in the user's checkout.

use super::{GitTools, ToolError, conventional, written};
use crate::git::{GitError, bytes};
use orchestrator_core::{id::CommitId, workspace::ChangedFile};
use serde::Serialize;

/// The words of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewMessage {
    /// As a person gave them.
    Given(String),
    /// As an agent wrote them: made fit and checked by [`written`]; made from what changes when that
    /// fails, which [`Committed::refused`] tells.
    Written(String),
    /// Made from what changes: see [`conventional`].
    Conventional,
}

/// A commit that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Committed {
    /// The commit.
    pub commit: CommitId,
    /// The branch that it is on; none when the head is detached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its message.
    pub message: String,
    /// What it changes, at most [`GitTools::LISTED`].
    pub files: Vec<ChangedFile>,
    /// Whether `files` leaves something out.
    pub is_cut: bool,
    /// Why what an agent wrote is not the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What the next commit is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// All of the files as they will be.
    pub tree: CommitId,
    /// What it changes, at most [`GitTools::LISTED`].
    pub files: Vec<ChangedFile>,
    /// Whether `files` leaves something out.
    pub is_cut: bool,
}

impl GitTools {
    /// Commits what is staged, or with `all` everything that differs and is not ignored. Commits are
    /// not signed. The author is the user as git knows them, or else `orchestrator`.
    ///
    /// # Errors
    /// [`ToolError::NoWords`]; those of [`GitTools::stage`] and [`GitTools::commit_staged`].
    pub async fn commit(&self, message: NewMessage, all: bool) -> Result<Committed, ToolError> {
        refuse_empty(&message)?;
        let staged = self.stage(all).await?;
        self.commit_staged(&staged, message).await
    }

    /// What the next commit is made of: what is staged; with `all` everything that differs and is not
    /// ignored is staged first.
    ///
    /// # Errors
    /// [`ToolError::Nothing`], [`ToolError::Unresolved`]; [`GitError::Unfinished`] and
    /// [`GitError::Locked`] when something else is going on.
    pub async fn stage(&self, all: bool) -> Result<Staged, ToolError> {
        self.repository.check_idle()?;
        let before = self.status().await?;
        if let Some(file) = before.conflicts.into_iter().next() {
            return Err(ToolError::Unresolved { file });
        }
        if all {
            self.run(self.call().await?.args(["add", "--all", "--", "."])).await?;
        }
        let status = self.status().await?;
        if status.staged.is_empty() {
            return Err(ToolError::Nothing);
        }
        let tree = self.staged_tree().await?;
        Ok(Staged { tree, files: status.staged, is_cut: status.is_cut })
    }

    /// Commits just what was staged when [`GitTools::stage`] said so, however long ago that is.
    ///
    /// # Errors
    /// [`ToolError::NoWords`]; [`ToolError::Restaged`] when something else is staged by now; what git
    /// says.
    pub async fn commit_staged(
        &self,
        staged: &Staged,
        message: NewMessage,
    ) -> Result<Committed, ToolError> {
        refuse_empty(&message)?;
        self.repository.check_idle()?;
        if self.staged_tree().await? != staged.tree {
            return Err(ToolError::Restaged);
        }
        let mut refused = None;
        let message = match message {
            NewMessage::Given(text) => text.replace('\0', "\u{fffd}").trim_end().to_owned() + "\n",
            NewMessage::Written(text) => written(&text).unwrap_or_else(|why| {
                refused = Some(why);
                conventional(&staged.files)
            }),
            NewMessage::Conventional => conventional(&staged.files),
        };
        let author = self.repository.identity().await?.unwrap_or_default();
        let mut call = self.call().await?;
        for role in ["AUTHOR", "COMMITTER"] {
            call = call.variable(&format!("GIT_{role}_NAME"), author.name.clone());
            call = call.variable(&format!("GIT_{role}_EMAIL"), author.email.clone());
        }
        let arguments = ["commit", "--quiet", "--no-gpg-sign", "--cleanup=whitespace", "-F", "-"];
        self.run(call.args(arguments).input(message.into_bytes())).await?;
        let head = self.repository.head().await?;
        let commit = head.commit.ok_or(GitError::Unborn)?;
        // A hook may have changed it.
        let made = self.repository.commit(&commit).await?;
        let (files, is_cut) = (staged.files.clone(), staged.is_cut);
        let (branch, message) = (head.branch, made.message);
        Ok(Committed { commit, branch, message, files, is_cut, refused })
    }

    async fn staged_tree(&self) -> Result<CommitId, ToolError> {
        let output = self.run(self.call().await?.args(["write-tree"])).await?;
        Ok(bytes::object(&output, "write-tree")?)
    }
}

fn refuse_empty(message: &NewMessage) -> Result<(), ToolError> {
    match message {
        NewMessage::Given(text) if text.trim().is_empty() => Err(ToolError::NoWords),
        NewMessage::Given(_) | NewMessage::Written(_) | NewMessage::Conventional => Ok(()),
    }
}
