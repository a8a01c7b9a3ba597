//! Merging commits without a checkout.

use super::{GitError, Repository, bytes};
use orchestrator_core::id::CommitId;

/// How much of what git says of a conflict is kept, in bytes.
const SAID: usize = 16 * 1024;

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// They go together.
    Clean {
        /// The tree of both.
        tree: CommitId,
    },
    /// They do not.
    Conflict {
        /// The tree of both, with conflicts between marks in the files.
        tree: CommitId,
        /// The files, lossy where they are not UTF-8, by name.
        files: Vec<String>,
        /// What git says of it, cut at a bound.
        message: String,
    },
}

impl Merge {
    /// The tree of both, with marks or without.
    pub fn tree(&self) -> &CommitId {
        match self {
            Self::Clean { tree } | Self::Conflict { tree, .. } => tree,
        }
    }
}

impl Repository {
    /// Brings what changed from `base` to `theirs` onto `ours`: three commits, of which `base` need
    /// not lead to the others. Nothing but objects is made. Renames are followed.
    ///
    /// # Errors
    /// What git says; a conflict is no error.
    pub async fn merge_trees(
        &self,
        base: &CommitId,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<Merge, GitError> {
        let from = format!("--merge-base={base}");
        let arguments = ["merge-tree", "--write-tree", "-z", "--name-only", "--messages", &from];
        let call = self.call().await?.args(arguments).args([ours.as_ref(), theirs.as_ref()]);
        // What attributes say is taken from a commit and not from files that lie about.
        let call = call.variable("GIT_ATTR_SOURCE", ours.as_ref());
        let output = self.git().call(call).await?;
        let mut parts = output.stdout.split(|byte| *byte == 0);
        let tree = match output.code {
            Some(0 | 1) => bytes::object(parts.next().unwrap_or_default(), "merge-tree")?,
            _ => return Err(GitError::of("merge-tree", &output.stderr)),
        };
        if output.code == Some(0) {
            return Ok(Merge::Clean { tree });
        }
        let lossy = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        let mut files: Vec<_> =
            parts.by_ref().take_while(|part| !part.is_empty()).map(lossy).collect();
        files.sort();
        files.dedup();
        let mut message = String::new();
        // Each: how many paths, the paths, what kind, in words.
        while let Some(count) = parts.next().and_then(|n| std::str::from_utf8(n).ok()?.parse().ok())
        {
            let said = parts.by_ref().skip(count).nth(1);
            if message.len() < SAID {
                message.push_str(&said.map(lossy).unwrap_or_default());
            }
        }
        while message.len() > SAID {
            message.pop();
        }
        Ok(Merge::Conflict { tree, files, message })
    }
}
