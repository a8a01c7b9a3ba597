//! Why git did not do what was asked.

use crate::git::GitError;
use orchestrator_core::error::ErrorClass;

/// Why git did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is nothing to commit.
    #[error("there is nothing to commit; stage changes with `git add`, or commit all of them")]
    Nothing,
    /// There are files with conflicts.
    #[error("cannot commit: `{file}` has conflicts; resolve them and stage it")]
    Unresolved {
        /// The first of them.
        file: String,
    },
    /// The message has no words.
    #[error("cannot commit: the message has no first line; say what changes, or leave it out")]
    NoWords,
    /// What is staged is not what the message is about.
    #[error(
        "cannot commit: something else is staged than when the message was asked for; look at what \
         is staged and commit again"
    )]
    Restaged,
    /// The branch is there already.
    #[error("cannot make the branch `{0}`: there is one; choose another name")]
    BranchExists(String),
    /// No branch is checked out.
    #[error("no branch is checked out; switch to one (`git switch`) and try again")]
    Detached,
    /// No such remote is set up.
    #[error("there is no remote `{name}`; {}", known(remotes))]
    NoRemote {
        /// What was named.
        name: String,
        /// Those that there are.
        remotes: Vec<String>,
    },
    /// The remote does not take it.
    #[error(
        "`{remote}` does not take `{branch}`: {why}; pull first when it has commits that are not \
         here. Nothing is forced"
    )]
    Rejected {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// What git says.
        why: String,
    },
    /// Both sides have commits that the other does not have.
    #[error(
        "cannot pull `{branch}` from `{remote}`: both have commits that the other does not have; \
         rebase or merge by hand (`git pull --rebase`)"
    )]
    Diverged {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// Git, or what it found.
    #[error(transparent)]
    Git(#[from] GitError),
}

fn known(remotes: &[String]) -> String {
    match remotes {
        [] => "none is set up: add one with `git remote add`".into(),
        some => format!("those that are set up: {}", some.join(", ")),
    }
}

impl ToolError {
    /// How the engine treats it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Nothing
            | Self::Unresolved { .. }
            | Self::NoWords
            | Self::Restaged
            | Self::BranchExists(_)
            | Self::Detached
            | Self::NoRemote { .. }
            | Self::Rejected { .. }
            | Self::Diverged { .. } => ErrorClass::InvalidRequest,
            Self::Git(error) => error.class(),
        }
    }
}
