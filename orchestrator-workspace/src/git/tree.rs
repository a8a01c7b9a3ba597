//! Reading what trees hold.

use super::{GitError, Repository, bytes};
use orchestrator_core::id::CommitId;
use std::path::{Path, PathBuf};

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Its content; of a submodule its commit.
    pub id: CommitId,
}

/// What a file of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A link.
    Link,
    /// A submodule.
    Submodule,
}

impl Repository {
    /// All files of a commit or tree, by path.
    ///
    /// # Errors
    /// What git says.
    pub async fn files(&self, of: &CommitId) -> Result<Vec<TreeEntry>, GitError> {
        let output = self.run(["ls-tree", "-r", "-z", "--full-tree", of.as_ref()]).await?;
        let read = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let (head, path) = (std::str::from_utf8(&line[..tab]).ok()?, &line[tab + 1..]);
            let mut fields = head.split(' ');
            let kind = match fields.next()? {
                "100755" => EntryKind::Executable,
                "120000" => EntryKind::Link,
                "160000" => EntryKind::Submodule,
                _ => EntryKind::File,
            };
            let id = CommitId::new(fields.nth(1)?).ok()?;
            Some(TreeEntry { path: bytes::path(path), kind, id })
        };
        let entries: Option<_> = bytes::parts(&output).map(read).collect();
        entries.ok_or_else(|| GitError::Unreadable { command: "ls-tree".into() })
    }

    /// The contents of `paths` in a commit or tree, in the same order, each at most `most` bytes;
    /// `None` for what is not there, is no file or link, or is larger.
    ///
    /// # Errors
    /// What git says.
    pub async fn read_files(
        &self,
        of: &CommitId,
        paths: &[PathBuf],
        most: u64,
    ) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        // By object and not by path, which may hold a line feed.
        let entries = self.files(of).await?;
        let find = |path: &PathBuf| {
            let entry = entries.iter().find(|entry| entry.path == *path)?;
            (entry.kind != EntryKind::Submodule).then(|| entry.id.clone())
        };
        let ids: Vec<Option<CommitId>> = paths.iter().map(find).collect();
        let sizes = self.batch("--batch-check", ids.iter().flatten()).await?;
        let mut sizes = std::str::from_utf8(&sizes).unwrap_or_default().lines();
        let mut size = || sizes.next()?.rsplit(' ').next()?.parse::<u64>().ok();
        let wanted: Vec<Option<CommitId>> = ids
            .into_iter()
            .map(|id| id.filter(|_| size().is_some_and(|size| size <= most)))
            .collect();
        let output = self.batch("--batch", wanted.iter().flatten()).await?;
        let mut rest = &output[..];
        let mut contents = Vec::with_capacity(wanted.len());
        for id in wanted {
            contents.push(match id {
                None => None,
                Some(_) => Some(
                    object(&mut rest)
                        .ok_or_else(|| GitError::Unreadable { command: "cat-file".into() })?,
                ),
            });
        }
        Ok(contents)
    }

    /// The content of one file of a commit or tree: [`Repository::read_files`] of it alone.
    ///
    /// # Errors
    /// As there.
    pub async fn read_file(
        &self,
        of: &CommitId,
        path: &Path,
        most: u64,
    ) -> Result<Option<Vec<u8>>, GitError> {
        Ok(self.read_files(of, &[path.to_owned()], most).await?.pop().flatten())
    }

    async fn batch(
        &self,
        how: &str,
        ids: impl Iterator<Item = &CommitId>,
    ) -> Result<Vec<u8>, GitError> {
        let input: String = ids.map(|id| format!("{id}\n")).collect();
        if input.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.call().await?.args(["cat-file", how]).input(input.into_bytes());
        self.git().run(call).await
    }
}

/// The next object of `cat-file --batch`: `ID KIND SIZE`, a line feed, the bytes, a line feed.
fn object(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&rest[..end]).ok()?;
    let size: usize = head.rsplit(' ').next()?.parse().ok()?;
    let content = rest.get(end + 1..end + 1 + size)?.to_vec();
    *rest = rest.get(end + 2 + size..)?;
    Some(content)
}

pub(crate) mod clash {
    //! Paths that are one where capitals and small letters are the same.

    use super::TreeEntry;
    use std::collections::{BTreeMap, btree_map::Entry};

    /// The first two paths that clash, with every directory on the way.
    pub(crate) fn find(entries: &[TreeEntry]) -> Option<(String, String)> {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for entry in entries {
            let path = entry.path.to_string_lossy();
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            for end in ends {
                let part = &path[..end];
                match seen.entry(part.to_lowercase()) {
                    Entry::Vacant(place) => {
                        place.insert(part.to_owned());
                    }
                    Entry::Occupied(other) if other.get() != part => {
                        return Some((other.get().clone(), part.to_owned()));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        None
    }
}
