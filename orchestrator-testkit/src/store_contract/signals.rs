//! The inbox of a run.

use super::fixture::{Driver, Subject};
use orchestrator_core::{
    port::{Signal, SignalRecord},
    time::Timestamp,
};

pub(super) async fn signals_are_numbered_and_read_in_parts(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    let other = Driver::created(store, "b", 100).await.run;
    let cancel = |n: u64| Signal::Cancel { reason: format!("because {n} 'é' \u{0}") };
    for n in 0..4 {
        store.signal(&run, cancel(n), Timestamp(n)).await.expect("signal");
        store.signal(&other, cancel(100), Timestamp(n)).await.expect("signal");
    }
    let all = store.signals(&run, 0).await.expect("signals");
    let found: Vec<Signal> = all.iter().map(|record| record.signal.clone()).collect();
    assert_eq!(found, (0..4).map(cancel).collect::<Vec<_>>(), "in order, of this run alone");
    assert!(all.windows(2).all(|pair| pair[0].number < pair[1].number), "{all:?}");
    assert!(all[0].number > 0, "0 stands before the first");
    for after in &all {
        let rest: Vec<SignalRecord> =
            all.iter().filter(|record| record.number > after.number).cloned().collect();
        assert_eq!(store.signals(&run, after.number).await, Ok(rest));
    }
    assert_eq!(store.signals(&run, u64::MAX).await, Ok(Vec::new()));
}
