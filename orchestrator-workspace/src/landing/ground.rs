//! The repository as a queue sees it: branches that work is put together on.

use super::LandError;
use crate::git::{GitError, Identity, Merge, NewCommit, Repository};
use orchestrator_core::id::CommitId;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How often a locked ref is tried again, and how long after each try.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Whose branches are this program's own: nobody else writes them.
const OWN: &str = "orchestrator/";

/// Whether a branch was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is where it was to be.
    Yes,
    /// Somebody else moved it meanwhile.
    Elsewhere,
}

/// A commit to be made of a tree.
pub(super) struct Made<'a> {
    pub(super) tree: &'a CommitId,
    pub(super) parents: &'a [CommitId],
    pub(super) message: &'a str,
    pub(super) author: Option<&'a Identity>,
}

/// The repository, for one branch.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) repository: Repository,
    pub(super) branch: String,
}

impl Ground {
    pub(super) fn new(repository: Repository, branch: &str) -> Self {
        Self { repository, branch: branch.to_owned() }
    }

    fn full(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// Where the branch is; `None` when there is none.
    pub(super) async fn tip(&self) -> Result<Option<CommitId>, LandError> {
        Ok(self.repository.find_ref(&self.full()).await?)
    }

    /// Makes the branch at `at`.
    pub(super) async fn begin(&self, at: &CommitId) -> Result<Moved, LandError> {
        self.set(at, None, "orchestrator: a result branch begins").await
    }

    /// Moves the branch from `old` to `new`, unless it is not at `old`. Where it is checked out, the
    /// files go along.
    pub(super) async fn advance(
        &self,
        new: &CommitId,
        old: &CommitId,
        reason: &str,
        may_update: bool,
    ) -> Result<Moved, LandError> {
        match self.checked_out().await? {
            None => self.set(new, Some(old), reason).await,
            Some(directory) => {
                self.check_checkout(&directory, may_update).await?;
                if self.tip().await?.as_ref() != Some(old) {
                    return Ok(Moved::Elsewhere);
                }
                self.update_checkout(&directory, new, reason).await
            }
        }
    }

    /// Moves the ref. One whose lock is held is tried again for a while. A lock that stays on a
    /// branch of our own was left by a git that was killed: whoever calls this is the only one that
    /// moves the branch.
    async fn set(
        &self,
        new: &CommitId,
        old: Option<&CommitId>,
        reason: &str,
    ) -> Result<Moved, LandError> {
        let mut tries = 0;
        loop {
            let locked =
                match self.repository.update_ref(&self.full(), Some(new), old, reason).await {
                    Ok(()) => return Ok(Moved::Yes),
                    Err(GitError::Moved { .. }) => return Ok(Moved::Elsewhere),
                    Err(GitError::Locked { path }) => path,
                    Err(error) => return Err(error.into()),
                };
            tries += 1;
            if tries > TRIES {
                return Err(GitError::Locked { path: locked }.into());
            }
            if tries == TRIES && self.is_own_lock(&locked) {
                tracing::warn!(lock = %locked.display(), "removing a lock that was left behind");
                let _ = tokio::fs::remove_file(&locked).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether `lock` is that of this branch, and the branch one that nobody else moves.
    fn is_own_lock(&self, lock: &Path) -> bool {
        let own = self.repository.common_dir().join(format!("{}.lock", self.full()));
        let same = match (own.canonicalize(), lock.canonicalize()) {
            (Ok(own), Ok(lock)) => own == lock,
            (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => own == lock,
        };
        self.branch.starts_with(OWN) && same
    }

    /// The checkout that is on the branch.
    ///
    /// # Errors
    /// [`GitError::Unfinished`] when one is to come back to it: git moves the branch itself then, and
    /// from where it was.
    pub(super) async fn checked_out(&self) -> Result<Option<PathBuf>, LandError> {
        let linked = self.repository.worktrees().await?;
        let open = self.repository.returning_to(&self.full());
        if let Some((path, operation)) = open {
            return Err(GitError::Unfinished { operation, path }.into());
        }
        let on_it = linked.into_iter().find(|one| one.branch.as_deref() == Some(&*self.branch));
        Ok(on_it.map(|one| one.directory))
    }

    /// Refuses when a checkout that is on the branch may not be changed, or has changes.
    pub(super) async fn check_checkout(
        &self,
        directory: &Path,
        may_update: bool,
    ) -> Result<(), LandError> {
        let (branch, directory) = (self.branch.clone(), directory.to_owned());
        if !may_update {
            return Err(LandError::CheckedOut { branch, directory });
        }
        let there = Repository::discover(self.repository.git(), &directory).await?;
        there.check_idle()?;
        // Files that are left out of a checkout on purpose would come into it.
        if there.git_dir().join("info/sparse-checkout").exists() {
            return Err(LandError::CheckedOut { branch, directory });
        }
        let mut call = there.call().await?.work_tree(there.top());
        call.git_dir = Some(there.git_dir());
        let call = call.args(["status", "--porcelain", "-z", "--untracked-files=no"]);
        match there.git().run(call).await?.is_empty() {
            true => Ok(()),
            false => Err(LandError::DirtyCheckout { branch, directory }),
        }
    }

    /// Moves a checkout and its branch forward.
    async fn update_checkout(
        &self,
        directory: &Path,
        new: &CommitId,
        reason: &str,
    ) -> Result<Moved, LandError> {
        let there = Repository::discover(self.repository.git(), directory).await?;
        let mut call = there.call().await?.work_tree(there.top());
        call.git_dir = Some(there.git_dir());
        let call = call.variable("GIT_REFLOG_ACTION", reason.replace(char::is_control, " "));
        let call = call.args(["merge", "--ff-only", "--no-autostash", "--quiet"]);
        let merged = there.git().run(call.args(["--end-of-options", new.as_str()])).await;
        // Whoever switched the checkout just now has moved another branch than was meant, forward
        // to what it contains; only where the branch is now counts.
        match self.tip().await?.as_ref() == Some(new) {
            true => Ok(Moved::Yes),
            false => match merged {
                Ok(_) => Ok(Moved::Elsewhere),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Brings what changed from `base` to `theirs` onto `ours`.
    pub(super) async fn merge(
        &self,
        base: &CommitId,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<Merge, LandError> {
        Ok(self.repository.merge_trees(base, ours, theirs).await?)
    }

    /// Makes a commit; no branch leads to it yet.
    pub(super) async fn make(&self, commit: Made<'_>) -> Result<CommitId, LandError> {
        let Made { tree, parents, message, author } = commit;
        Ok(self.repository.commit_tree(NewCommit { tree, parents, message, author }).await?)
    }

    /// Whether `later` is `earlier` or comes after it; not when `earlier` is not there any more.
    pub(super) async fn contains(
        &self,
        later: &CommitId,
        earlier: &CommitId,
    ) -> Result<bool, LandError> {
        match self.repository.is_ancestor(earlier, later).await {
            Ok(found) => Ok(found),
            // A candidate that never landed may have been cleaned away.
            Err(GitError::Missing { .. } | GitError::Failed { .. } | GitError::Unknown { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
