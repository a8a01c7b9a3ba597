//! Refs: where they lead, and moving them only from where they were.

use super::{GitError, Repository, bytes, names};
use orchestrator_core::id::CommitId;

/// What the user's checkout is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit; none on a branch without one.
    pub commit: Option<CommitId>,
    /// The branch, without `refs/heads/`; none when the head is detached.
    pub branch: Option<String>,
}

/// How a ref is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// The full name, such as `refs/heads/main`.
    pub name: String,
    /// Where it leads then; none when it is to go.
    pub new: Option<CommitId>,
    /// Where it leads now; none when it is not there.
    pub old: Option<CommitId>,
}

impl Repository {
    /// What the user's checkout is on.
    ///
    /// # Errors
    /// What git says.
    pub async fn head(&self) -> Result<Head, GitError> {
        let mut at_commit =
            self.call().await?.args(["rev-parse", "-q", "--verify", "HEAD^{commit}"]);
        let mut at_branch = self.call().await?.args(["symbolic-ref", "-q", "HEAD"]);
        at_commit.git_dir = Some(self.git_dir());
        at_branch.git_dir = Some(self.git_dir());
        let (commit, branch) = tokio::join!(self.git().call(at_commit), self.git().call(at_branch));
        let (commit, branch) = (commit?, branch?);
        let commit = match commit.code {
            Some(0) => Some(bytes::object(&commit.stdout, "rev-parse")?),
            _ if commit.stderr.trim().is_empty() => None,
            _ => return Err(GitError::of("rev-parse", &commit.stderr)),
        };
        let branch = String::from_utf8_lossy(&branch.stdout).trim_end().to_owned();
        let branch = branch.strip_prefix("refs/heads/").map(str::to_owned);
        Ok(Head { commit, branch })
    }

    /// The commit that the user's checkout is on.
    ///
    /// # Errors
    /// [`GitError::Unborn`] when there is none yet.
    pub async fn head_commit(&self) -> Result<CommitId, GitError> {
        self.head().await?.commit.ok_or(GitError::Unborn)
    }

    /// The commit that a name of the user's leads to: a branch, a tag, a hash, `HEAD~2`.
    ///
    /// # Errors
    /// [`GitError::Unknown`] when it leads to none; [`GitError::BadName`] when it cannot.
    pub async fn resolve(&self, name: &str) -> Result<CommitId, GitError> {
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_control) {
            let rule = "use a branch, a tag or the hash of a commit";
            return Err(GitError::BadName { name: name.into(), what: "a commit", rule });
        }
        let wanted = format!("{name}^{{commit}}");
        let mut call = self.call().await?;
        call.git_dir = Some(self.git_dir());
        let call = call.args(["rev-parse", "-q", "--verify", "--end-of-options", &wanted]);
        let output = self.git().call(call).await?;
        match output.code {
            Some(0) => bytes::object(&output.stdout, "rev-parse"),
            _ => Err(GitError::Unknown { name: name.into() }),
        }
    }

    /// Where a ref leads; `None` when it is not there.
    ///
    /// # Errors
    /// What git says.
    pub async fn find_ref(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        names::check(name)?;
        let call =
            self.call().await?.args(["rev-parse", "-q", "--verify", "--end-of-options", name]);
        let output = self.git().call(call).await?;
        match output.code {
            Some(0) => bytes::object(&output.stdout, "rev-parse").map(Some),
            _ if output.stderr.trim().is_empty() => Ok(None),
            _ => Err(GitError::of("rev-parse", &output.stderr)),
        }
    }

    /// The refs whose names begin with `prefix`, such as `refs/heads/orchestrator/`, by name.
    ///
    /// # Errors
    /// What git says.
    pub async fn refs(&self, prefix: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        names::check(prefix.trim_end_matches('/'))?;
        let arguments = ["for-each-ref", "--format=%(objectname) %(refname)", "--", prefix];
        let output = self.run(arguments).await?;
        let text = String::from_utf8_lossy(&output);
        let read = |line: &str| {
            let (id, name) = line.split_once(' ')?;
            Some((name.to_owned(), CommitId::new(id).ok()?))
        };
        Ok(text.lines().filter_map(read).collect())
    }

    /// Moves, makes or removes refs, all or none, and only if each is where it was thought to be.
    /// `reason` stands in the reflog.
    ///
    /// # Errors
    /// [`GitError::Moved`] when one is not there any more; [`GitError::BadName`] for a new one that git
    /// could not be told of, since it looks like an option.
    pub async fn update_refs(&self, changes: &[RefChange], reason: &str) -> Result<(), GitError> {
        let mut input = Vec::new();
        for RefChange { name, new, old } in changes {
            names::check(name)?;
            if old.is_none() && new.is_some() {
                names::check_new(name)?;
            }
            let zero = zero(new.as_ref().or(old.as_ref()));
            let text =
                |id: &Option<CommitId>| id.as_ref().map_or(&*zero, |id| id.as_ref()).to_owned();
            let line = match new {
                Some(_) => format!("update {name}\0{}\0{}\0", text(new), text(old)),
                None => format!("delete {name}\0{}\0", text(old)),
            };
            input.extend_from_slice(b"option no-deref\0");
            input.extend_from_slice(line.as_bytes());
        }
        if input.is_empty() {
            return Ok(());
        }
        let reason = reason.replace(char::is_control, " ");
        let call = self.call().await?.args(["update-ref", "-m", &reason, "--stdin", "-z"]);
        let output = self.git().call(call.input(input)).await?;
        if output.code == Some(0) {
            return Ok(());
        }
        let words = &output.stderr;
        let is_of = |change: &&RefChange| words.contains(&format!("'{}'", change.name));
        let moved = ["but expected", "already exists", "reference is missing", "unable to resolve"];
        match changes.iter().find(is_of) {
            Some(change) if moved.iter().any(|sign| words.contains(sign)) => {
                Err(GitError::Moved { name: change.name.clone() })
            }
            _ => Err(GitError::of("update-ref", words)),
        }
    }

    /// Moves one ref: [`Repository::update_refs`] of it alone.
    ///
    /// # Errors
    /// As there.
    pub async fn update_ref(
        &self,
        name: &str,
        new: Option<&CommitId>,
        old: Option<&CommitId>,
        reason: &str,
    ) -> Result<(), GitError> {
        let change = RefChange { name: name.into(), new: new.cloned(), old: old.cloned() };
        self.update_refs(&[change], reason).await
    }
}

/// No object, in as many digits as the others have.
fn zero(like: Option<&CommitId>) -> String {
    "0".repeat(like.map_or(40, |id| id.as_ref().len()))
}
