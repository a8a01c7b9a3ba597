//! Room ahead in the write-ahead log.
//!
//! When a commit makes a file longer, its synchronisation has to write the file's new length as well
//! as its content: two waits for the disk instead of one. SQLite makes the log longer with every
//! commit until it is folded in. So a busy log is made longer some commits in advance, by zeros: to
//! SQLite they are what an earlier use of the file leaves behind its end, frames without the salts
//! of the present one.
//!
//! Only whoever holds the lock for writing writes frames, so the file is touched under that lock
//! alone, and only behind its end. Nothing depends on it: where it fails, the log grows by itself.

use crate::wal::{FRAME, HEADER, PAGE};
use std::{
    fs::{File, OpenOptions},
    io::IoSlice,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// How many bytes a frame takes.
const STEP: u64 = (FRAME + PAGE) as u64;

/// How many frames the log has before it counts as busy: short-lived processes stay below.
const BUSY: u64 = 128;

/// How many frames there are room for ahead, at least; and how many are added at a time.
const ROOM: u64 = 64;

/// The log of one open database, for the one thread that writes to it.
#[derive(Debug)]
pub(crate) struct Ahead {
    path: PathBuf,
    log: Option<File>,
    /// Since when it failed there was no further try.
    failed: bool,
}

impl Ahead {
    /// Of the database `file`.
    pub(crate) fn of(file: &Path) -> Self {
        Self { path: file.with_extension("db-wal"), log: None, failed: false }
    }

    /// Sees to it that there is room. To be called within a transaction that may write, before it
    /// has written.
    pub(crate) fn keep(&mut self) {
        if !self.failed && self.extend().is_err() {
            // A full disk, most likely: whatever needs the room says so itself.
            self.failed = true;
        }
    }

    fn extend(&mut self) -> std::io::Result<()> {
        let log = match &self.log {
            Some(log) => log,
            None => self.log.insert(OpenOptions::new().read(true).write(true).open(&self.path)?),
        };
        let end = log.metadata()?.len();
        let frames = end.saturating_sub(HEADER as u64) / STEP;
        if frames < BUSY {
            return Ok(());
        }
        let mut salts = [0; 8];
        log.read_exact_at(&mut salts, 16)?;
        let mut found = [0; 8];
        log.read_exact_at(&mut found, HEADER as u64 + (frames - ROOM) * STEP + 8)?;
        if found != salts {
            return Ok(());
        }
        let frame = [0; STEP as usize];
        let zeros = [IoSlice::new(&frame); ROOM as usize];
        rustix::io::pwritev(log, &zeros, end)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A database with that many small commits behind it, and the length of its log.
    fn busy(dir: &Path, commits: u32, is_kept: bool) -> (Connection, u64) {
        let file = dir.join("a.db");
        let conn = Connection::open(&file).unwrap();
        conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        let mut ahead = Ahead::of(&file);
        for n in 0..commits {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            if is_kept {
                ahead.keep();
            }
            conn.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
            conn.execute_batch("COMMIT").unwrap();
        }
        assert!(!ahead.failed);
        let length = std::fs::metadata(&ahead.path).unwrap().len();
        (conn, length)
    }

    fn count(conn: &Connection) -> u32 {
        conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_busy_log_has_room_ahead_and_a_quiet_one_has_none() {
        let check = |commits: u32, has_room: bool| {
            let dir = [(); 2].map(|()| tempfile::tempdir().unwrap());
            let [(_plain, bare), (kept, long)] = [(&dir[0], false), (&dir[1], true)]
                .map(|(d, is_kept)| busy(d.path(), commits, is_kept));
            assert_eq!(long > bare, has_room, "{commits} commits: {bare} and {long} bytes");
            assert!(long <= bare + 2 * ROOM * STEP, "{commits} commits: {bare} and {long} bytes");
            assert_eq!(count(&kept), commits);
        };
        check(20, false);
        check(300, true);
        check(700, true);
    }

    #[test]
    fn what_a_crash_leaves_is_whole_and_undamaged() {
        let [dir, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (conn, _) = busy(dir.path(), 300, true);
        // As a crash would leave it: nothing folded in, the zeros behind the end of the log.
        for name in ["a.db", "a.db-wal"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        drop(conn);
        let file = copy.path().join("a.db");
        assert_eq!(crate::wal::damage(&file).unwrap(), None);
        let conn = Connection::open(&file).unwrap();
        assert_eq!(count(&conn), 300);
        // It goes on where the frames end, not where the file does.
        conn.execute("INSERT INTO t VALUES (300)", []).unwrap();
        drop(conn);
        assert_eq!(count(&Connection::open(&file).unwrap()), 301);
    }

    #[test]
    fn where_there_is_no_log_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut ahead = Ahead::of(&dir.path().join("none.db"));
        ahead.keep();
        assert!(ahead.failed && std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }
}
