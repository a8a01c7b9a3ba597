//! Nothing is left of programs that hang and are stopped: the short form of `cargo xtask prove agents`.

mod cycles;

use std::time::Duration;

#[tokio::test]
async fn nothing_is_left_of_programs_that_hang() {
    let directory = tempfile::tempdir().expect("a directory");
    let left = cycles::run(24, 4, directory.path()).await;
    assert_eq!((left.processes, left.descriptors), (0, 0), "{left:?}");
    // A bound of the product, with which a stop that was forgotten would not end.
    assert!(left.slowest < Duration::from_secs(30), "{left:?}");
}
