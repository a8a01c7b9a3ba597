//! What only shows from inside: other schemas, damaged files, and a writer that runs out of room.

use super::*;
use crate::migrate::MIGRATIONS;
use orchestrator_core::port::{Append, Ledger, Rows};
use orchestrator_testkit::store_contract::{Driver, ended, started};
use rusqlite::Connection;
use rusqlite_migration::M;
use std::{fs, os::unix::fs::PermissionsExt, sync::LazyLock, time::Duration};
use tempfile::TempDir;

/// The schema of this version.
const NOW: usize = MIGRATIONS.len();

/// The schema as it is now and one more change, as a later version would have.
static LATER: LazyLock<Vec<M<'static>>> = LazyLock::new(|| {
    let change = "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'";
    [MIGRATIONS, &[M::up(change)]].concat()
});

/// A later schema whose second change cannot be made.
static BROKEN: LazyLock<Vec<M<'static>>> = LazyLock::new(|| {
    let change = "CREATE TABLE later (n INTEGER); INSERT INTO nowhere VALUES (1)";
    [MIGRATIONS, &[M::up(change)]].concat()
});

const fn with(migrations: &'static [M<'static>]) -> Settings {
    Settings { migrations, patience: Duration::from_millis(50) }
}

/// A directory with a store of one run of `events` events, closed.
async fn stored(events: usize) -> (TempDir, Driver) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let mut driver = Driver::created(&store, "a", 100).await;
    for _ in 1..events {
        driver.append(&store, vec![started("plan", 1)], Rows::default()).await.unwrap();
    }
    (dir, driver)
}

fn refusal(dir: &Path, settings: Settings) -> StoreError {
    StoreError::from(LocalStore::open_with(dir, settings).unwrap_err())
}

fn database(dir: &TempDir) -> PathBuf {
    dir.path().join(open::DATABASE)
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_untouched() {
    let (dir, _) = stored(2).await;
    drop(LocalStore::open_with(dir.path(), with(&LATER)).unwrap());
    let before = fs::read(database(&dir)).unwrap();
    let listed = names(&dir);
    let (found, known) = (NOW as u64 + 1, NOW as u64);
    assert_eq!(refusal(dir.path(), with(MIGRATIONS)), StoreError::TooNew { found, known });
    assert!(fs::read(database(&dir)).unwrap() == before, "the file has changed");
    assert_eq!(names(&dir), listed);
}

#[tokio::test]
async fn an_older_store_is_migrated_after_a_copy() {
    let (dir, mut driver) = stored(3).await;
    {
        let store = LocalStore::open_with(dir.path(), with(&LATER)).unwrap();
        let events = store.events(&driver.run, Sequence(0), 10).await.unwrap();
        assert_eq!(events.len(), 3, "what was there still is");
        driver.append(&store, vec![ended()], Rows::default()).await.unwrap();
    }
    let listed = names(&dir);
    let copies: Vec<_> = listed.iter().filter(|name| name.contains("backup")).collect();
    assert!(
        copies.len() == 1 && copies[0].starts_with(&format!("events.db.backup-v{NOW}-")),
        "{listed:?}"
    );
    assert!(!copies[0].ends_with(".part"), "{listed:?}");
    // The copy is a whole store of the older version.
    let old = tempfile::tempdir().unwrap();
    let copy = dir.path().join(copies[0]);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    fs::copy(copy, database(&old)).unwrap();
    let store = LocalStore::open(old.path()).unwrap();
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 3);
    // Opened again, there is nothing more to migrate and no second copy.
    drop(LocalStore::open_with(dir.path(), with(&LATER)).unwrap());
    assert_eq!(names(&dir), listed);
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    let (dir, driver) = stored(3).await;
    let error = refusal(dir.path(), with(&BROKEN));
    assert!(error.to_string().contains("nowhere"), "{error}");
    let store = LocalStore::open(dir.path()).unwrap();
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 3);
}

#[test]
fn files_that_are_no_store_are_refused() {
    let check = |make: &dyn Fn(&Path), says: &str| {
        let dir = tempfile::tempdir().unwrap();
        make(&database(&dir));
        let before = fs::read(database(&dir)).unwrap();
        let error = refusal(dir.path(), with(MIGRATIONS));
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains(says)), "{error}");
        assert!(error.to_string().contains("events.db"), "{error}");
        assert!(fs::read(database(&dir)).unwrap() == before, "the file has changed");
    };
    let sql = |text: &'static str| {
        move |file: &Path| Connection::open(file).unwrap().execute_batch(text).unwrap()
    };
    check(&|file| fs::write(file, "just some text, long enough".repeat(50)).unwrap(), "not a");
    check(&sql("CREATE TABLE theirs (x)"), "another program");
    check(&sql("CREATE TABLE theirs (x); PRAGMA user_version = 1"), "another program");
    check(&sql("PRAGMA user_version = -3"), "another program");
}

#[test]
fn what_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = LocalStore::open(&file.join("state")).unwrap_err();
    assert!(error.to_string().contains("file/state"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
    fs::create_dir(dir.path().join("store")).unwrap();
    fs::create_dir(dir.path().join("store/events.db")).unwrap();
    let error = LocalStore::open(&dir.path().join("store")).unwrap_err();
    assert!(error.to_string().contains("events.db"), "{error}");
}

#[test]
fn only_the_owner_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("deep/state");
    let store = LocalStore::open(&state).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in [dir.path().join("deep"), state.clone(), state.join("blobs")] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    for file in ["events.db", "events.db-wal", "events.db-shm", "events.lock"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
    drop(store);
}

#[tokio::test]
async fn closing_folds_the_log_in_and_keeps_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let mut driver = Driver::created(&store, "a", 100).await;
    driver.append(&store, vec![ended()], Rows::default()).await.unwrap();
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 2);
    drop(store);
    assert_eq!(names(&dir), ["blobs", "events.db", "events.lock"]);
    let store = LocalStore::open(dir.path()).unwrap();
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 2);
}

/// Changes the closed store behind its back.
fn tamper(dir: &TempDir, sql: &str) {
    let conn = Connection::open(database(dir)).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
}

#[tokio::test]
async fn tampering_with_the_log_is_found_and_placed() {
    let check = async |sql: &str, says: &str| {
        let (dir, driver) = stored(4).await;
        tamper(&dir, sql);
        let store = LocalStore::open(dir.path()).unwrap();
        let error = store.events(&driver.run, Sequence(0), 10).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Damaged(_)), "{sql}: {text}");
        assert!(text.contains(says) && text.contains("`r_a`"), "{sql}: {text}");
    };
    let third = "place & 4294967295 = 3";
    check(
        &format!("UPDATE events SET body = replace(body, 'plan', 'plam') WHERE {third}"),
        "event 3",
    )
    .await;
    check(&format!("UPDATE events SET at = at + 1 WHERE {third}"), "event 3").await;
    check(&format!("UPDATE events SET version = 9 WHERE {third}"), "event 3").await;
    check(&format!("DELETE FROM events WHERE {third}"), "event 3").await;
    check("DELETE FROM events WHERE place & 4294967295 = 4", "event 4").await;
    check("UPDATE runs SET head = 9", "event 5").await;
}

#[tokio::test]
async fn damage_to_events_that_were_appended_together_is_found() {
    let check = async |sql: &str, says: &str| {
        let (dir, mut driver) = stored(2).await;
        {
            let store = LocalStore::open(dir.path()).unwrap();
            let lines = (1..=5).map(|n| started("plan", n)).collect();
            driver.append(&store, lines, Rows::default()).await.unwrap();
            // From the middle of those that share a row, too.
            for after in 2..=7 {
                let found = store.events(&driver.run, Sequence(after), 2).await.unwrap();
                let numbers: Vec<u64> = found.iter().map(|event| event.seq.0).collect();
                assert_eq!(numbers, (after + 1..=7).take(2).collect::<Vec<_>>());
            }
        }
        tamper(&dir, sql);
        let store = LocalStore::open(dir.path()).unwrap();
        let error = store.events(&driver.run, Sequence(0), 10).await.unwrap_err();
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains(says)), "{error}");
    };
    let last = "place & 4294967295 = 7";
    check(
        &format!("UPDATE events SET body = replace(body, 'plan', 'plam') WHERE {last}"),
        "event 7",
    )
    .await;
    check(&format!("UPDATE events SET place = place - 1 WHERE {last}"), "event 6").await;
    check(&format!("DELETE FROM events WHERE {last}"), "event 3").await;
    check("DELETE FROM events WHERE place & 4294967295 = 2", "event 2").await;
}

#[tokio::test]
async fn a_damaged_row_is_named() {
    let (dir, driver) = stored(2).await;
    tamper(&dir, "UPDATE runs SET body = '{\"id\":7}'");
    let store = LocalStore::open(dir.path()).unwrap();
    let error = store.run(&driver.run).await.unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("r_a")), "{error}");
}

#[tokio::test]
async fn a_flipped_bit_in_the_file_is_never_taken_for_data() {
    let (dir, driver) = stored(40).await;
    let whole = fs::read(database(&dir)).unwrap();
    let truth = {
        let store = LocalStore::open(dir.path()).unwrap();
        store.events(&driver.run, Sequence(0), 100).await.unwrap()
    };
    let mut found = 0;
    for step in 0..150 {
        let mut bytes = whole.clone();
        let at = (step * 7919 + 101) % bytes.len();
        bytes[at] ^= 1 << (step % 8);
        fs::write(database(&dir), bytes).unwrap();
        match LocalStore::open(dir.path()) {
            Err(_) => found += 1,
            Ok(store) => match store.events(&driver.run, Sequence(0), 100).await {
                Ok(events) => assert!(events == truth, "byte {at} changed what is read"),
                Err(_) => found += 1,
            },
        }
    }
    assert!(found > 0, "no flip met the log");
}

/// Makes the writer's own connection do `sql`.
async fn on_the_writer(store: &LocalStore, sql: &'static str) {
    let work = move |conn: &Connection| Ok(conn.query_row(sql, [], |_| Ok(()))?);
    store.writer().write("prepare a test", work).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let mut driver = Driver::created(&store, "a", 100).await;
    on_the_writer(&store, "PRAGMA max_page_count = 60").await;
    let lines = |count| (0..count).map(|n| started("plan", n)).collect::<Vec<_>>();
    let error = loop {
        match driver.append(&store, lines(100), Rows::default()).await {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Full(text) if text.contains("r_a")), "{error}");
    let events = store.events(&driver.run, Sequence(0), usize::MAX).await.unwrap();
    assert_eq!(events.len() as u64, driver.seq.0, "all that was acknowledged, and no more");
    // Room is made, and it goes on.
    on_the_writer(&store, "PRAGMA max_page_count = 10000").await;
    driver.append(&store, lines(100), Rows::default()).await.unwrap();
}

#[tokio::test]
async fn one_that_fails_does_not_spoil_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let mut driver = Driver::created(&store, "a", 100).await;
    // Held back until all three wait, so that they are one group.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let held = store.writer().write("wait", move |_| {
        let _ = wait.lock().map(|wait| wait.recv());
        Ok(())
    });
    let broken = store.writer().write("break", |conn: &Connection| {
        conn.execute("INSERT INTO runs (id) VALUES ('half')", [])?;
        Ok(())
    });
    let (held, broken, good, ()) =
        tokio::join!(held, broken, driver.append(&store, vec![ended()], Rows::default()), async {
            drop(go)
        },);
    assert_eq!(held, Ok(()));
    assert!(matches!(&broken, Err(StoreError::Unavailable { action, .. }) if action == "break"));
    assert_eq!(good, Ok(()));
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 2);
}

/// Whoever is in no hurry is written alone when nobody comes, and with whoever does.
#[tokio::test]
async fn what_may_wait_for_others_is_written_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let mut driver = Driver::created(&store, "a", 100).await;
    let note = |number: u32| {
        store.writer().write_with_others("note", move |conn: &Connection| {
            conn.execute("INSERT INTO ledger_owners VALUES (?1, 1)", [format!("owner-{number}")])?;
            Ok(number)
        })
    };
    assert_eq!(note(1).await, Ok(1));
    let append = driver.append(&store, vec![ended()], Rows::default());
    let (two, appended, three) = tokio::join!(note(2), append, note(3));
    assert_eq!((two, appended, three), (Ok(2), Ok(()), Ok(3)));
    drop(store);
    let store = LocalStore::open(dir.path()).unwrap();
    assert_eq!(store.owners().await.unwrap().len(), 3);
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let driver = Driver::created(&store, "a", 100).await;
    let other = Driver::new("b", 1);
    let mut append: Append = driver.next(vec![ended()], Rows::default());
    append.rows.run = Some(other.row);
    let error = store.append(Arc::new(append)).await.unwrap_err();
    assert!(error.to_string().contains("`r_b`"), "{error}");
    let mut first = Driver::new("c", 1).first();
    first.epoch = orchestrator_core::id::Epoch(2);
    assert!(store.create(first, Driver::new("c", 1).lease()).await.is_err());
    let mut first = Driver::new("c", 1).first();
    first.rows.run = None;
    assert!(store.create(first, Driver::new("c", 1).lease()).await.is_err());
    assert_eq!(store.run_ids("", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lock_that_stays_is_said_and_a_later_try_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open_with(dir.path(), with(MIGRATIONS)).unwrap();
    let mut driver = Driver::created(&store, "a", 100).await;
    let other = Connection::open(database(&dir)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = driver.append(&store, vec![ended()], Rows::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{text}");
    assert!(text.contains("r_a") && text.contains("locked by another program"), "{text}");
    // Who only reads is not held up, nor is who opens the store.
    assert_eq!(store.events(&driver.run, Sequence(0), 10).await.unwrap().len(), 1);
    drop(LocalStore::open_with(dir.path(), with(MIGRATIONS)).unwrap());
    other.execute_batch("ROLLBACK").unwrap();
    driver.append(&store, vec![ended()], Rows::default()).await.unwrap();
}

#[tokio::test]
async fn a_store_that_another_program_keeps_to_itself_is_said_to_be_locked() {
    let (dir, _) = stored(2).await;
    let other = Connection::open(database(&dir)).unwrap();
    other
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE runs SET head = head; COMMIT",
        )
        .unwrap();
    let error = refusal(dir.path(), with(MIGRATIONS));
    assert!(error.to_string().contains("locked by another program"), "{error}");
}

#[tokio::test]
async fn damage_that_opening_does_not_meet_is_found_by_looking() {
    let (dir, mut driver) = stored(2).await;
    let store = LocalStore::open(dir.path()).unwrap();
    let lines = (0..4_000).map(|n| started("plan", n)).collect();
    driver.append(&store, lines, Rows::default()).await.unwrap();
    assert_eq!(store.verify().await, Ok(()));
    drop(store);
    // All but the first pages, of which opening reads some: the schema's.
    let mut bytes = fs::read(database(&dir)).unwrap();
    let kept = 4096 * 48;
    assert!(bytes.len() > kept + kept / 2, "{} bytes", bytes.len());
    bytes[kept..].iter_mut().step_by(7).for_each(|byte| *byte ^= 0xff);
    fs::write(database(&dir), bytes).unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let error = store.verify().await.unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("events.db")), "{error}");
}

#[tokio::test]
async fn a_database_that_was_cut_to_nothing_is_not_taken_for_a_new_one() {
    use orchestrator_core::port::Blobs as _;
    // Cut off while it was made: there is nothing to lose yet.
    let dir = tempfile::tempdir().unwrap();
    fs::write(database(&dir), "").unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    store.blobs().put(b"an output").await.unwrap();
    drop(store);
    drop(LocalStore::open(dir.path()).unwrap());
    fs::write(database(&dir), "").unwrap();
    let error = refusal(dir.path(), Settings::default());
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("is empty")), "{error}");
    // Taken away on purpose, a new one begins.
    fs::remove_file(database(&dir)).unwrap();
    drop(LocalStore::open(dir.path()).unwrap());
}
