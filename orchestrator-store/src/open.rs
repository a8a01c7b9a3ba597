//! Opening: the directory, the connection that writes, the connections that read.

use crate::{
    directory,
    error::{OpenError, from_sqlite, is_busy},
    migrate, wal,
};
use backon::{BlockingRetryable, ExponentialBuilder};
use orchestrator_core::port::StoreError;
use rusqlite::{Connection, OpenFlags, functions::FunctionFlags};
use rusqlite_migration::M;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The file of the database in the store's directory.
pub(crate) const DATABASE: &str = "events.db";

/// The directory of the blobs in the store's directory.
pub(crate) const BLOBS: &str = "blobs";

/// What a store is opened with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Every schema change that is known, in order.
    pub(crate) migrations: &'static [M<'static>],
    /// How long a lock of another process is waited for.
    pub(crate) patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { migrations: migrate::MIGRATIONS, patience: Duration::from_secs(5) }
    }
}

/// Enough that no statement of this crate is ever prepared twice.
const STATEMENT_CACHE: usize = 64;

/// Repeats what SQLite refuses as busy without asking its own busy handler, as it does when two
/// processes make a store at once or one recovers the log of a third that died. No try begins
/// after `patience`.
pub(crate) fn patient<T>(
    patience: Duration,
    work: impl FnMut() -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    let since = Instant::now();
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(100))
        .with_jitter()
        .without_max_times();
    work.retry(backoff).when(|error| is_busy(error) && since.elapsed() < patience).call()
}

/// Makes the directory `dir` if needed and opens the one connection that writes, with the schema
/// brought to the last version. Returns it with the path of its file.
pub(crate) fn writer(dir: &Path, settings: Settings) -> Result<(Connection, PathBuf), OpenError> {
    let files = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| OpenError::Files { action, path, source }
    };
    directory::make(dir).map_err(files("create the directory", dir))?;
    let file = dir.join(DATABASE);
    // SQLite would make the file readable for all; its side files take after it.
    let is_new = !file.exists();
    directory::touch(&file).map_err(files("open", &file))?;
    if !is_new && has_lost_its_content(dir, &file).map_err(files("read", &file))? {
        return Err(OpenError::Store {
            path: dir.to_path_buf(),
            source: StoreError::Damaged(format!(
                "`{}` is empty, but there are blobs of runs that it once held; restore a copy, or \
                 move the directory away to begin a new one",
                file.display()
            )),
        });
    }
    if let Some(what) = wal::damage(&file).map_err(files("read the log of", &file))? {
        return Err(OpenError::Store {
            path: dir.to_path_buf(),
            source: StoreError::Damaged(format!(
                "{what}; what was written there and later would be lost without a word, so restore \
                 a copy"
            )),
        });
    }
    let failed = |error: rusqlite::Error| OpenError::Store {
        path: dir.to_path_buf(),
        source: from_sqlite(&file, "open the store", &error),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(&file, flags).map_err(failed)?;
    conn.busy_timeout(settings.patience).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    migrate::check(&conn, &file, settings)?;
    patient(settings.patience, || configure(&conn)).map_err(failed)?;
    migrate::to_latest(&mut conn, &file, settings)?;
    if is_new {
        directory::sync(dir).map_err(files("sync the directory", dir))?;
    }
    Ok((conn, file))
}

/// Whether the database was cut down to nothing. SQLite takes an empty file for a new database;
/// but what has blobs had runs. A file that is only just being made has neither these nor a log.
fn has_lost_its_content(dir: &Path, file: &Path) -> io::Result<bool> {
    let is_empty = |path: &Path| match fs::metadata(path) {
        Ok(found) => Ok(found.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    };
    if !is_empty(file)? || !is_empty(&file.with_extension("db-wal"))? {
        return Ok(false);
    }
    match fs::read_dir(dir.join(BLOBS)) {
        // Blobs lie in directories; the lock beside them is no blob.
        Ok(entries) => {
            Ok(entries.flatten().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())))
        }
        Err(_) => Ok(false),
    }
}

fn configure(conn: &Connection) -> Result<(), rusqlite::Error> {
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    }
    // FULL: a commit returns after its frames are on the disk. The cache, which only grows that
    // large when it is needed, keeps a commit of many runs from spilling. The write-ahead log is
    // folded in at 16 MB; the size limit gives back what a large clean-up made of it.
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; \
         PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;",
    )
}

/// Opens a connection that can only read the store in `file`.
pub(crate) fn reader(file: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        conn.busy_timeout(patience)?;
        conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        conn.create_scalar_function(
            "has_text",
            2,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            |context| {
                let text: String = context.get(0)?;
                let wanted: String = context.get(1)?;
                Ok(text.to_lowercase().contains(&wanted))
            },
        )?;
        Ok(conn)
    };
    patient(patience, open).map_err(|error| from_sqlite(file, "open the store for reading", &error))
}
