//! Committing in the user's checkout.

use super::{GitTools, ToolError, accept, conventional};
use crate::git::GitError;
use orchestrator_core::{id::CommitId, workspace::ChangedFile};
use serde::Serialize;

/// The words of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewMessage {
    /// As a person gave them.
    Given(String),
    /// As an agent wrote them: made fit by [`accept`], and made from what changes when nothing is left.
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
}

impl GitTools {
    /// Commits what is staged, or with `all` everything that differs and is not ignored. Commits are
    /// not signed. The author is the user as git knows them, or else `orchestrator`.
    ///
    /// # Errors
    /// [`ToolError::Nothing`], [`ToolError::Unresolved`], [`ToolError::NoWords`];
    /// [`GitError::Unfinished`] and [`GitError::Locked`] when something else is going on.
    pub async fn commit(&self, message: NewMessage, all: bool) -> Result<Committed, ToolError> {
        self.repository.check_idle()?;
        let before = self.status().await?;
        if let Some(file) = before.conflicts.into_iter().next() {
            return Err(ToolError::Unresolved { file });
        }
        if let NewMessage::Given(text) = &message
            && text.trim().is_empty()
        {
            return Err(ToolError::NoWords);
        }
        if all {
            self.run(self.call().await?.args(["add", "--all", "--", "."])).await?;
        }
        let status = self.status().await?;
        if status.staged.is_empty() {
            return Err(ToolError::Nothing);
        }
        let message = match message {
            NewMessage::Given(text) => text.replace('\0', "\u{fffd}").trim_end().to_owned() + "\n",
            NewMessage::Written(text) => {
                accept(&text).unwrap_or_else(|| conventional(&status.staged))
            }
            NewMessage::Conventional => conventional(&status.staged),
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
        let (files, is_cut) = (status.staged, status.is_cut);
        Ok(Committed { commit, branch: head.branch, message: made.message, files, is_cut })
    }
}
