//! Files of submodules in a place: from the project's own repositories of them, without a network.

use super::mark::MarkedSubmodule;
use crate::git::{Checkout, GitError, Repository};
use orchestrator_core::id::CommitId;
use std::path::{Path, PathBuf};

/// How deep submodules of submodules are followed.
const DEPTH: usize = 8;

/// Puts the files of all submodules of `commit`, which may be a tree, that the project has into `top`. The index of each
/// is beside that of the place.
pub(crate) async fn check_out(
    repository: &Repository,
    commit: &CommitId,
    top: &Path,
    index: impl Fn(usize) -> PathBuf,
) -> Result<Vec<MarkedSubmodule>, GitError> {
    let mut found: Vec<MarkedSubmodule> = Vec::new();
    let mut left = vec![(repository.clone(), commit.clone(), None, 0)];
    while let Some((repository, commit, parent, depth)) = left.pop() {
        if !repository.names_submodules(&commit).await? {
            continue;
        }
        for submodule in repository.submodules(&commit).await? {
            let Some(own) = submodule.repository.filter(|_| depth < DEPTH) else { continue };
            let above = parent.map(|parent: usize| found[parent].path.clone()).unwrap_or_default();
            let path = above.join(&submodule.path);
            let (number, directory) = (found.len(), top.join(&path));
            let index = index(number);
            let commit = &submodule.commit;
            own.checkout(&Checkout { commit, directory: &directory, index: &index, sparse: &[] })
                .await?;
            found.push(MarkedSubmodule {
                path,
                link: submodule.path,
                git_dir: own.common_dir().to_owned(),
                commit: submodule.commit.clone(),
                parent,
            });
            left.push((own, submodule.commit, Some(number), depth + 1));
        }
    }
    Ok(found)
}
