//! The tree of a directory as it is now, through an index of its own.
//!
//! What an agent did with git there has no part in it: not its index, its head, its `.git` or its
//! exclude files. A directory with a `.git` of its own is recorded as the files that it holds, since a
//! link to a repository that goes away with the directory would lose them. What the project's
//! `.gitignore` files and the user's own excludes say is left out, unless the base holds it.

use super::{GitError, Repository, bytes};
use orchestrator_core::id::CommitId;
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// How deep repositories in repositories are followed.
const DEPTH: usize = 16;

/// What is to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// The directory.
    pub directory: &'a Path,
    /// The index: a file of the caller's outside of `directory`. Between two calls it keeps what the
    /// files were, so that only what has changed is read. One call at a time.
    pub index: &'a Path,
    /// What the index begins with when it is not there or cannot be read.
    pub base: &'a CommitId,
    /// Files of patterns that are left out, besides the user's own and every `.gitignore`.
    pub excludes: &'a [PathBuf],
    /// The size in bytes from which on a new or changed file is left out.
    pub max_size: u64,
    /// How many new or changed files there may be at once; what is more is left out.
    pub max_files: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The tree.
    pub tree: CommitId,
    /// What is not in it as it is in the directory: too large, too many, not readable, or neither
    /// file nor link. Of a file that was there before the tree holds the state from before.
    pub left_out: Vec<PathBuf>,
}

/// What has to be done with the index.
#[derive(Debug, Default)]
struct Plan {
    update: Vec<PathBuf>,
    remove: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
}

impl Repository {
    /// The tree of a directory: names of any bytes, links as links, whether files are executable, and
    /// what is gone. `.git` of any depth is not part of it, and submodules stay as the index has them.
    ///
    /// # Errors
    /// [`GitError::DiskFull`] and what else git says.
    pub async fn tree_of(&self, scan: &Scan<'_>) -> Result<Scanned, GitError> {
        let read = async |base: &CommitId| {
            let call = self.call().await?.work_tree(scan.directory).index(scan.index);
            self.git().run(call.args(["read-tree", base.as_ref()])).await
        };
        if !scan.index.exists() {
            read(scan.base).await?;
        }
        let (changed, mut others) =
            tokio::join!(self.changed(scan), self.others(scan, scan.directory, scan.index));
        let changed = match changed {
            Err(GitError::Failed { .. }) => {
                // An index that cannot be read is made anew; then every file is read again.
                fs::remove_file(scan.index).map_err(|e| GitError::file("remove", scan.index, e))?;
                read(scan.base).await?;
                others = self.others(scan, scan.directory, scan.index).await;
                self.changed(scan).await?
            }
            other => other?,
        };
        let plan = plan(scan, changed, others?);
        let feed = async |arguments: &[&str], paths: &[PathBuf]| {
            if paths.is_empty() {
                return Ok(());
            }
            let call = self.scanning(scan.directory, scan.index).await?.args(["update-index"]);
            let call = call.args(arguments).args(["-z", "--stdin"]);
            self.git().run(call.input(bytes::joined(paths))).await.map(drop)
        };
        feed(&["--force-remove"], &plan.remove).await?;
        feed(&["--add", "--remove", "--replace"], &plan.update).await?;
        // What an index holds is what the base has or was just written: not each is looked for again.
        let call =
            self.scanning(scan.directory, scan.index).await?.args(["write-tree", "--missing-ok"]);
        let tree = bytes::object(&self.git().run(call).await?, "write-tree")?;
        Ok(Scanned { tree, left_out: plan.left_out })
    }

    /// A call that sees what is there of a sparse checkout although it was not wanted.
    async fn scanning<'a>(
        &'a self,
        directory: &'a Path,
        index: &'a Path,
    ) -> Result<super::program::Call<'a>, GitError> {
        let mut call = self.call().await?.work_tree(directory).index(index);
        call.settings.push(("core.sparseCheckout".into(), "true".into()));
        // The sum over an index takes as long to make as all else, and nobody but us reads this one:
        // not every program that reads indexes knows one without a sum.
        call.settings.push(("index.skipHash".into(), "true".into()));
        Ok(call)
    }

    /// What the index holds and is not so any more.
    async fn changed(&self, scan: &Scan<'_>) -> Result<Vec<PathBuf>, GitError> {
        let call = self.scanning(scan.directory, scan.index).await?;
        let arguments = ["diff-files", "--raw", "-z", "--no-ext-diff", "--ignore-submodules=dirty"];
        let output = self.git().run(call.args(arguments)).await?;
        let mut parts = bytes::parts(&output);
        let mut changed = Vec::new();
        while let (Some(head), Some(path)) = (parts.next(), parts.next()) {
            let is_submodule = head.starts_with(b":160000");
            let path = bytes::path(path);
            if !is_submodule || fs::symlink_metadata(scan.directory.join(&path)).is_err() {
                changed.push(path);
            }
        }
        Ok(changed)
    }

    /// What is in `directory` and `index` does not hold, without what is excluded.
    async fn others(
        &self,
        scan: &Scan<'_>,
        directory: &Path,
        index: &Path,
    ) -> Result<Vec<PathBuf>, GitError> {
        let mut found = Vec::new();
        let mut nested = vec![(PathBuf::new(), 0)];
        let no_index = index.with_extension("none");
        while let Some((below, depth)) = nested.pop() {
            let place = directory.join(&below);
            let index = if depth == 0 { index } else { &no_index };
            let arguments = ["ls-files", "--others", "-z", "--exclude-per-directory=.gitignore"];
            let mut call = self.call().await?.work_tree(&place).index(index).args(arguments);
            for file in self.git().excludes().into_iter().chain(scan.excludes.iter().map(|f| &**f))
            {
                let mut argument = std::ffi::OsString::from("--exclude-from=");
                argument.push(file);
                call = call.args([argument]);
            }
            let output = self.git().run(call).await?;
            for part in bytes::parts(&output) {
                match part.strip_suffix(b"/") {
                    Some(dir) if depth < DEPTH => {
                        nested.push((below.join(bytes::path(dir)), depth + 1));
                    }
                    Some(_) => {}
                    None => found.push(below.join(bytes::path(part))),
                }
            }
        }
        Ok(found)
    }
}

fn plan(scan: &Scan<'_>, changed: Vec<PathBuf>, others: Vec<PathBuf>) -> Plan {
    let mut plan = Plan::default();
    let mut paths: Vec<_> = changed.into_iter().map(|path| (path, true)).collect();
    paths.extend(others.into_iter().map(|path| (path, false)));
    paths.sort();
    for (path, is_known) in paths {
        let whole = scan.directory.join(&path);
        let found = fs::symlink_metadata(&whole).ok().filter(|_| !is_behind_link(scan, &path));
        let Some(meta) = found else {
            // Gone, or below what is no directory any more.
            plan.remove.push(path);
            continue;
        };
        let kind = meta.file_type();
        let is_fit = kind.is_symlink() || kind.is_file();
        let is_small = kind.is_symlink() || meta.len() < scan.max_size;
        if !is_fit {
            if is_known {
                plan.remove.push(path.clone());
            }
            if !kind.is_dir() {
                plan.left_out.push(path);
            }
        } else if !is_small
            || plan.update.len() >= scan.max_files
            || kind.is_file() && !can_be_read(&whole)
        {
            plan.left_out.push(path);
        } else {
            plan.update.push(path);
        }
    }
    plan
}

/// Whether a directory on the way to a file has become a link: then what is found there is not of the
/// directory that is looked at.
fn is_behind_link(scan: &Scan<'_>, path: &Path) -> bool {
    let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    let mut above = above.map(|above| fs::symlink_metadata(scan.directory.join(above)));
    above.any(|meta| meta.is_ok_and(|meta| meta.is_symlink()))
}

/// Without following a link and without waiting, whatever it has become meanwhile.
fn can_be_read(file: &Path) -> bool {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened: std::io::Result<File> =
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(file);
    opened.is_ok()
}
