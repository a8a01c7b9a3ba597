//! How failures of SQLite and of files become failures of the store.

use orchestrator_core::port::StoreError;
use rusqlite::{ErrorCode, ffi};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A directory or file of the store cannot be made or reached.
    #[error("cannot {action} `{}`; check that the directory exists and that you may write to it", path.display())]
    Files {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What stood in the way.
        source: io::Error,
    },
    /// The files are there, but the store in them cannot be used.
    #[error("cannot open the store `{}`", path.display())]
    Store {
        /// The directory of the store.
        path: PathBuf,
        /// What stood in the way.
        source: StoreError,
    },
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store { source, .. } => source,
            OpenError::Files { action, path, source } => {
                from_io(format!("{action} `{}`", path.display()), &source)
            }
        }
    }
}

/// Why a piece of work on a connection did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The request was understood and refused; nothing was written for it.
    Refused(StoreError),
    /// The database failed.
    Sql(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The store's failure for an input or output error while doing `action`.
pub(crate) fn from_io(action: String, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(action),
        _ => StoreError::Unavailable { action, reason: error.to_string() },
    }
}

/// The store's failure for SQLite's `error` on the file `path` while doing `action`.
pub(crate) fn from_sqlite(
    path: &Path,
    action: impl fmt::Display,
    error: &rusqlite::Error,
) -> StoreError {
    let file = path.display();
    let unavailable =
        |reason: String| StoreError::Unavailable { action: action.to_string(), reason };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(format!("{action} in `{file}`")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(format!(
            "`{file}` is not a readable database ({error}); restore a copy, or move the file away to begin a new one"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => unavailable(format!(
            "`{file}` stayed locked by another program, such as a second orchestrator, a backup or a \
             database browser; close that and try again"
        )),
        Some(ErrorCode::ReadOnly) => unavailable(format!(
            "`{file}` or its directory is read-only; make both writable or choose another directory"
        )),
        // SQLite does not tell why a file could not be made.
        Some(ErrorCode::CannotOpen) if disk_is_full(path) => {
            StoreError::Full(format!("{action} in `{file}`"))
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => unavailable(format!(
            "`{file}` or a file beside it cannot be opened; check that the directory exists, that you \
             may write to it, and that there is space left on the disk"
        )),
        // Unless it was the synchronisation that failed: then it may have been written.
        Some(ErrorCode::SystemIoFailure) if !is_sync(error) && disk_is_full(path) => {
            StoreError::Full(format!("{action} in `{file}`"))
        }
        Some(ErrorCode::SystemIoFailure) => unavailable(format!(
            "reading or writing `{file}` failed ({error}); check the disk and the system's log"
        )),
        Some(_) => unavailable(format!("`{file}`: {error}")),
        // Without a code of SQLite's, a stored value did not have the type that it must have.
        None => StoreError::Damaged(format!("`{file}` holds a value of the wrong kind: {error}")),
    }
}

/// Whether the file system of `path` has nothing left: SQLite reports some full disks as failed
/// input or output, or as files that cannot be opened.
fn disk_is_full(path: &Path) -> bool {
    // The file itself may be what could not be made.
    rustix::fs::statvfs(path)
        .or_else(|_| rustix::fs::statvfs(path.parent().unwrap_or(path)))
        .is_ok_and(|disk| disk.f_bavail == 0 || disk.f_favail == 0 && disk.f_files > 0)
}

/// Whether the disk did not say whether it has what was written.
fn is_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Whether trying the same again soon may succeed.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_says_what_and_where() {
        let check = |code: i32, expected: &str| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let text =
                from_sqlite(Path::new("/tmp/events.db"), "append to run `r_1`", &error).to_string();
            assert!(text.contains(expected), "{code}: {text}");
            assert!(text.contains("/tmp/events.db"), "{code}: {text}");
        };
        check(ffi::SQLITE_FULL, "no space is left");
        check(ffi::SQLITE_CORRUPT, "the store is damaged");
        check(ffi::SQLITE_NOTADB, "the store is damaged");
        check(ffi::SQLITE_BUSY, "locked by another program");
        check(ffi::SQLITE_READONLY, "read-only");
        check(ffi::SQLITE_CANTOPEN, "cannot be opened");
        check(ffi::SQLITE_IOERR, "check the disk");
    }

    #[test]
    fn a_synchronisation_that_failed_is_told_apart() {
        let check = |code: i32, expected: bool| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(is_sync(&error), expected, "{code}");
        };
        check(ffi::SQLITE_IOERR_FSYNC, true);
        check(ffi::SQLITE_IOERR_DIR_FSYNC, true);
        check(ffi::SQLITE_IOERR_WRITE, false);
        check(ffi::SQLITE_FULL, false);
    }

    /// `/proc` is a file system with nothing left for anybody.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_a_full_disk_has_no_room_for_is_told_as_such() {
        let check = |code: i32, path: &str, expected: bool| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let told = from_sqlite(Path::new(path), "open the store", &error);
            assert_eq!(matches!(told, StoreError::Full(_)), expected, "{code} {path}: {told}");
            assert!(told.to_string().contains("space"), "{told}");
        };
        check(ffi::SQLITE_CANTOPEN, "/proc/events.db", true);
        check(ffi::SQLITE_CANTOPEN, "/proc/version", true);
        check(ffi::SQLITE_CANTOPEN, "/no/such/directory/events.db", false);
        check(ffi::SQLITE_PERM, "/proc/version", false);
    }

    #[test]
    fn a_full_disk_is_told_apart_for_files_too() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        assert_eq!(from_io("write `x`".into(), &full), StoreError::Full("write `x`".into()));
    }
}
