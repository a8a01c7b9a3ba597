//! Submodules, from the repositories that the project has of them already.

use super::{GitError, Repository, bytes, drivers, program::Call};
use orchestrator_core::id::CommitId;
use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// A submodule of a commit.
#[derive(Debug, Clone)]
pub struct Submodule {
    /// Where its files are.
    pub path: PathBuf,
    /// The commit that is recorded of it.
    pub commit: CommitId,
    /// Its repository in the project, when it is initialised there.
    pub repository: Option<Repository>,
}

impl Repository {
    /// The submodules of a commit, by path. Nothing is fetched: a submodule that the project has not
    /// initialised, or whose commit is not there, has no repository.
    ///
    /// # Errors
    /// What git says.
    pub async fn submodules(&self, commit: &CommitId) -> Result<Vec<Submodule>, GitError> {
        let entries = self.files(commit).await?;
        let links = entries.iter().filter(|entry| entry.kind == super::EntryKind::Submodule);
        let links: Vec<_> = links.collect();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let from = format!("--blob={commit}:.gitmodules");
        let call = self.call().await?.args(["config", "-z", &from, "--list"]);
        // Without the file there is nothing to find them by.
        let named = self.git().call(call).await?.stdout;
        let mut found = Vec::new();
        for link in links {
            let name = drivers::entries(&named).find_map(|(key, value)| {
                let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
                (Path::new(&value) == link.path && is_plain(Path::new(name)))
                    .then(|| name.to_owned())
            });
            let (path, commit) = (link.path.clone(), link.id.clone());
            let top = self.top().join(&path);
            let usual = name.map(|name| self.common_dir().join("modules").join(name));
            let mut repository = None;
            // Of a linked worktree, or where it was there before it was added, it lies elsewhere.
            for git_dir in usual.into_iter().chain(self.git_dir_in(&top)) {
                let is_there = repository.is_none() && git_dir.join("HEAD").is_file();
                let own = is_there.then(|| Self::at(self.git(), git_dir, top.clone()));
                if let Some(own) = own
                    && own.holds(&commit).await?
                {
                    repository = Some(own);
                }
            }
            found.push(Submodule { path, commit, repository });
        }
        Ok(found)
    }

    /// The repository that belongs to the files in `directory`, as they say themselves: one that is
    /// this one's, and no other of the user's.
    fn git_dir_in(&self, directory: &Path) -> Option<PathBuf> {
        let link = directory.join(".git");
        let path = match fs::read(&link) {
            Ok(text) => bytes::path(text.strip_prefix(b"gitdir: ")?.trim_ascii_end()),
            Err(_) => PathBuf::from(".git"),
        };
        let found = fs::canonicalize(directory.join(path)).ok()?;
        let own = [self.top(), self.common_dir()].map(fs::canonicalize);
        own.iter().flatten().any(|own| found.starts_with(own)).then_some(found)
    }

    /// Whether a commit says where submodules come from. Without that none has a repository, and the
    /// list of all its files need not be read.
    pub(crate) async fn names_submodules(&self, commit: &CommitId) -> Result<bool, GitError> {
        let file = format!("{commit}:.gitmodules");
        let call = self.call().await?.args(["rev-parse", "-q", "--verify", "--end-of-options"]);
        Ok(self.git().call(call.args([file])).await?.code == Some(0))
    }

    /// Whether an object is on this machine.
    ///
    /// # Errors
    /// What git says.
    pub async fn holds(&self, object: &CommitId) -> Result<bool, GitError> {
        let call: Call<'_> = self.call().await?.args(["cat-file", "-e", object.as_ref()]);
        Ok(self.git().call(call).await?.code == Some(0))
    }

    /// Makes `commit` be what an index records of the submodule at `path`.
    pub(crate) async fn record_submodule(
        &self,
        directory: &Path,
        index: &Path,
        path: &Path,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let mut line = format!("160000 {commit} 0\t").into_bytes();
        line.extend_from_slice(bytes::of(path));
        line.push(0);
        let call = self.call().await?.work_tree(directory).index(index);
        let call = call.args(["update-index", "-z", "--index-info"]).input(line);
        self.git().run(call).await.map(drop)
    }
}

/// Whether a name leads nowhere else.
fn is_plain(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
}
