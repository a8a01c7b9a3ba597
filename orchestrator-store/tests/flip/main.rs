//! One flipped bit is noticed or harmless: the short form of `cargo xtask prove flip`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stores;

use orchestrator_testkit::flip::{Plan, prove};
use std::path::{Path, PathBuf};

fn check(store: &Path, parts: Vec<(PathBuf, std::ops::Range<usize>)>, anywhere: u64) {
    let plan =
        Plan { store: store.into(), parts, step: 97, anywhere, seed: 1, from: 0, most: u64::MAX };
    let (figures, unnoticed) = prove(&plan, stores::open).unwrap();
    assert!(unnoticed.is_empty(), "{figures:?}\n{unnoticed:#?}");
    assert!(figures.detected > 0 && figures.harmless > 0, "{figures:?}");
}

#[test]
fn a_flipped_bit_of_a_closed_store_is_noticed_or_harmless() {
    let place = tempfile::tempdir().unwrap();
    let (closed, _) = stores::make(place.path()).unwrap();
    check(&closed, stores::rows(&closed).unwrap(), 200);
}

#[test]
fn a_flipped_bit_of_a_store_that_was_cut_off_is_noticed_or_harmless() {
    let place = tempfile::tempdir().unwrap();
    let (_, open) = stores::make(place.path()).unwrap();
    check(&open, Vec::new(), 200);
}
