//! Pushing and pulling: by the user's remotes and credentials, never by force.

use super::{GitTools, ToolError};
use crate::git::{GitError, program::Call};
use orchestrator_core::id::CommitId;
use serde::Serialize;

/// By what remotes are reached. Not `ext`, which runs whatever an address says.
const PROTOCOLS: &str = "file:git:http:https:ssh";

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    /// The remote.
    pub remote: String,
    /// The branch, here and there.
    pub branch: String,
    /// Where it is now, on both sides.
    pub commit: CommitId,
    /// Whether the remote had it already.
    pub was_there: bool,
}

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pulled {
    /// The remote.
    pub remote: String,
    /// The branch.
    pub branch: String,
    /// Where it was.
    pub before: CommitId,
    /// Where it is.
    pub after: CommitId,
}

impl GitTools {
    /// Pushes the branch `branch`, or the one that is checked out, to the remote that is set up
    /// under that name; `origin`, or the only one, unless it is said. Only forward.
    ///
    /// # Errors
    /// [`ToolError::NoRemote`], [`ToolError::Detached`], [`ToolError::Rejected`]; what git says, such
    /// as that credentials are wanting: nobody is asked for them.
    pub async fn push(
        &self,
        remote: Option<&str>,
        branch: Option<&str>,
    ) -> Result<Pushed, ToolError> {
        let (remote, branch) = self.ends(remote, branch).await?;
        let full = format!("refs/heads/{branch}");
        let commit = self.repository.find_ref(&full).await?;
        let commit = commit.ok_or_else(|| GitError::Unknown { name: branch.clone() })?;
        // The commit and not the branch: what is told is what was pushed.
        let arguments = ["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"];
        let more = ["--receive-pack=git-receive-pack", "--end-of-options"];
        let spec = format!("{commit}:{full}");
        let call = self.reaching(self.call().await?).args(arguments).args(more);
        let output = self.repository.git().call(call.args([&*remote, &*spec])).await?;
        let told = String::from_utf8_lossy(&output.stdout);
        let line = told.lines().find(|line| line.contains(&full));
        if output.code == Some(0) {
            let was_there = line.is_some_and(|line| line.starts_with('='));
            return Ok(Pushed { remote, branch, commit, was_there });
        }
        match line.filter(|line| line.starts_with('!')) {
            Some(line) => {
                let why = line.rsplit('\t').next().unwrap_or_default().to_owned();
                Err(ToolError::Rejected { remote, branch, why })
            }
            None => Err(GitError::of("push", &output.stderr).into()),
        }
    }

    /// Brings the branch that is checked out forward to where the remote has it.
    ///
    /// # Errors
    /// [`ToolError::NoRemote`], [`ToolError::Detached`], [`ToolError::Diverged`];
    /// [`GitError::Unfinished`] and [`GitError::Locked`]; what git says, such as that a file that was
    /// changed here would be overwritten.
    pub async fn pull(&self, remote: Option<&str>) -> Result<Pulled, ToolError> {
        self.repository.check_idle()?;
        let (remote, branch) = self.ends(remote, None).await?;
        let before = self.repository.head_commit().await?;
        let full = format!("refs/heads/{branch}");
        let arguments = ["fetch", "--quiet", "--no-tags", "--recurse-submodules=no"];
        let more = ["--upload-pack=git-upload-pack", "--no-write-fetch-head", "--end-of-options"];
        // Beside the user's own remote-tracking branches, so that what is merged is what came now.
        let place = format!("refs/orchestrator/pull/{branch}");
        let spec = format!("+{full}:{place}");
        let call = self.reaching(self.call().await?).args(arguments).args(more);
        self.run(call.args([&*remote, &*spec])).await?;
        let there = self.repository.find_ref(&place).await?;
        let there = there.ok_or_else(|| GitError::Unknown { name: branch.clone() })?;
        self.repository.update_ref(&place, None, Some(&there), "orchestrator: pulled").await?;
        if self.repository.is_ancestor(&there, &before).await? {
            let after = before.clone();
            return Ok(Pulled { remote, branch, before, after });
        }
        if !self.repository.is_ancestor(&before, &there).await? {
            return Err(ToolError::Diverged { remote, branch });
        }
        let arguments = ["merge", "--ff-only", "--no-autostash", "--quiet", "--end-of-options"];
        self.run(self.call().await?.args(arguments).args([there.as_str()])).await?;
        Ok(Pulled { remote, branch, before, after: there })
    }

    /// A call that may talk to remotes.
    fn reaching<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.variable("GIT_ALLOW_PROTOCOL", PROTOCOLS)
    }

    /// The remote and the branch.
    async fn ends(
        &self,
        remote: Option<&str>,
        branch: Option<&str>,
    ) -> Result<(String, String), ToolError> {
        let output = self.run(self.call().await?.args(["remote"])).await?;
        let text = String::from_utf8_lossy(&output);
        let remotes: Vec<String> = text.lines().map(str::to_owned).collect();
        let only = || match remotes.as_slice() {
            [one] => one.clone(),
            _ => "origin".to_owned(),
        };
        let name = remote.map_or_else(only, str::to_owned);
        if !remotes.contains(&name) {
            return Err(ToolError::NoRemote { name, remotes });
        }
        let branch = match branch {
            Some(branch) => branch.to_owned(),
            None => self.repository.head().await?.branch.ok_or(ToolError::Detached)?,
        };
        Ok((name, branch))
    }
}
