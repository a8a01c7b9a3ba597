//! Commits: reading and making them.

use super::{GitError, Repository, bytes};
use orchestrator_core::id::CommitId;

/// Who makes commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Default for Identity {
    /// Who commits when the user has said nothing of themselves.
    fn default() -> Self {
        Self { name: "orchestrator".into(), email: "orchestrator@localhost".into() }
    }
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The commit.
    pub id: CommitId,
    /// Its tree.
    pub tree: CommitId,
    /// What it was made on.
    pub parents: Vec<CommitId>,
    /// When it was made, in seconds since 1970.
    pub time: i64,
    /// Who made it.
    pub author: Identity,
    /// The whole message, lossy where it is not UTF-8.
    pub message: String,
}

impl CommitInfo {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The value of the last line `NAME: VALUE` in the last paragraph of the message.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        let last = self.message.trim_end().rsplit("\n\n").next()?;
        let value = |line: &'_ str| -> Option<(usize, usize)> {
            let (key, value) = line.split_once(':')?;
            let start = line.len() - value.len();
            key.trim().eq_ignore_ascii_case(name).then_some((start, line.len()))
        };
        last.lines().rev().find_map(|line| value(line).map(|(from, to)| line[from..to].trim()))
    }
}

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit<'a> {
    /// Its tree.
    pub tree: &'a CommitId,
    /// What it is made on, in this order.
    pub parents: &'a [CommitId],
    /// The message; a trailing paragraph of trailers is the caller's.
    pub message: &'a str,
    /// Who makes it; the user's own identity, or else the default one, when it is not said.
    pub author: Option<&'a Identity>,
}

impl Repository {
    /// The user's identity as git knows it for this repository; `None` when it is not set.
    ///
    /// # Errors
    /// What git says.
    pub async fn identity(&self) -> Result<Option<Identity>, GitError> {
        let arguments = ["config", "-z", "--get-regexp", r"^user\.(name|email)$"];
        let output = self.git().call(self.call().await?.args(arguments)).await?;
        let (mut name, mut email) = (None, None);
        for (key, value) in super::drivers::entries(&output.stdout) {
            match key.as_str() {
                "user.name" => name = Some(value),
                "user.email" => email = Some(value),
                _ => {}
            }
        }
        Ok(name.zip(email).map(|(name, email)| Identity { name, email }))
    }

    /// Makes a commit. No ref leads to it yet.
    ///
    /// # Errors
    /// What git says.
    pub async fn commit_tree(&self, commit: NewCommit<'_>) -> Result<CommitId, GitError> {
        let author = match commit.author {
            Some(author) => author.clone(),
            None => self.identity().await?.unwrap_or_default(),
        };
        let mut call = self.call().await?.args(["commit-tree", "--no-gpg-sign"]);
        for parent in commit.parents {
            call = call.args(["-p", parent.as_ref()]);
        }
        call = call.args(["-F", "-", commit.tree.as_ref()]);
        for role in ["AUTHOR", "COMMITTER"] {
            call = call.variable(&format!("GIT_{role}_NAME"), author.name.clone());
            call = call.variable(&format!("GIT_{role}_EMAIL"), author.email.clone());
        }
        let message = commit.message.replace('\0', "\u{fffd}");
        let message = if message.trim().is_empty() { "(no message)".to_owned() } else { message };
        let output = self.git().run(call.input(message.into_bytes())).await?;
        bytes::object(&output, "commit-tree")
    }

    /// What a commit says.
    ///
    /// # Errors
    /// [`GitError::Unknown`] when it is not there.
    pub async fn commit(&self, id: &CommitId) -> Result<CommitInfo, GitError> {
        let found = self.log(&[id.as_ref()], 1).await?;
        found.into_iter().next().ok_or_else(|| GitError::Unknown { name: id.to_string() })
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// [`GitError::Unknown`] when it is not there.
    pub async fn tree(&self, commit: &CommitId) -> Result<CommitId, GitError> {
        let wanted = format!("{commit}^{{tree}}");
        let call = self.call().await?;
        let output = self.git().call(call.args(["rev-parse", "-q", "--verify", &wanted])).await?;
        match output.code {
            Some(0) => bytes::object(&output.stdout, "rev-parse"),
            _ => Err(GitError::Unknown { name: commit.to_string() }),
        }
    }

    /// The commits that lead to `to` and not to `from`, newest first, at most `most`.
    ///
    /// # Errors
    /// [`GitError::Unknown`] when one of them is not there.
    pub async fn commits(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        most: usize,
    ) -> Result<Vec<CommitInfo>, GitError> {
        let not = from.map(|from| format!("^{from}"));
        let mut ends = vec![to.as_ref()];
        ends.extend(not.as_deref());
        self.log(&ends, most).await
    }

    async fn log(&self, ends: &[&str], most: usize) -> Result<Vec<CommitInfo>, GitError> {
        let format = "--format=%H%x00%T%x00%P%x00%ct%x00%an%x00%ae%x00%B%x00";
        let most = format!("--max-count={most}");
        let arguments =
            ["log", "--topo-order", "--no-show-signature", "--no-color", "--no-decorate"];
        let call = self.call().await?.args(arguments).args(["--encoding=UTF-8", &most, format]);
        let output = self.git().call(call.args(ends).args(["--"])).await?;
        if output.code != Some(0) {
            let is_unknown =
                ["bad object", "bad revision", "unknown revision", "ambiguous argument"]
                    .iter()
                    .any(|sign| output.stderr.contains(sign));
            return Err(match ends.first() {
                Some(name) if is_unknown => GitError::Unknown { name: (*name).into() },
                _ => GitError::of("log", &output.stderr),
            });
        }
        let unreadable = || GitError::Unreadable { command: "log".into() };
        let id = |text: &str| CommitId::new(text.trim()).map_err(|_| unreadable());
        let mut parts = output.stdout.split(|b| *b == 0).map(String::from_utf8_lossy);
        let mut found = Vec::new();
        while let Some(first) = parts.next().filter(|first| !first.trim().is_empty()) {
            let mut next = || parts.next().ok_or_else(unreadable);
            found.push(CommitInfo {
                id: id(&first)?,
                tree: id(&next()?)?,
                parents: next()?.split_whitespace().map(id).collect::<Result<_, _>>()?,
                time: next()?.parse().map_err(|_| unreadable())?,
                author: Identity { name: next()?.into_owned(), email: next()?.into_owned() },
                message: next()?.trim_end_matches('\n').to_owned(),
            });
        }
        Ok(found)
    }

    /// Whether `earlier` is `later` or leads to it.
    ///
    /// # Errors
    /// What git says.
    pub async fn is_ancestor(
        &self,
        earlier: &CommitId,
        later: &CommitId,
    ) -> Result<bool, GitError> {
        let arguments = ["merge-base", "--is-ancestor", earlier.as_ref(), later.as_ref()];
        let output = self.git().call(self.call().await?.args(arguments)).await?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(GitError::of("merge-base", &output.stderr)),
        }
    }

    /// The best common ancestor of two commits; `None` when they have none.
    ///
    /// # Errors
    /// What git says.
    pub async fn merge_base(
        &self,
        one: &CommitId,
        other: &CommitId,
    ) -> Result<Option<CommitId>, GitError> {
        let arguments = ["merge-base", one.as_ref(), other.as_ref()];
        let output = self.git().call(self.call().await?.args(arguments)).await?;
        match output.code {
            Some(0) => bytes::object(&output.stdout, "merge-base").map(Some),
            Some(1) => Ok(None),
            _ => Err(GitError::of("merge-base", &output.stderr)),
        }
    }
}
