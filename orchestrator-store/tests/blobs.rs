//! Blobs on disk: damage, doubles, and which of them a clean-up removes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use orchestrator_core::{
    event::{ArtifactRef, Content},
    id::BlobId,
    port::{BlobError, Blobs, CachedResult, Catalog, Rows},
    run::RunStatus,
    time::Timestamp,
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::{Driver, succeeded_with_blobs};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

fn path_of(dir: &Path, id: &BlobId) -> PathBuf {
    let hex = id.as_str().strip_prefix("sha256:").unwrap();
    dir.join("blobs").join(&hex[..2]).join(&hex[2..])
}

fn age(path: &Path, minutes: u64) {
    let then = SystemTime::now() - Duration::from_secs(60 * minutes);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn exists(dir: &Path, id: &BlobId) -> bool {
    path_of(dir, id).exists()
}

#[tokio::test]
async fn damage_is_found_and_mended_by_putting_again() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = LocalStore::open(dir.path()).unwrap().blobs();
    let id = blobs.put(b"precious").await.unwrap();
    let path = path_of(dir.path(), &id);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for damaged in [&b"preciouz"[..], b"precious and more", b""] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(blobs.get(&id).await, Err(BlobError::Damaged(id.clone())));
        assert_eq!(blobs.put(b"precious").await.unwrap(), id);
        assert_eq!(blobs.get(&id).await.unwrap(), b"precious");
    }
}

#[tokio::test]
async fn nothing_unfinished_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = LocalStore::open(dir.path()).unwrap().blobs();
    for number in 0..20_u8 {
        blobs.put(&[number; 10]).await.unwrap();
        blobs.put(&[number; 10]).await.unwrap();
    }
    let names = fs::read_dir(dir.path().join("blobs")).unwrap();
    let odd: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.len() != 2 && name != ".lock")
        .collect();
    assert_eq!(odd, Vec::<String>::new());
}

#[tokio::test]
async fn a_clean_up_takes_old_blobs_that_nothing_refers_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let blobs = store.blobs();
    let put = async |text: &str| blobs.put(text.as_bytes()).await.unwrap();
    let (gone, shared, live) =
        (put("of the old run").await, put("of both").await, put("live").await);
    let (loose, fresh, reused) = (put("loose").await, put("fresh").await, put("reused").await);
    let refer = async |name: &str, at: u64, one: &BlobId, two: &BlobId| {
        let mut driver = Driver::created(&store, name, at).await;
        let event = succeeded_with_blobs("plan", one, two);
        driver.append(&store, vec![event], Rows::default()).await.unwrap();
        driver.end(&store, RunStatus::Succeeded).await;
    };
    refer("old", 10, &gone, &shared).await;
    refer("new", 500, &shared, &live).await;
    for id in [&gone, &shared, &live, &loose, &reused] {
        age(&path_of(dir.path(), id), 61);
    }
    age(&path_of(dir.path(), &fresh), 59);
    let unfinished = dir.path().join("blobs/.new-left");
    fs::write(&unfinished, "x").unwrap();
    age(&unfinished, 61);
    // Put again, it may be on its way into an append.
    put("reused").await;

    let dry = store.clean(Timestamp(100), true).await.unwrap();
    assert_eq!((dry.blobs, dry.bytes), (2, 14 + 5));
    assert!(exists(dir.path(), &gone) && exists(dir.path(), &loose) && unfinished.exists());
    let cleaned = store.clean(Timestamp(100), false).await.unwrap();
    assert_eq!(cleaned, dry, "it does what it said");
    for (id, stays) in [
        (&gone, false),
        (&loose, false),
        (&shared, true),
        (&live, true),
        (&fresh, true),
        (&reused, true),
    ] {
        assert_eq!(exists(dir.path(), id), stays, "{id}");
    }
    assert!(!unfinished.exists());
    let again = store.clean(Timestamp(100), false).await.unwrap();
    assert_eq!((again.runs.len(), again.blobs), (0, 0));
}

#[tokio::test]
async fn what_a_kept_result_refers_to_outlives_its_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let blobs = store.blobs();
    let put = async |text: &str| blobs.put(text.as_bytes()).await.unwrap();
    let (lasting, brief, replaced) = (put("lasting").await, put("brief").await, put("old").await);
    let file = put("a file").await;
    let mut driver = Driver::created(&store, "a", 10).await;
    let result = |key: &str, blob: &BlobId, expires| CachedResult {
        output: Content::Blob { id: blob.clone(), bytes: 7 },
        ..driver.cached(key, "plan", expires)
    };
    let mut with_file = result("lasting", &lasting, None);
    let (name, media_type) = ("a.txt".into(), "text/plain".into());
    with_file.artifacts = vec![ArtifactRef { name, media_type, blob: file.clone(), bytes: 6 }];
    let first =
        vec![with_file, result("brief", &brief, Some(90)), result("twice", &replaced, None)];
    let second = vec![result("twice", &brief, Some(90))];
    for cached in [first, second] {
        let rows = Rows { cached, ..Rows::default() };
        driver.append(&store, Vec::new(), rows).await.unwrap();
    }
    driver.end(&store, RunStatus::Succeeded).await;
    for id in [&lasting, &brief, &replaced, &file] {
        age(&path_of(dir.path(), id), 61);
    }
    let stay = async |before: u64, expected: [bool; 4]| {
        let said = store.clean(Timestamp(before), true).await.unwrap();
        let done = store.clean(Timestamp(before), false).await.unwrap();
        assert_eq!(done, said, "it does what it said");
        let found = [&lasting, &brief, &replaced, &file].map(|id| exists(dir.path(), id));
        assert_eq!(found, expected, "before {before}");
    };
    // Nothing has expired yet; one was replaced.
    stay(5, [true, true, false, true]).await;
    stay(89, [true, true, false, true]).await;
    assert!(store.run_ids("", 10).await.unwrap().is_empty(), "the run is gone");
    stay(90, [true, false, false, true]).await;
    assert_eq!(store.forget_cached(None, None, Timestamp(u64::MAX), false).await, Ok(1));
    stay(90, [false; 4]).await;
}
