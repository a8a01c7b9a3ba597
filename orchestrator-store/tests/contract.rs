//! The contract of the ports, put to the store on disk.

use orchestrator_core::port::{Blobs, Catalog, Landings, Responses, Store};
use orchestrator_store::{FileBlobs, LocalStore};
use orchestrator_testkit::{
    landings_contract, ledger_contract, responses_contract, store_contract,
};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_its_contract() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    store_contract::run_all(|| async {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path()).unwrap());
        dirs.lock().unwrap().push(dir);
        (store.clone() as Arc<dyn Store>, store as Arc<dyn Catalog>)
    })
    .await;
}

/// Writes through one value and reads through another: two processes see no more of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_values_on_one_directory_keep_the_contract() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    store_contract::run_all(|| async {
        let dir = tempfile::tempdir().unwrap();
        let one = Arc::new(LocalStore::open(dir.path()).unwrap());
        let two = Arc::new(LocalStore::open(dir.path()).unwrap());
        dirs.lock().unwrap().push(dir);
        (one as Arc<dyn Store>, two as Arc<dyn Catalog>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_keeps_its_contract() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    ledger_contract::run_all(|| async {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path()).unwrap());
        dirs.lock().unwrap().push(dir);
        ledger_contract::Subject { store: store.clone(), catalog: store.clone(), ledger: store }
    })
    .await;
}

/// The ledger through one value, the runs through another: two processes see no more of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_beside_the_store_keeps_its_contract() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    ledger_contract::run_all(|| async {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path()).unwrap());
        let ledger = Arc::new(LocalStore::open(dir.path()).unwrap());
        dirs.lock().unwrap().push(dir);
        ledger_contract::Subject { store: store.clone(), catalog: store, ledger }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_models_keep_their_contract() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    responses_contract::run_all(|| async {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path()).unwrap());
        dirs.lock().unwrap().push(dir);
        store as Arc<dyn Responses>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_of_branches_keep_their_contract() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    landings_contract::run_all(|| async {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path()).unwrap());
        dirs.lock().unwrap().push(dir);
        store as Arc<dyn Landings>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_keep_their_contract() {
    let dir = tempfile::tempdir().unwrap();
    let next = Mutex::new(0);
    store_contract::run_all_blobs(|| async {
        let mut next = next.lock().unwrap();
        *next += 1;
        Arc::new(FileBlobs::open(&dir.path().join(next.to_string())).unwrap()) as Arc<dyn Blobs>
    })
    .await;
}
