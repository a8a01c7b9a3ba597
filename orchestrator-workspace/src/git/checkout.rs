//! Files of a commit in a directory, through an index that is kept beside it.

use super::{GitError, Repository, bytes, tree::clash};
use orchestrator_core::id::CommitId;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What is to be in a directory.
#[derive(Debug, Clone, Copy)]
pub struct Checkout<'a> {
    /// The commit.
    pub commit: &'a CommitId,
    /// The directory. What is there of the commit already, as `index` knows, stays; what `index`
    /// knows and the commit does not hold is removed; everything else is left alone.
    pub directory: &'a Path,
    /// The index: a file of the caller's outside of `directory`, made when it is not there.
    pub index: &'a Path,
    /// The directories that are wanted, with the files that stand beside them and above; all when it
    /// is empty.
    pub sparse: &'a [String],
}

impl Repository {
    /// Puts the files of a commit into a directory. Submodules become empty directories. No hook runs,
    /// and no filter that only the repository defines.
    ///
    /// # Errors
    /// [`GitError::CaseClash`] when two of its paths would be one there; [`GitError::DiskFull`] and
    /// what else git says.
    pub async fn checkout(&self, wanted: &Checkout<'_>) -> Result<(), GitError> {
        let Checkout { commit, directory, index, sparse } = *wanted;
        fs::create_dir_all(directory).map_err(|e| GitError::file("make", directory, e))?;
        if folds_case(directory)? {
            let entries = self.files(commit).await?;
            if let Some((first, second)) = clash::find(&entries) {
                return Err(GitError::CaseClash { first, second });
            }
        }
        let call = self.call().await?.work_tree(directory).index(index);
        if sparse.is_empty() {
            let call = call.args(["read-tree", "--reset", "-u", commit.as_ref()]);
            return self.git().run(call).await.map(drop);
        }
        self.git().run(call.args(["read-tree", "--reset", commit.as_ref()])).await?;
        let call = self.call().await?.work_tree(directory).index(index);
        let known = self.git().run(call.args(["ls-files", "-z"])).await?;
        let cone = Cone::new(sparse);
        let outside = bytes::parts(&known).map(bytes::path).filter(|path| !cone.holds(path));
        let outside: Vec<PathBuf> = outside.collect();
        if !outside.is_empty() {
            let call = self.call().await?.work_tree(directory).index(index);
            let call = call.args(["update-index", "--skip-worktree", "-z", "--stdin"]);
            self.git().run(call.input(bytes::joined(&outside))).await?;
        }
        let call = self.call().await?.work_tree(directory).index(index);
        self.git().run(call.args(["checkout-index", "--all", "--force", "-u", "-q"])).await?;
        Ok(())
    }

    /// Brings the files of a directory that [`Repository::checkout`] has filled to those of another
    /// commit: what `index` knows is changed or removed, everything else stays. A sparse directory
    /// stays sparse.
    ///
    /// # Errors
    /// As there.
    pub async fn switch(
        &self,
        commit: &CommitId,
        directory: &Path,
        index: &Path,
    ) -> Result<(), GitError> {
        let call = self.call().await?.work_tree(directory).index(index);
        self.git().run(call.args(["read-tree", "--reset", "-u", commit.as_ref()])).await?;
        Ok(())
    }
}

/// The files that are wanted of a sparse checkout.
struct Cone {
    whole: Vec<PathBuf>,
    /// Directories of which the files themselves are wanted, but not what is below.
    above: BTreeSet<PathBuf>,
}

impl Cone {
    fn new(sparse: &[String]) -> Self {
        let plain = |dir: &String| dir.trim_start_matches("./").trim_matches('/').into();
        let whole: Vec<PathBuf> = sparse.iter().map(plain).collect();
        let above = whole.iter().flat_map(|dir| dir.ancestors().skip(1)).map(Path::to_owned);
        Self { above: above.chain([PathBuf::new()]).collect(), whole }
    }

    fn holds(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.above.contains(parent))
            || self.whole.iter().any(|dir| path.starts_with(dir))
    }
}

/// Whether capitals and small letters are the same in names there.
fn folds_case(directory: &Path) -> Result<bool, GitError> {
    let probe = tempfile::Builder::new().prefix(".case-a").tempdir_in(directory);
    let probe = probe.map_err(|e| GitError::file("write in", directory, e))?;
    let name = probe.path().file_name().unwrap_or_default().to_string_lossy();
    let other = name.replacen(".case-a", ".CASE-A", 1);
    Ok(directory.join(other).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{EntryKind, TreeEntry};

    #[test]
    fn a_cone_holds_what_is_beside_and_above() {
        let cone = Cone::new(&["a/b/".into(), "./c".into()]);
        for path in ["top", "a/file", "a/b/x/y", "c/d"] {
            assert!(cone.holds(Path::new(path)), "{path}");
        }
        for path in ["a/bc/x", "d/e", "a/x/y"] {
            assert!(!cone.holds(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn clashes_of_files_and_directories_are_found() {
        let find = |paths: &[&str]| {
            let entry = |path: &&str| TreeEntry {
                path: path.into(),
                kind: EntryKind::File,
                id: CommitId::new("0".repeat(40)).unwrap(),
            };
            clash::find(&paths.iter().map(entry).collect::<Vec<_>>())
        };
        assert_eq!(find(&["a/x", "a/y", "b"]), None);
        assert_eq!(find(&["A", "a"]), Some(("A".into(), "a".into())));
        assert_eq!(find(&["Dir/x", "dir/y"]), Some(("Dir".into(), "dir".into())));
    }
}
