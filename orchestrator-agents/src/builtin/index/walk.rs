//! The walk behind [`Index::build`].

use super::{
    Class, FileEntry, Index, IndexError, Kind, Limits,
    class::{classify, is_web, looks_generated, names_its_source},
    home::home,
    workers,
};
use crate::builtin::phrase::counted;
use ignore::{DirEntry, WalkBuilder, WalkState};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

/// How much of a file decides whether it is binary.
const SNIFF: usize = 8 << 10;

/// How much of the end of a script tells whether it was made from another file.
const TAIL: u64 = 4 << 10;

/// What the workers share.
struct Shared<'a> {
    root: &'a Path,
    limits: Limits,
    /// An earlier index of the same root, whose contents are used where nothing changed.
    previous: Option<&'a Index>,
    cancelled: &'a AtomicBool,
    /// Bytes of contents kept so far.
    kept: AtomicU64,
    listed: AtomicUsize,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    files: Vec<FileEntry>,
    errors: Vec<String>,
}

pub(super) fn walk(
    given: &Path,
    limits: Limits,
    previous: Option<&Index>,
    cancelled: &AtomicBool,
) -> Result<Index, IndexError> {
    let taken = SystemTime::now();
    let unreadable = |source| IndexError::Root { path: given.to_path_buf(), source };
    let root = fs::canonicalize(given).map_err(unreadable)?;
    // A file as the root would be walked as a project of one; say instead that it is no directory.
    fs::read_dir(&root).map_err(unreadable)?;
    let shared = Shared {
        root: &root,
        limits,
        previous,
        cancelled,
        kept: AtomicU64::new(0),
        listed: AtomicUsize::new(0),
        found: Mutex::new(Found::default()),
    };
    WalkBuilder::new(&root)
        .hidden(false)
        .require_git(false)
        .follow_links(false)
        .threads(workers())
        .filter_entry(is_wanted)
        .build_parallel()
        .run(|| {
            let mut worker =
                Worker { shared: &shared, found: Found::default(), buffer: Vec::new() };
            Box::new(move |entry| worker.visit(entry))
        });
    if cancelled.load(Ordering::Relaxed) {
        return Err(IndexError::Cancelled);
    }
    let listed = shared.listed.load(Ordering::Relaxed);
    let Found { mut files, errors } =
        shared.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path).then_with(|| a.abs.cmp(&b.abs)));
    let notes = notes(&files, errors, listed, limits);
    let home = home(&files);
    Ok(Index { root, home, files, notes, limits, taken })
}

/// Leaves out git's own directory and this program's state, at any depth.
fn is_wanted(entry: &DirEntry) -> bool {
    if entry.depth() == 0 {
        return true;
    }
    let in_own_state =
        || entry.path().parent().and_then(Path::file_name) == Some(OsStr::new(".orchestrator"));
    match entry.file_name() {
        name if name == ".git" => false,
        name if name == "state" => !in_own_state(),
        _ => true,
    }
}

/// One thread's part of the walk. What it found joins the rest when it ends.
struct Worker<'a> {
    shared: &'a Shared<'a>,
    found: Found,
    buffer: Vec<u8>,
}

impl Worker<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        if self.shared.cancelled.load(Ordering::Relaxed) {
            return WalkState::Quit;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                self.found.errors.push(error.to_string());
                return WalkState::Continue;
            }
        };
        // A broken ignore file does not hide the entry itself.
        if let Some(error) = entry.error() {
            self.found.errors.push(error.to_string());
        }
        if entry.file_type().is_none_or(|kind| kind.is_dir()) {
            return WalkState::Continue;
        }
        if self.shared.listed.fetch_add(1, Ordering::Relaxed) >= self.shared.limits.files {
            return WalkState::Quit;
        }
        let file = self.list(&entry);
        self.found.files.push(file);
        WalkState::Continue
    }

    fn list(&mut self, entry: &DirEntry) -> FileEntry {
        let path = relative(self.shared.root, entry.path());
        let mut file = FileEntry {
            class: classify(&path),
            path,
            abs: entry.path().to_path_buf(),
            size: 0,
            kind: Kind::Unreadable,
            modified: None,
            text: None,
        };
        if entry.path_is_symlink() {
            file.kind = Kind::Link;
        } else if entry.file_type().is_some_and(|kind| kind.is_file())
            && let Err(error) = self.look_into(&mut file)
        {
            tracing::debug!(path = %file.path, %error, "cannot read a file of the project");
        }
        file
    }

    /// Finds out what `file` holds and keeps its contents while there is room.
    fn look_into(&mut self, file: &mut FileEntry) -> io::Result<()> {
        if let Some(previous) = self.shared.previous {
            let now = fs::symlink_metadata(&file.abs)?;
            if let Some(known) = previous.known(&file.path, now.len(), now.modified().ok())
                && known.abs == file.abs
            {
                file.clone_from(known);
                if known.text.is_some() {
                    self.shared.kept.fetch_add(known.size, Ordering::Relaxed);
                }
                return Ok(());
            }
        }
        let mut open = File::open(&file.abs)?;
        let metadata = open.metadata()?;
        file.size = metadata.len();
        file.modified = metadata.modified().ok();
        if file.size > self.shared.limits.huge {
            file.kind = Kind::Huge;
            return Ok(());
        }
        self.buffer.clear();
        open.by_ref().take(SNIFF as u64).read_to_end(&mut self.buffer)?;
        if memchr::memchr(0, &self.buffer).is_some() {
            file.kind = Kind::Binary;
            return Ok(());
        }
        file.kind = Kind::Text;
        if file.class.is_written_here() && looks_generated(&file.path, &self.buffer) {
            file.class = Class::Generated;
        }
        if file.class.is_written_here()
            && is_web(&file.path)
            && self.is_made(&mut open, file.size)?
        {
            file.class = Class::Generated;
        }
        let kept = self.shared.kept.fetch_add(file.size, Ordering::Relaxed);
        if kept.saturating_add(file.size) > self.shared.limits.memory {
            self.shared.kept.fetch_sub(file.size, Ordering::Relaxed);
            return Ok(());
        }
        // The file may have grown since; the limit holds all the same.
        let rest = self.shared.limits.huge.saturating_sub(self.buffer.len() as u64);
        open.take(rest).read_to_end(&mut self.buffer)?;
        file.text = Some(Arc::from(String::from_utf8_lossy(&self.buffer)));
        Ok(())
    }
}

impl Worker<'_> {
    /// Whether the end of the open file, of which the buffer has the beginning, names the source
    /// that it was made from. The place to read on from is kept.
    fn is_made(&self, open: &mut File, size: u64) -> io::Result<bool> {
        if size <= self.buffer.len() as u64 {
            return Ok(names_its_source(&self.buffer));
        }
        // A map may be part of the line itself; then its beginning is out of sight, and the line
        // is too long for code that people wrote: what is cut off does not matter here.
        let place = open.stream_position()?;
        open.seek(io::SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut tail = Vec::with_capacity(TAIL as usize);
        open.by_ref().take(TAIL).read_to_end(&mut tail)?;
        open.seek(io::SeekFrom::Start(place))?;
        Ok(names_its_source(&tail) || memchr::memchr(b'\n', &tail).is_none())
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.files.append(&mut self.found.files);
        found.errors.append(&mut self.found.errors);
    }
}

/// `path` below `root`, with `/` between its parts, lossy where a part is not UTF-8.
fn relative(root: &Path, path: &Path) -> String {
    let parts: Vec<_> = path
        .strip_prefix(root)
        .unwrap_or(path)
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// What the walk left out, in a line for each reason.
fn notes(files: &[FileEntry], errors: Vec<String>, listed: usize, limits: Limits) -> Vec<String> {
    let mut notes = Vec::new();
    let mut tell = |kind: Kind, one: &str, many: &str| {
        let mut paths = files.iter().filter(|file| file.kind == kind).map(|file| &*file.path);
        let shown: Vec<&str> = paths.by_ref().take(NAMED).collect();
        let count = shown.len() + paths.count();
        if count > 0 {
            let more = if count > NAMED { ", ..." } else { "" };
            notes.push(format!("{}: {}{more}", counted(count, one, many), shown.join(", ")));
        }
    };
    let limit = limits.huge >> 10;
    tell(
        Kind::Huge,
        &format!("file larger than {limit} KiB was skipped"),
        &format!("files larger than {limit} KiB were skipped"),
    );
    tell(Kind::Binary, "binary file was skipped", "binary files were skipped");
    tell(Kind::Unreadable, "file could not be read", "files could not be read");
    tell(
        Kind::Link,
        "symbolic link was listed but not followed",
        "symbolic links were listed but not followed",
    );
    let odd = files.iter().filter(|file| file.path.contains('\u{fffd}')).count();
    if odd > 0 {
        notes.push(format!(
            "{} not UTF-8; what cannot be decoded is shown as U+FFFD",
            counted(odd, "file name is", "file names are")
        ));
    }
    if listed > limits.files {
        notes.push(format!(
            "the project has more than {} files; only that many were looked at",
            limits.files
        ));
    }
    let count = errors.len();
    for error in errors.into_iter().take(NAMED) {
        notes.push(format!("not read: {error}"));
    }
    if let Some(more @ 1..) = count.checked_sub(NAMED) {
        notes.push(format!("{more} more errors while reading the project"));
    }
    notes
}

/// How many paths a note names.
const NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &[u8])]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (path, bytes) in files {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Self(dir)
        }

        fn index(&self, limits: Limits) -> Index {
            Index::build(self.0.path(), limits, &AtomicBool::new(false)).unwrap()
        }
    }

    fn paths(index: &Index) -> Vec<&str> {
        index.files().iter().map(|file| &*file.path).collect()
    }

    #[test]
    fn ignore_files_are_respected_without_git_and_hidden_files_are_listed() {
        let tree = Tree::new(&[
            (".gitignore", b"*.log\n/build/\n"),
            (".ignore", b"secret.txt\n"),
            ("a.log", b"x"),
            ("build/x.rs", b"x"),
            ("secret.txt", b"x"),
            (".hidden/a.rs", b"x"),
            ("sub/.gitignore", b"!keep.log\nmine.rs\n"),
            ("sub/keep.log", b"x"),
            ("sub/mine.rs", b"x"),
            (".git/config", b"x"),
            (".orchestrator/config.toml", b"x"),
            (".orchestrator/state/log.db", b"x"),
            ("state/x.rs", b"x"),
        ]);
        assert_eq!(
            paths(&tree.index(Limits::default())),
            [
                ".gitignore",
                ".hidden/a.rs",
                ".ignore",
                ".orchestrator/config.toml",
                "state/x.rs",
                "sub/.gitignore",
                "sub/keep.log",
            ]
        );
    }

    #[test]
    fn each_file_is_of_one_kind_and_what_is_skipped_is_noted() {
        let tree = Tree::new(&[
            ("text.txt", b"hello"),
            ("latin1.txt", b"caf\xe9"),
            ("bin.dat", b"a\0b"),
            ("huge.txt", &[b'x'; 101]),
        ]);
        let index = tree.index(Limits { huge: 100, ..Limits::default() });
        let kinds: Vec<_> = index.files().iter().map(|f| (&*f.path, f.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("bin.dat", Kind::Binary),
                ("huge.txt", Kind::Huge),
                ("latin1.txt", Kind::Text),
                ("text.txt", Kind::Text),
            ]
        );
        let latin1 = index.file("latin1.txt").and_then(|file| index.read(file));
        assert_eq!(latin1.as_deref(), Some("caf\u{fffd}"));
        assert!(index.file("bin.dat").and_then(|file| index.read(file)).is_none());
        assert_eq!(index.notes().len(), 2, "{:?}", index.notes());
    }

    #[test]
    fn contents_beyond_the_memory_limit_are_still_readable() {
        let tree = Tree::new(&[("a", b"aaaa"), ("b", b"bbbb"), ("c", b"cccc")]);
        let index = tree.index(Limits { memory: 8, ..Limits::default() });
        assert_eq!(index.files().iter().filter(|file| file.text.is_some()).count(), 2);
        let all = index.scan(&AtomicBool::new(false), |_| true, |_, text| text.to_owned());
        let all: Vec<_> = all.iter().map(|(file, text)| (&*file.path, &**text)).collect();
        assert_eq!(all, [("a", "aaaa"), ("b", "bbbb"), ("c", "cccc")]);
    }

    #[test]
    fn a_refresh_reads_only_what_changed() {
        let tree = Tree::new(&[("old", b"aa"), ("new", b"bb")]);
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let old = File::options().write(true).open(tree.0.path().join("old")).unwrap();
        old.set_modified(long_ago).unwrap();
        let before = tree.index(Limits::default());
        // Same size, and on a coarse file system the same time of change.
        fs::write(tree.0.path().join("new"), b"cc").unwrap();
        fs::write(tree.0.path().join("third"), b"dd").unwrap();
        let after = before.refresh(&AtomicBool::new(false)).unwrap();
        let text = |index: &Index, path: &str| index.read(index.file(path).unwrap()).unwrap();
        assert!(Arc::ptr_eq(&text(&before, "old"), &text(&after, "old")));
        assert_eq!(&*text(&after, "new"), "cc");
        assert_eq!(&*text(&after, "third"), "dd");
        old.set_modified(long_ago + std::time::Duration::from_secs(1)).unwrap();
        let again = after.refresh(&AtomicBool::new(false)).unwrap();
        assert!(!Arc::ptr_eq(&text(&after, "old"), &text(&again, "old")));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_listed_and_never_followed() {
        let outside = Tree::new(&[("secret", b"x")]);
        let tree = Tree::new(&[("a", b"x")]);
        std::os::unix::fs::symlink(outside.0.path(), tree.0.path().join("out")).unwrap();
        std::os::unix::fs::symlink(tree.0.path(), tree.0.path().join("loop")).unwrap();
        let index = tree.index(Limits::default());
        assert_eq!(paths(&index), ["a", "loop", "out"]);
        assert_eq!(index.file("out").unwrap().kind, Kind::Link);
        assert!(index.notes()[0].starts_with("2 symbolic links"), "{:?}", index.notes());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_not_utf8_is_shown_lossily_and_said_so() {
        use std::os::unix::ffi::OsStrExt;
        let tree = Tree::new(&[]);
        fs::write(tree.0.path().join(OsStr::from_bytes(b"b\xffd.txt")), "x").unwrap();
        let index = tree.index(Limits::default());
        assert_eq!(paths(&index), ["b\u{fffd}d.txt"]);
        assert_eq!(index.read(&index.files()[0]).as_deref(), Some("x"));
        assert!(index.notes()[0].contains("not UTF-8"), "{:?}", index.notes());
    }

    #[test]
    fn what_is_no_directory_or_was_cancelled_is_an_error() {
        let tree = Tree::new(&[("a", b"x")]);
        let never = AtomicBool::new(false);
        for path in ["a", "missing"] {
            let result = Index::build(&tree.0.path().join(path), Limits::default(), &never);
            assert!(matches!(result, Err(IndexError::Root { .. })), "{path}");
        }
        let result = Index::build(tree.0.path(), Limits::default(), &AtomicBool::new(true));
        assert!(matches!(result, Err(IndexError::Cancelled)));
    }

    #[test]
    fn directories_and_files_are_found_by_path() {
        let tree = Tree::new(&[("a/b/c.rs", b"x"), ("a-b", b"x")]);
        let index = tree.index(Limits::default());
        for (path, there) in
            [("", true), ("a", true), ("a/b", true), ("a/b/c.rs", false), ("b", false)]
        {
            assert_eq!(index.has_dir(path), there, "{path}");
        }
        assert!(index.file("a/b/c.rs").is_some());
        assert!(index.file("a/b").is_none());
    }

    #[test]
    fn the_file_limit_is_kept_and_said() {
        let tree = Tree::new(&[("a", b"x"), ("b", b"x"), ("c", b"x")]);
        let index = tree.index(Limits { files: 2, ..Limits::default() });
        assert_eq!(index.files().len(), 2);
        assert!(index.notes()[0].contains("more than 2 files"), "{:?}", index.notes());
    }
}
