//! Schema versions: a new store is made, an older one is migrated after a backup, a newer one is
//! refused and left as it is.

use crate::{
    directory,
    error::{OpenError, from_sqlite},
    open::{self, Settings},
};
use orchestrator_core::{port::StoreError, time::Timestamp};
use rusqlite::{Connection, config::DbConfig};
use rusqlite_migration::{M, Migrations};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Every schema change, in order; the version of a store is how many of them it has.
pub(crate) const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../migrations/0001-log-and-rows.sql")),
    M::up(include_str!("../migrations/0002-whole-port.sql")),
    M::up(include_str!("../migrations/0003-last-attempt.sql")),
    M::up(include_str!("../migrations/0004-ledger.sql")),
    M::up(include_str!("../migrations/0005-calls-and-estimates.sql")),
    M::up(include_str!("../migrations/0006-landings.sql")),
];

/// What the first migration writes into every store.
const APPLICATION_ID: i64 = 0x6f72_6368;

/// Brings the store behind `conn`, whose file is `file`, to the last version.
pub(crate) fn to_latest(
    conn: &mut Connection,
    file: &Path,
    settings: Settings,
) -> Result<(), OpenError> {
    let known = settings.migrations.len() as u64;
    if check_version(conn, file, settings)? == known {
        return Ok(());
    }
    // Another process may be doing the same: one of them migrates, the others find it done.
    let lock = directory::touch(&file.with_extension("lock"))
        .map_err(|source| files("lock", file, source))?;
    lock.lock().map_err(|source| files("lock", file, source))?;
    let found = check_version(conn, file, settings)?;
    if found == known {
        return Ok(());
    }
    if found > 0 {
        let copy = back_up(conn, file, found)?;
        tracing::info!(from = found, to = known, copy = %copy.display(), "migrating the store");
    }
    // `lock` is released when it is dropped, after the commit.
    Migrations::from_slice(settings.migrations).to_latest(conn).map_err(|error| {
        let source = match &error {
            rusqlite_migration::Error::RusqliteError { err, .. } => {
                from_sqlite(file, "migrate the store", err)
            }
            other => StoreError::Damaged(format!(
                "`{}` cannot be migrated from version {found} to {known}: {other}",
                file.display()
            )),
        };
        refused(file, source)
    })
}

/// Refuses a store that this program must not touch, before anything is written.
pub(crate) fn check(conn: &Connection, file: &Path, settings: Settings) -> Result<(), OpenError> {
    check_version(conn, file, settings).map(|_| ())
}

/// The schema version of a store that this program may open, 0 for an empty file.
fn check_version(conn: &Connection, file: &Path, settings: Settings) -> Result<u64, OpenError> {
    let known = settings.migrations.len() as u64;
    let failed = |error| refused(file, from_sqlite(file, "read the store's version", &error));
    // All in one read transaction: another process may be making this store right now, and half of
    // before with half of after would look like somebody else's file.
    let look = || -> Result<(i64, i64, i64), rusqlite::Error> {
        let view = conn.unchecked_transaction()?;
        let version = |name| view.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let found = version("user_version")?;
        let application = version("application_id")?;
        let tables = match found {
            0 => view.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
            _ => 0,
        };
        Ok((found, application, tables))
    };
    let (found, application, tables) = open::patient(settings.patience, look).map_err(failed)?;
    let foreign = tables > 0 || found < 0 || (found > 0 && application != APPLICATION_ID);
    let problem = if foreign {
        StoreError::Damaged(format!(
            "`{}` belongs to another program; choose another directory",
            file.display()
        ))
    } else if found.unsigned_abs() > known {
        StoreError::TooNew { found: found.unsigned_abs(), known }
    } else {
        return Ok(found.unsigned_abs());
    };
    // What another program or version has left in its write-ahead log stays there.
    let mut log = file.as_os_str().to_os_string();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    }
    Err(refused(file, problem))
}

/// Copies the store of version `found` to `<file>.backup-v<found>-<time>` and returns that path.
fn back_up(conn: &Connection, file: &Path, found: u64) -> Result<PathBuf, OpenError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::default().after(now).to_string().replace([':', '.'], "-");
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".backup-v{found}-{now}"));
    let copy = file.with_file_name(name);
    let mut part = copy.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    directory::touch(&part).map_err(|source| files("create", &part, source))?;
    conn.backup("main", &part, None).map_err(|error| {
        refused(file, from_sqlite(&part, "copy the store before its migration", &error))
    })?;
    let finish = || -> io::Result<()> {
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, &copy)?;
        directory::sync(copy.parent().unwrap_or(Path::new(".")))
    };
    finish().map_err(|source| files("finish the copy", &copy, source))?;
    Ok(copy)
}

fn files(action: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Files { action, path: path.to_path_buf(), source }
}

fn refused(file: &Path, source: StoreError) -> OpenError {
    OpenError::Store { path: file.parent().unwrap_or(file).to_path_buf(), source }
}
