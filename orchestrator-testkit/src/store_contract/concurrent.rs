//! Many at once.

use super::fixture::{Driver, Subject, owner, run_id, started};
use orchestrator_core::{
    id::Sequence,
    port::{Rows, StoreError},
    time::Timestamp,
};
use tokio::task::JoinSet;

pub(super) async fn one_of_two_writers_wins(subject: Subject) {
    let driver = Driver::created(&*subject.store, "a", 10).await;
    let mut writers = JoinSet::new();
    for number in 0..16 {
        let (store, mut driver) = (subject.store.clone(), driver.clone());
        writers.spawn(async move {
            let events = vec![started("plan", number + 1), started("build", number + 1)];
            driver.append(&*store, events, Rows::default()).await
        });
    }
    let results = writers.join_all().await;
    let conflict = |result: &&Result<(), StoreError>| {
        matches!(result, Err(StoreError::Conflict { actual: Sequence(3), .. }))
    };
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(conflict).count(), 15, "{results:?}");
    let events = subject.store.events(&driver.run, Sequence(0), 100).await.expect("events");
    assert_eq!(events.len(), 3);
}

pub(super) async fn many_runs_go_on_beside_each_other(subject: Subject) {
    let mut writers = JoinSet::new();
    for number in 0..12_u64 {
        let store = subject.store.clone();
        writers.spawn(async move {
            let mut driver = Driver::created(&*store, &format!("run-{number}"), number).await;
            for turn in 0..20 {
                let mut behind = driver.clone();
                driver
                    .append(&*store, vec![started("plan", turn + 1)], Rows::default())
                    .await
                    .expect("append");
                // A refusal among the others of its group spoils none of them.
                let refused = behind.append(&*store, vec![started("x", 1)], Rows::default()).await;
                assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
                let seen = store.events(&driver.run, Sequence(0), 100).await.expect("events");
                assert_eq!(seen.len() as u64, driver.seq.0, "read what was acknowledged");
            }
        });
    }
    writers.join_all().await;
    for number in 0..12 {
        let run = run_id(&format!("run-{number}"));
        let events = subject.store.events(&run, Sequence(0), 100).await.expect("events");
        let numbers: Vec<u64> = events.iter().map(|event| event.seq.0).collect();
        assert_eq!(numbers, (1..=21).collect::<Vec<_>>(), "{run}");
    }
}

pub(super) async fn one_of_many_claims_wins(subject: Subject) {
    let run = Driver::created(&*subject.store, "a", 10).await.run;
    let mut claims = JoinSet::new();
    for number in 0..16 {
        let (store, run) = (subject.store.clone(), run.clone());
        claims.spawn(async move {
            let by = owner(&format!("rival-{number}"));
            store.claim(&run, &by, Timestamp(2_000), Timestamp(9_000), None).await
        });
    }
    let results = claims.join_all().await;
    let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert_eq!(subject.store.lease(&run).await, Ok(Some(won[0].clone())));
}
