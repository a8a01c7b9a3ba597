//! The stores that bits are flipped in, and how one is opened and read.

use orchestrator_store::LocalStore;
use orchestrator_testkit::flip::{Reading, fill};
use rusqlite::{Connection, OpenFlags};
use std::{
    error::Error,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file of the database.
const DATABASE: &str = "events.db";

/// What lies before the text of a row in its page, at most: its number, its header, its columns.
const BEFORE: usize = 64;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Makes a store with everything in it below `place`: `closed`, and `open` as a crash would leave
/// it, with what was written last in its write-ahead log.
pub(crate) fn make(place: &Path) -> Result<(PathBuf, PathBuf), Box<dyn Error>> {
    let (closed, open) = (place.join("closed"), place.join("open"));
    let runtime = runtime()?;
    let store = Arc::new(LocalStore::open(&closed)?);
    let blobs = Arc::new(store.blobs());
    runtime.block_on(fill(Arc::clone(&store) as _, blobs))?;
    copy(&closed, &open)?;
    drop(store);
    Ok((closed, open))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Opens the store in `dir`, looks for damage and reads all of it.
pub(crate) fn open(dir: &Path) -> Result<Reading, String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    let store = LocalStore::open(dir).map_err(|error| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    })?;
    runtime.block_on(async {
        store.verify().await.map_err(|error| error.to_string())?;
        Reading::of(&store, &store, &store.blobs()).await
    })
}

/// Parts of files, by their places in bytes.
type Parts = Vec<(PathBuf, Range<usize>)>;

/// Where the rows of the log lie in the database of `store`.
pub(crate) fn rows(store: &Path) -> Result<Parts, Box<dyn Error>> {
    let bytes = fs::read(store.join(DATABASE))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = Connection::open_with_flags(store.join(DATABASE), flags)?;
    let mut statement = conn.prepare("SELECT body FROM events")?;
    let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut parts = Vec::new();
    for body in bodies {
        let body = body?;
        // What does not fit into a page goes on in others; what a page split left behind looks like
        // a row and is none: all are taken.
        let start = &body.as_bytes()[..body.len().min(100)];
        let found = bytes.windows(start.len()).enumerate().filter(|(_, window)| *window == start);
        let places: Vec<usize> = found.map(|(at, _)| at).collect();
        if places.is_empty() {
            return Err("a row of the log is not in the file as it is".into());
        }
        for at in places {
            let end = (at + body.len()).min(bytes.len());
            parts.push((PathBuf::from(DATABASE), at.saturating_sub(BEFORE)..end));
        }
    }
    Ok(parts)
}
