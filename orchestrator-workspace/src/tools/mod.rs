//! Git for people and agents: what they look at and what they ask for, in the project's own checkout.
//!
//! Unlike the rest of this crate, [`GitTools`] changes the user's index, branch and remotes, because
//! that is what was asked: [`GitTools::commit`], [`GitTools::create_branch`], [`GitTools::push`] and
//! [`GitTools::pull`]. Nothing is forced, rewritten or thrown away. Hooks run only where they are
//! allowed. What is given back is bounded.

mod commit;
mod error;
mod look;
mod message;
mod remote;

pub use commit::{Committed, NewMessage, Staged};
pub use error::ToolError;
pub use look::{Branch, LogEntry, Status};
pub use message::{accept, check_conventional, conventional, written};
pub use remote::{Pulled, Pushed};

use crate::git::{GitError, Repository, program::Call};

/// Whether the hooks of the repository run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hooks {
    /// They do not.
    #[default]
    Off,
    /// They do, as when the user types the command.
    Allowed,
}

/// Git in the checkout that a project is in.
#[derive(Debug, Clone)]
pub struct GitTools {
    repository: Repository,
    hooks: Hooks,
}

impl GitTools {
    /// The most entries in each list that is given back, unless it is asked for fewer.
    pub const LISTED: usize = 500;

    /// Tools on a repository.
    pub fn new(repository: Repository, hooks: Hooks) -> Self {
        Self { repository, hooks }
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// A call in the user's checkout.
    async fn call(&self) -> Result<Call<'_>, GitError> {
        let there = &self.repository;
        let mut call = there.call().await?.work_tree(there.top());
        call.git_dir = Some(there.git_dir());
        let is_sparse = there.git_dir().join("info/sparse-checkout").exists();
        call.settings.push(("core.sparseCheckout".into(), is_sparse.to_string()));
        if self.hooks == Hooks::Allowed {
            call.settings.push(("core.hooksPath".into(), self.hooks_path().await?));
        }
        Ok(call)
    }

    /// Where the user keeps hooks.
    async fn hooks_path(&self) -> Result<String, GitError> {
        for scope in ["--local", "--global", "--system"] {
            let arguments = ["config", scope, "-z", "--type=path", "--get", "core.hooksPath"];
            let call = self.repository.call().await?.args(arguments);
            let output = self.repository.git().call(call).await?;
            if output.code == Some(0) {
                let path = String::from_utf8_lossy(&output.stdout);
                return Ok(path.trim_end_matches('\0').to_owned());
            }
        }
        Ok(self.repository.common_dir().join("hooks").to_string_lossy().into_owned())
    }

    async fn run(&self, call: Call<'_>) -> Result<Vec<u8>, GitError> {
        self.repository.git().run(call).await
    }
}
