//! SQLite without an engine, as durable as the store, and new stores to compare with it.

use orchestrator_store::LocalStore;
use rusqlite::Connection;
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

/// A new directory, gone when it is dropped.
///
/// # Panics
/// When it cannot be made.
pub fn scratch() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A new store in `directory`.
///
/// # Panics
/// When it cannot be made.
pub fn durable(directory: &Path) -> Arc<LocalStore> {
    Arc::new(LocalStore::open(directory).expect("a new store opens"))
}

/// A database with one table, as durable as the store: a write-ahead log, an fsync for each commit.
///
/// # Panics
/// When it cannot be made.
pub fn database(directory: &Path) -> Connection {
    let db = Connection::open(directory.join("bare.db")).expect("a new database opens");
    db.pragma_update(None, "journal_mode", "wal").expect("WAL is there");
    db.pragma_update(None, "synchronous", "full").expect("FULL is there");
    db.execute_batch("create table t (a integer primary key, b text)").expect("a table");
    db
}

/// `count` commits of one row each.
///
/// # Panics
/// When the database refuses.
pub fn commits(db: &Connection, count: usize) {
    let mut insert = db.prepare("insert into t (b) values ('x')").expect("a statement");
    for _ in 0..count {
        insert.execute([]).expect("a row");
    }
}

/// `count` rows, one statement each, `batch` of them a commit.
///
/// # Panics
/// When the database refuses.
pub fn batched_rows(db: &Connection, count: usize, batch: usize) {
    let mut insert = db.prepare("insert into t (b) values ('x')").expect("a statement");
    for _ in 0..count / batch {
        db.execute_batch("begin immediate").expect("a transaction");
        for _ in 0..batch {
            insert.execute([]).expect("a row");
        }
        db.execute_batch("commit").expect("a commit");
    }
}
