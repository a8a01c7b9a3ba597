//! A git repository as the source of commits.

use super::{
    source::{READ, Source, SourceError},
    tamper::{Entry, EntryKind, FileChange},
};
use crate::git::{self, Checkout, GitError, Repository};
use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    id::CommitId,
    workspace::{Change, ChangedFile},
};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

/// The most bytes that all contents together may take.
const ALL: usize = 256 * 1024 * 1024;

impl From<GitError> for SourceError {
    fn from(error: GitError) -> Self {
        let Failure { class, message, .. } = error.into();
        Self { class, message }
    }
}

#[async_trait]
impl Source for Repository {
    async fn tree(&self, commit: &CommitId) -> Result<CommitId, SourceError> {
        Ok(Repository::tree(self, commit).await?)
    }

    async fn checkout(&self, commit: &CommitId, directory: &Path) -> Result<(), SourceError> {
        // The index is of no use once the files are there.
        let index = tempfile::tempdir().map_err(|source| GitError::File {
            what: "make",
            path: std::env::temp_dir(),
            source,
        })?;
        let beside = |name: &str| index.path().join(name);
        let wanted = Checkout { commit, directory, index: &beside("index"), sparse: &[] };
        Repository::checkout(self, &wanted).await?;
        let beside = |number: usize| beside(&format!("sub{number}"));
        crate::worktree::check_out_submodules(self, commit, directory, beside).await?;
        Ok(())
    }

    async fn changes(
        &self,
        base: &CommitId,
        commit: &CommitId,
    ) -> Result<Vec<FileChange>, SourceError> {
        let files = self.changed_files(base, commit).await?;
        let before = |file: &ChangedFile| match file.change {
            Change::Added => None,
            _ => Some(PathBuf::from(file.from.as_ref().unwrap_or(&file.path))),
        };
        let after = |file: &ChangedFile| match file.change {
            Change::Deleted => None,
            _ => Some(PathBuf::from(&file.path)),
        };
        let mut room = ALL;
        let mut old = entries(self, base, files.iter().filter_map(before), &mut room).await?;
        let mut new = entries(self, commit, files.iter().filter_map(after), &mut room).await?;
        let changes = files.into_iter().map(|file| FileChange {
            old: before(&file).and_then(|path| old.remove(&path)),
            new: after(&file).and_then(|path| new.remove(&path)),
            path: file.path,
            from: file.from,
            change: file.change,
        });
        Ok(changes.collect())
    }
}

/// What is at `paths` in a commit. A name that is not UTF-8 is not found, and so not read.
async fn entries(
    repository: &Repository,
    commit: &CommitId,
    paths: impl Iterator<Item = PathBuf>,
    room: &mut usize,
) -> Result<HashMap<PathBuf, Entry>, SourceError> {
    let wanted: BTreeSet<PathBuf> = paths.collect();
    let found: Vec<_> = repository
        .files(commit)
        .await?
        .into_iter()
        .filter(|entry| wanted.contains(&entry.path))
        .collect();
    let mut entries = HashMap::new();
    for chunk in found.chunks(500) {
        let paths: Vec<PathBuf> = chunk.iter().map(|entry| entry.path.clone()).collect();
        let contents = repository.read_files(commit, &paths, READ).await?;
        for (entry, content) in chunk.iter().zip(contents) {
            let kind = match entry.kind {
                git::EntryKind::File => EntryKind::File,
                git::EntryKind::Executable => EntryKind::Executable,
                git::EntryKind::Link => EntryKind::Link,
                git::EntryKind::Submodule => EntryKind::Submodule,
            };
            let size = content.as_ref().map_or(0, Vec::len);
            let content = content.filter(|_| size <= *room);
            *room = room.saturating_sub(size);
            entries.insert(entry.path.clone(), Entry { kind, content });
        }
    }
    Ok(entries)
}
