//! The files of a project, walked once and read once, for every analyst of a run.

mod class;
mod home;
mod walk;

pub use class::{Class, classify};

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

/// What an index takes on at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files larger than this many bytes are not read; 1 MiB by default.
    pub huge: u64,
    /// How many bytes of contents are kept in memory for all files together; 32 MiB by default.
    /// What does not fit is read again by each analyst.
    pub memory: u64,
    /// How many files are listed at most; 500,000 by default.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { huge: 1 << 20, memory: 32 << 20, files: 500_000 }
    }
}

/// A project that cannot be indexed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The root is missing, not a directory or not readable.
    #[error("cannot read the project directory {}; name a directory that you may read", path.display())]
    Root {
        /// The root as given.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Stopped on request.
    #[error("reading the project was cancelled")]
    Cancelled,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text; what is not UTF-8 in it is decoded lossily.
    Text,
    /// A NUL among the first 8 KiB.
    Binary,
    /// Larger than [`Limits::huge`].
    Huge,
    /// It cannot be opened, or is no regular file.
    Unreadable,
    /// A symbolic link; never followed.
    Link,
}

/// One file of the project.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// Relative to the root, `/` between the parts, lossy where the name is not UTF-8.
    pub path: String,
    /// The exact path to open.
    pub abs: PathBuf,
    /// Its size in bytes when it was listed.
    pub size: u64,
    /// What it holds.
    pub kind: Kind,
    /// What it is for.
    pub class: Class,
    modified: Option<SystemTime>,
    text: Option<Arc<str>>,
}

impl FileEntry {
    /// The name without its directories.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The directory, without a final `/`; empty at the root.
    pub fn dir(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(dir, _)| dir)
    }

    /// What follows the last dot of the name, as written; empty when there is none.
    pub fn extension(&self) -> &str {
        match self.name().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => extension,
            _ => "",
        }
    }
}

/// The files of a project, sorted by path.
///
/// `.gitignore`, `.ignore` and git's own exclude files are respected, with or without git;
/// hidden files are listed; `.git` and `.orchestrator/state` are not; links are listed but never
/// followed.
#[derive(Debug)]
pub struct Index {
    root: PathBuf,
    /// See [`Index::home`].
    home: String,
    files: Vec<FileEntry>,
    notes: Vec<String>,
    limits: Limits,
    /// When the walk began.
    taken: SystemTime,
}

impl Index {
    /// Walks `root` and reads what fits in memory.
    ///
    /// # Errors
    /// [`IndexError::Root`] when `root` is not a readable directory; [`IndexError::Cancelled`]
    /// soon after `cancelled` is set. A file that cannot be read is a note, not an error.
    pub fn build(root: &Path, limits: Limits, cancelled: &AtomicBool) -> Result<Self, IndexError> {
        walk::walk(root, limits, None, cancelled)
    }

    /// Walks the same root again; contents are read only where a file has changed since.
    ///
    /// # Errors
    /// As [`Index::build`].
    pub fn refresh(&self, cancelled: &AtomicBool) -> Result<Self, IndexError> {
        walk::walk(&self.root, self.limits, Some(self), cancelled)
    }

    /// The file at `path` with contents that are sure to be those of a file with this size and
    /// time of change. A file changed shortly before it was read may have changed again within
    /// the tick of its file system's clock, so that it does not count as known.
    fn known(&self, path: &str, size: u64, modified: Option<SystemTime>) -> Option<&FileEntry> {
        let settled = modified?.checked_add(SLOWEST_TICK)? < self.taken;
        let file = self.file(path)?;
        (settled && file.size == size && file.modified == modified).then_some(file)
    }

    /// The root, with every link in its own path resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the project begins, relative to the root: empty, or the one directory that an unpacked
    /// archive holds, such as `package` of an npm package.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Every file, sorted by path.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The file at `path`, relative to the root with `/` between its parts.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// Whether a listed file lies under the directory `path`; the root is the empty path.
    pub fn has_dir(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let prefix = format!("{path}/");
        let at = self.files.partition_point(|file| file.path.as_str() < prefix.as_str());
        self.files.get(at).is_some_and(|file| file.path.starts_with(&prefix))
    }

    /// The contents of a text file; nothing when it is not one or can no longer be read.
    pub fn read(&self, file: &FileEntry) -> Option<Arc<str>> {
        if file.kind != Kind::Text {
            return None;
        }
        if let Some(text) = &file.text {
            return Some(Arc::clone(text));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
        File::open(&file.abs).ok()?.take(self.limits.huge).read_to_end(&mut bytes).ok()?;
        Some(Arc::from(String::from_utf8_lossy(&bytes)))
    }

    /// The contents of a file of up to `most` bytes even where it is too large for the rest:
    /// for formats that are parsed, not searched. Nothing when it is binary, larger or unreadable.
    pub fn read_large(&self, file: &FileEntry, most: u64) -> Option<Arc<str>> {
        match file.kind {
            Kind::Text => self.read(file),
            Kind::Huge if file.size <= most => {
                let mut text = String::new();
                File::open(&file.abs).ok()?.take(most).read_to_string(&mut text).ok()?;
                Some(text.into())
            }
            Kind::Huge | Kind::Binary | Kind::Unreadable | Kind::Link => None,
        }
    }

    /// What was left out, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Runs `work` over the contents of every text file that `pick` accepts, on all processors,
    /// and returns the results in the order of the paths.
    ///
    /// Ends early, with what there is, soon after `cancelled` is set.
    pub fn scan<'a, T, P, W>(
        &'a self,
        cancelled: &AtomicBool,
        pick: P,
        work: W,
    ) -> Vec<(&'a FileEntry, T)>
    where
        T: Send,
        P: Fn(&FileEntry) -> bool,
        W: Fn(&'a FileEntry, &str) -> T + Sync,
    {
        let picked: Vec<&FileEntry> =
            self.files.iter().filter(|file| file.kind == Kind::Text && pick(file)).collect();
        let cursor = AtomicUsize::new(0);
        let workers = workers().min(picked.len().div_ceil(CHUNK)).max(1);
        let run = || {
            let mut results = Vec::new();
            loop {
                let start = cursor.fetch_add(CHUNK, Ordering::Relaxed);
                if start >= picked.len() || cancelled.load(Ordering::Relaxed) {
                    return results;
                }
                for (at, file) in picked.iter().enumerate().skip(start).take(CHUNK) {
                    if let Some(text) = self.read(file) {
                        results.push((at, work(file, &text)));
                    }
                }
            }
        };
        let mut results: Vec<(usize, T)> = if workers == 1 {
            run()
        } else {
            thread::scope(|scope| {
                let spawned: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
                spawned
                    .into_iter()
                    .flat_map(|worker| match worker.join() {
                        Ok(results) => results,
                        // The panic is the caller's to report: swallowing it would pass off a
                        // partial result as a whole one.
                        Err(panic) => std::panic::resume_unwind(panic),
                    })
                    .collect()
            })
        };
        results.sort_unstable_by_key(|(at, _)| *at);
        results.into_iter().filter_map(|(at, result)| Some((*picked.get(at)?, result))).collect()
    }
}

/// The coarsest time stamps that a common file system keeps: FAT's, of two seconds.
const SLOWEST_TICK: Duration = Duration::from_secs(2);

/// How many files a worker takes at once: enough to make the shared cursor cheap, few enough to
/// keep the last worker from lagging.
const CHUNK: usize = 16;

fn workers() -> usize {
    thread::available_parallelism().map_or(2, usize::from).clamp(1, 8)
}
