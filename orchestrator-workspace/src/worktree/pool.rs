//! Directories with the files of a commit that are there before somebody asks.
//!
//! Writing ten thousand files takes a file system longer than an attempt should wait. What is taken
//! from here is moved to its place and brought to the wanted commit, for which only what differs is
//! written. It comes from places that are done with, see [`super::recycle`], or is made in advance.
//!
//! They outlive the process that left them: below `worktrees/.pool` a number has
//!
//! | file | what |
//! |---|---|
//! | `N/` | the files of a commit |
//! | `N.index` | git's index of them |
//! | `N.ready` | what they are of, written last and removed first |
//! | `N.lock` | locked by whoever takes, makes or removes it |
//!
//! What has no `N.ready` is a rest of something that was cut off, and is removed.

use super::{
    mark::{Lock, lock},
    remove_all, size_of,
};
use crate::git::{Checkout, GitError, Repository, bytes};
use orchestrator_core::id::CommitId;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};
use tokio::sync::{Mutex, watch};

/// What files of a pool may be beside the directory of a number.
const BESIDE: [&str; 2] = ["ready", "index"];

/// How much may lie prepared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many directories; 0 turns it off.
    pub(crate) count: usize,
    /// How many bytes all of them may take on the disk.
    pub(crate) bytes: u64,
}

/// Prepared directories of one state directory, shared by all processes.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    root: PathBuf,
    bounds: Bounds,
    /// Filling is for one at a time.
    filling: Arc<Mutex<()>>,
    /// How many places are being made ready: filling waits for them, not they for it.
    opening: Arc<watch::Sender<usize>>,
}

/// Somebody waits for a place.
#[derive(Debug)]
pub(super) struct Opening(Arc<watch::Sender<usize>>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// What a directory was prepared from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ready {
    version: u32,
    /// Where the objects of its repository are.
    repository: PathBuf,
    commit: CommitId,
    /// How much of the disk it takes.
    bytes: u64,
}

/// A prepared directory, as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prepared {
    /// Where it is.
    pub directory: PathBuf,
    /// The commit, or the tree, whose files it has; none when it was not finished.
    pub commit: Option<CommitId>,
    /// How many bytes it takes on the disk.
    pub size: u64,
    /// When it was made.
    pub since: SystemTime,
}

/// A number that this process holds.
#[derive(Debug)]
pub(super) struct Slot {
    root: PathBuf,
    number: usize,
    _lock: Lock,
}

impl Slot {
    pub(super) fn tree(&self) -> PathBuf {
        self.root.join(self.number.to_string())
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join(format!("{}.index", self.number))
    }

    fn file(&self) -> PathBuf {
        self.root.join(format!("{}.ready", self.number))
    }

    fn ready(&self) -> Option<Ready> {
        ready(&self.file())
    }

    /// Removes what is there, first that it is ready.
    fn empty(&self) -> Result<(), GitError> {
        for what in BESIDE {
            let file = self.root.join(format!("{}.{what}", self.number));
            gone(&file, fs::remove_file(&file))?;
        }
        let tree = self.tree();
        gone(&tree, remove_all(&tree))
    }

    /// Says that it can be taken, with what it takes on the disk.
    fn finish(&self, repository: &Repository, commit: &CommitId) -> Result<u64, GitError> {
        let file = self.file();
        let failed = |e| GitError::file("write", &file, e);
        let ready = Ready {
            version: 2,
            repository: repository.common_dir().to_owned(),
            commit: commit.clone(),
            bytes: size_of(&self.tree()),
        };
        let mut written = tempfile::NamedTempFile::new_in(&self.root).map_err(failed)?;
        let text = serde_json::to_vec(&ready).map_err(|e| failed(e.into()))?;
        written.write_all(&text).map_err(failed)?;
        written.persist(&file).map_err(|e| failed(e.error))?;
        Ok(ready.bytes)
    }
}

impl Pool {
    pub(crate) fn new(worktrees: &Path, bounds: Bounds) -> Self {
        Self {
            root: worktrees.join(".pool"),
            bounds,
            filling: Arc::default(),
            opening: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Says that somebody waits for a place, until it is dropped.
    pub(super) fn opening(&self) -> Opening {
        self.opening.send_modify(|count| *count += 1);
        Opening(self.opening.clone())
    }

    /// Moves a prepared directory's files into `directory` and its index to `index`, if there is one
    /// from which `commit` can be had: best one with just its files. What holds anything that git
    /// does not know there is removed and not taken.
    pub(super) async fn take(
        &self,
        repository: &Repository,
        commit: &CommitId,
        directory: &Path,
        index: &Path,
    ) -> Result<bool, GitError> {
        if self.bounds.count == 0 {
            return Ok(false);
        }
        let of_ours = |ready: &Ready| ready.repository == repository.common_dir();
        let mut known = self.known()?;
        known.retain(|(_, ready)| ready.as_ref().is_some_and(of_ours));
        known.sort_by_key(|(_, ready)| ready.as_ref().is_none_or(|ready| ready.commit != *commit));
        for (number, _) in known {
            let Some(slot) = self.hold(number)? else { continue };
            // It may have been taken, and made anew, since it was seen.
            let Some(ready) = slot.ready().filter(of_ours) else { continue };
            if ready.commit != *commit && !can_become(repository, &ready.commit, commit).await {
                continue;
            }
            if !repository.holds_nothing_else(&slot.tree(), &slot.index()).await? {
                tracing::warn!(directory = %slot.tree().display(), "somebody has written there");
                slot.empty()?;
                continue;
            }
            // From here on it is nobody's: what is left of it after a crash is removed.
            let (file, tree) = (slot.file(), slot.tree());
            fs::remove_file(&file).map_err(|e| GitError::file("remove", &file, e))?;
            let moved = |e| GitError::file("move", &tree, e);
            for entry in fs::read_dir(&tree).map_err(moved)? {
                let entry = entry.map_err(moved)?;
                fs::rename(entry.path(), directory.join(entry.file_name())).map_err(moved)?;
            }
            fs::rename(slot.index(), index).map_err(moved)?;
            fs::remove_dir(&tree).map_err(|e| GitError::file("remove", &tree, e))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Prepares directories with the files of `commit` until there are as many as there should be,
    /// while nobody waits for a place.
    pub(crate) async fn fill(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let _only = self.filling.lock().await;
        self.trim()?;
        // One that is in use by another process is that one's to make ready.
        for number in 0..self.bounds.count {
            let mut opening = self.opening.subscribe();
            // The sender is this pool's own, so it outlives the wait.
            let _ = opening.wait_for(|count| *count == 0).await;
            let Some(slot) = self.hold(number)? else { continue };
            if slot.ready().is_some_and(|ready| ready.repository == repository.common_dir()) {
                continue;
            }
            slot.empty()?;
            let (taken, largest) = self.taken()?;
            if taken.saturating_add(largest) > self.bounds.bytes {
                return Ok(());
            }
            let (tree, index) = (slot.tree(), slot.index());
            let wanted = Checkout { commit, directory: &tree, index: &index, sparse: &[] };
            repository.checkout(&wanted).await?;
            let bytes = slot.finish(repository, commit)?;
            if taken.saturating_add(bytes) > self.bounds.bytes {
                return slot.empty();
            }
        }
        Ok(())
    }

    /// The same, unless somebody does it already.
    pub(super) async fn refill(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        match self.filling.try_lock() {
            Ok(only) => drop(only),
            Err(_) => return Ok(()),
        }
        self.fill(repository, commit).await
    }

    /// A number for one more directory of `bytes` bytes, which has nothing yet; none when there are
    /// as many as there should be.
    pub(super) fn vacant(&self, bytes: u64) -> Result<Option<Slot>, GitError> {
        if self.bounds.count == 0 {
            return Ok(None);
        }
        self.trim()?;
        if self.taken()?.0.saturating_add(bytes) > self.bounds.bytes {
            return Ok(None);
        }
        for number in 0..self.bounds.count {
            let Some(slot) = self.hold(number)? else { continue };
            if slot.ready().is_none() {
                slot.empty()?;
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Puts a directory that was filled into a vacant number among those that can be taken.
    pub(super) fn offer(
        &self,
        slot: &Slot,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let taken = self.taken()?.0;
        let bytes = slot.finish(repository, commit)?;
        match taken.saturating_add(bytes) > self.bounds.bytes {
            true => slot.empty(),
            false => Ok(()),
        }
    }

    /// All that lies there and is not just being taken, made or removed.
    pub(crate) fn list(&self) -> Result<Vec<Prepared>, GitError> {
        let mut found = Vec::new();
        for (number, _) in self.known()? {
            let Some(slot) = self.hold(number)? else { continue };
            found.extend(shown(&slot));
        }
        Ok(found)
    }

    /// Removes those that were made at least before `is_old` says so, and the rests of what was cut
    /// off; or only says which.
    pub(crate) fn clean(
        &self,
        is_old: impl Fn(SystemTime) -> bool,
        dry_run: bool,
    ) -> Result<Vec<Prepared>, GitError> {
        let mut removed = Vec::new();
        for (number, _) in self.known()? {
            let Some(slot) = self.hold(number)? else { continue };
            let Some(prepared) = shown(&slot) else { continue };
            if prepared.commit.is_some() && !is_old(prepared.since) {
                continue;
            }
            if !dry_run {
                self.remove(&slot)?;
            }
            removed.push(prepared);
        }
        Ok(removed)
    }

    /// Removes what is beyond the bounds, as they are now.
    fn trim(&self) -> Result<(), GitError> {
        for (number, _) in self.known()? {
            if number >= self.bounds.count
                && let Some(slot) = self.hold(number)?
            {
                self.remove(&slot)?;
            }
        }
        Ok(())
    }

    fn remove(&self, slot: &Slot) -> Result<(), GitError> {
        slot.empty()?;
        // While it is held: who waits for it sees that it is another file.
        let file = self.root.join(format!("{}.lock", slot.number));
        gone(&file, fs::remove_file(&file))
    }

    /// How many bytes all take that are ready, and how many the largest.
    fn taken(&self) -> Result<(u64, u64), GitError> {
        let sizes = self.known()?;
        let sizes = sizes.iter().filter_map(|(_, ready)| ready.as_ref()).map(|ready| ready.bytes);
        Ok(sizes.fold((0, 0), |(sum, most), size| (size.saturating_add(sum), most.max(size))))
    }

    /// Every number that has something, with what is written of it.
    fn known(&self) -> Result<Vec<(usize, Option<Ready>)>, GitError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(GitError::file("read", &self.root, e)),
        };
        let number = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let (number, what) = name.split_once('.').unwrap_or((&name, ""));
            let is_ours = what.is_empty() || BESIDE.contains(&what);
            number.parse().ok().filter(|n: &usize| is_ours && n.to_string() == number)
        };
        let mut numbers: Vec<usize> = entries.filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let read = |n: usize| (n, ready(&self.root.join(format!("{n}.ready"))));
        Ok(numbers.into_iter().map(read).collect())
    }

    fn hold(&self, number: usize) -> Result<Option<Slot>, GitError> {
        fs::create_dir_all(&self.root).map_err(|e| GitError::file("make", &self.root, e))?;
        let held = lock(&self.root.join(format!("{number}.lock")))?;
        Ok(held.map(|lock| Slot { root: self.root.clone(), number, _lock: lock }))
    }
}

/// Whether files of one commit, brought to another by what differs, are those that a checkout of it
/// would have given: not where attributes differ, which change files that are the same in both.
async fn can_become(repository: &Repository, from: &CommitId, to: &CommitId) -> bool {
    match repository.changed_files(from, to).await {
        Ok(files) => files
            .iter()
            .flat_map(|file| [Some(&file.path), file.from.as_ref()])
            .flatten()
            .all(|path| path.rsplit('/').next() != Some(".gitattributes")),
        // A commit that is not there any more.
        Err(_) => false,
    }
}

fn ready(file: &Path) -> Option<Ready> {
    let text = fs::read(file).ok()?;
    serde_json::from_slice(&text).ok().filter(|ready: &Ready| ready.version == 2)
}

fn shown(slot: &Slot) -> Option<Prepared> {
    let directory = slot.tree();
    let (file, ready) = (slot.file(), slot.ready());
    let (size, of) = match &ready {
        Some(ready) => (ready.bytes, &file),
        None => (size_of(&directory), &directory),
    };
    if ready.is_none() && ![&directory, &file, &slot.index()].iter().any(|path| path.exists()) {
        return None;
    }
    let since = fs::metadata(of).and_then(|meta| meta.modified());
    let since = since.unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Prepared { directory, commit: ready.map(|ready| ready.commit), size, since })
}

fn gone(path: &Path, removed: io::Result<()>) -> Result<(), GitError> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(GitError::file("remove", path, e)),
        _ => Ok(()),
    }
}

impl Repository {
    /// Whether a directory holds nothing, not even an empty directory, that its index does not know.
    async fn holds_nothing_else(&self, directory: &Path, index: &Path) -> Result<bool, GitError> {
        // Git does not tell of what has this name.
        let is_planted = fs::symlink_metadata(directory.join(".git")).is_ok();
        if is_planted || !directory.is_dir() || !index.is_file() {
            return Ok(false);
        }
        let call = self.call().await?.work_tree(directory).index(index);
        let arguments = ["ls-files", "--others", "--directory", "-z"];
        let output = self.git().call(call.args(arguments)).await?;
        Ok(output.code == Some(0) && bytes::parts(&output.stdout).next().is_none())
    }
}
