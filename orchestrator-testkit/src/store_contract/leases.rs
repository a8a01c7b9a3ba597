//! Leases: who drives a run.

use super::fixture::{Driver, Subject, ended, owner, run_id, started};
use orchestrator_core::{
    id::Epoch,
    port::{Lease, Rows, StoreError},
    run::RunStatus,
    time::Timestamp,
};

fn lease(by: &str, epoch: u64, expires: u64) -> Lease {
    Lease { owner: owner(by), epoch: Epoch(epoch), expires: Timestamp(expires) }
}

pub(super) async fn the_creator_holds_the_lease(subject: Subject) {
    let mut driver = Driver::new("a", 100);
    driver.epoch = Epoch(4);
    driver.create(&*subject.store).await;
    let found = subject.store.lease(&driver.run).await;
    assert_eq!(found, Ok(Some(driver.lease())));
}

pub(super) async fn a_held_lease_is_refused_until_it_lapses(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    let held = lease("owner-1", 1, 1_000);
    let claim = async |by: &str, now: u64, expires: u64| {
        store.claim(&run, &owner(by), Timestamp(now), Timestamp(expires), None).await
    };
    for now in [0, 999] {
        assert_eq!(
            claim("owner-2", now, 5_000).await,
            Err(StoreError::LeaseHeld { run: run.clone(), lease: held.clone() }),
            "at {now}"
        );
    }
    assert_eq!(store.lease(&run).await, Ok(Some(held)), "a refused claim changes nothing");
    let taken = lease("owner-2", 2, 5_000);
    assert_eq!(claim("owner-2", 1_001, 5_000).await, Ok(taken.clone()));
    assert_eq!(store.lease(&run).await, Ok(Some(taken)));
    assert!(claim("owner-1", 1_002, 9_000).await.is_err(), "the old owner is shut out");
    assert_eq!(claim("owner-3", 5_001, u64::MAX).await, Ok(lease("owner-3", 3, u64::MAX)));
    assert!(claim("owner-1", u64::MAX - 1, u64::MAX).await.is_err(), "it never lapses");
}

pub(super) async fn an_owner_may_claim_again_and_fences_itself(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    let again =
        store.claim(&driver.run, &owner("owner-1"), Timestamp(1), Timestamp(2_000), None).await;
    assert_eq!(again, Ok(lease("owner-1", 2, 2_000)));
    let refused = driver.append(store, vec![ended()], Rows::default()).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
}

pub(super) async fn a_dead_holder_is_taken_over_by_its_epoch(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    let claim = async |over: Option<u64>| {
        let over = over.map(Epoch);
        store.claim(&run, &owner("owner-2"), Timestamp(1), Timestamp(5_000), over).await
    };
    for wrong in [None, Some(0), Some(2)] {
        assert!(claim(wrong).await.is_err(), "over {wrong:?}");
    }
    assert_eq!(claim(Some(1)).await, Ok(lease("owner-2", 2, 5_000)));
    let late =
        store.claim(&run, &owner("owner-3"), Timestamp(1), Timestamp(5_000), Some(Epoch(1))).await;
    assert!(late.is_err(), "that holder was taken over already");
}

pub(super) async fn renewing_moves_the_expiry(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    assert_eq!(store.renew(&run, Epoch(1), Timestamp(3_000)).await, Ok(()));
    assert_eq!(store.lease(&run).await, Ok(Some(lease("owner-1", 1, 3_000))));
    let claim =
        store.claim(&run, &owner("owner-2"), Timestamp(2_000), Timestamp(9_000), None).await;
    assert!(claim.is_err(), "renewed, it is held");
    let over = Some(Epoch(1));
    store
        .claim(&run, &owner("owner-2"), Timestamp(2_000), Timestamp(9_000), over)
        .await
        .expect("taken over");
    assert_eq!(
        store.renew(&run, Epoch(1), Timestamp(99_000)).await,
        Err(StoreError::Fenced { run: run.clone(), named: Epoch(1), actual: Epoch(2) })
    );
    assert_eq!(store.lease(&run).await, Ok(Some(lease("owner-2", 2, 9_000))));
    assert!(store.renew(&run_id("ghost"), Epoch(1), Timestamp(1)).await.is_err());
}

pub(super) async fn a_released_lease_is_free(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    assert_eq!(store.release(&run, Epoch(9)).await, Ok(()), "not its lease: harmless");
    assert_eq!(store.lease(&run).await, Ok(Some(lease("owner-1", 1, 1_000))));
    assert_eq!(store.release(&run, Epoch(1)).await, Ok(()));
    assert_eq!(store.lease(&run).await, Ok(None));
    assert_eq!(store.release(&run, Epoch(1)).await, Ok(()), "twice is harmless");
    let next = store.claim(&run, &owner("owner-2"), Timestamp(1), Timestamp(2), None).await;
    assert_eq!(next, Ok(lease("owner-2", 2, 2)), "epochs go on growing");
}

pub(super) async fn the_last_append_gives_the_lease_back(subject: Subject) {
    let store = &*subject.store;
    let mut driver = Driver::created(store, "a", 100).await;
    driver.append(store, vec![started("plan", 1)], Rows::default()).await.expect("append");
    assert_eq!(store.lease(&driver.run).await, Ok(Some(driver.lease())), "it goes on");
    driver.end(store, RunStatus::Succeeded).await;
    assert_eq!(store.lease(&driver.run).await, Ok(None));
    assert_eq!(store.release(&driver.run, driver.epoch).await, Ok(()), "once more is harmless");
    let claim = store.claim(&driver.run, &owner("owner-2"), Timestamp(1), Timestamp(9), None).await;
    assert_eq!(claim, Ok(lease("owner-2", 2, 9)), "epochs go on growing");
}
