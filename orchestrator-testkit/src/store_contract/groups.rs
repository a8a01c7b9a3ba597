//! Concurrency groups.

use super::fixture::{Driver, Subject, owner, run_id};
use orchestrator_core::{
    id::{Epoch, ProjectId},
    port::{GroupHold, StoreError},
    run::RunStatus,
    time::Timestamp,
};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp(500);

fn busy(run: &str, task: &str) -> Result<GroupHold, StoreError> {
    Ok(GroupHold::Busy { run: run_id(run), task: super::name(task) })
}

pub(super) async fn a_group_has_one_holder(subject: Subject) {
    let store = &*subject.store;
    let one = Driver::created(store, "a", 10).await;
    let two = Driver::created(store, "b", 10).await;
    let (plan, build) = (one.claimant("plan"), one.claimant("build"));
    let other = two.claimant("plan");
    let held = Ok(GroupHold::Held);
    assert_eq!(store.hold("deploy", &plan, NOW).await, held);
    assert_eq!(store.hold("deploy", &plan, NOW).await, held, "it has it");
    assert_eq!(store.hold("deploy", &build, NOW).await, busy("a", "plan"), "of the same run");
    assert_eq!(store.hold("deploy", &other, NOW).await, busy("a", "plan"));
    assert_eq!(store.hold("'deploy", &other, NOW).await, held, "another group");
    let mut elsewhere = other.clone();
    elsewhere.project = ProjectId::new("site").expect("a project");
    assert_eq!(store.hold("deploy", &elsewhere, NOW).await, held, "of another project");

    for not_its in [&build, &other, &elsewhere] {
        assert_eq!(store.unhold("nobody-has-it", not_its).await, Ok(()));
    }
    assert_eq!(store.unhold("deploy", &build).await, Ok(()), "somebody else has it");
    assert_eq!(store.unhold("deploy", &other).await, Ok(()), "somebody else has it");
    assert_eq!(store.hold("deploy", &other, NOW).await, busy("a", "plan"));
    assert_eq!(store.unhold("deploy", &plan).await, Ok(()));
    assert_eq!(store.unhold("deploy", &plan).await, Ok(()), "twice is harmless");
    assert_eq!(store.hold("deploy", &build, NOW).await, held);
}

/// A holder that cannot be at work any more does not keep the group.
pub(super) async fn a_group_is_free_when_its_holder_is_gone(subject: Subject) {
    let store = &*subject.store;
    let other = Driver::created(store, "other", 10).await;
    store.renew(&other.run, Epoch(1), Timestamp(1_000_000)).await.expect("renew");
    let held = Ok(GroupHold::Held);
    let kept = async |group: &str, id: &str, now: u64| {
        let found = store.hold(group, &other.claimant("plan"), Timestamp(now)).await;
        assert_eq!(found, busy(id, "plan"), "{id}");
    };
    let freed = async |group: &str, id: &str, now: u64| {
        let found = store.hold(group, &other.claimant("plan"), Timestamp(now)).await;
        assert_eq!(found, Ok(GroupHold::Held), "{id}");
    };

    let mut ended = Driver::created(store, "ended", 10).await;
    assert_eq!(store.hold("ended", &ended.claimant("plan"), NOW).await, held);
    kept("ended", "ended", 500).await;
    ended.end(store, RunStatus::Failed).await;
    freed("ended", "ended", 500).await;

    // Its lease lasts until 1,000.
    let lapsed = Driver::created(store, "lapsed", 10).await;
    assert_eq!(store.hold("lapsed", &lapsed.claimant("plan"), NOW).await, held);
    kept("lapsed", "lapsed", 999).await;
    freed("lapsed", "lapsed", 1_000).await;

    let given = Driver::created(store, "given", 10).await;
    assert_eq!(store.hold("given", &given.claimant("plan"), NOW).await, held);
    store.release(&given.run, Epoch(1)).await.expect("release");
    freed("given", "given", 500).await;

    let mut taken = Driver::created(store, "taken", 10).await;
    assert_eq!(store.hold("taken", &taken.claimant("plan"), NOW).await, held);
    let over = Some(Epoch(1));
    let lease = store.claim(&taken.run, &owner("owner-2"), NOW, Timestamp(9_000), over).await;
    freed("taken", "taken", 500).await;
    // Its former driver can neither take nor give back what the new one has.
    let stale = taken.claimant("plan");
    taken.epoch = lease.expect("a lease").epoch;
    let again = taken.claimant("plan");
    assert_eq!(store.hold("mine", &again, NOW).await, held);
    assert_eq!(store.unhold("mine", &stale).await, Ok(()));
    kept("mine", "taken", 500).await;
    let refused = store.hold("mine", &stale, NOW).await;
    let (run, named, actual) = (taken.run.clone(), Epoch(1), Epoch(2));
    assert_eq!(refused, Err(StoreError::Fenced { run, named, actual }));
    // Taken over, a run has to ask again for what it had, and gets it.
    let over = Some(Epoch(2));
    let lease = store.claim(&taken.run, &owner("owner-3"), NOW, Timestamp(9_000), over).await;
    taken.epoch = lease.expect("a lease").epoch;
    assert_eq!(store.hold("mine", &taken.claimant("plan"), NOW).await, held);
    kept("mine", "taken", 500).await;

    let ghost = Driver::new("ghost", 1);
    let unknown = store.hold("ended", &ghost.claimant("plan"), NOW).await;
    assert_eq!(unknown, Err(StoreError::NoSuchRun(ghost.run.clone())));
    assert_eq!(store.unhold("ended", &ghost.claimant("plan")).await, Ok(()));
}

pub(super) async fn a_group_goes_with_a_run_that_is_removed(subject: Subject) {
    let store = &*subject.store;
    let mut old = Driver::created(store, "old", 10).await;
    store.hold("deploy", &old.claimant("plan"), NOW).await.expect("hold");
    old.end(store, RunStatus::Succeeded).await;
    subject.catalog.clean(Timestamp(100), false).await.expect("clean");
    // The same id, the same epoch: but it has not asked.
    let reborn = Driver::created(store, "old", 10).await;
    let other = Driver::created(store, "b", 10).await;
    let free = store.hold("deploy", &other.claimant("plan"), NOW).await;
    assert_eq!(free, Ok(GroupHold::Held));
    assert_eq!(store.hold("deploy", &reborn.claimant("plan"), NOW).await, busy("b", "plan"));
}

pub(super) async fn one_of_many_gets_the_group(subject: Subject) {
    let mut claims = JoinSet::new();
    for number in 0..12 {
        let driver = Driver::created(&*subject.store, &format!("rival-{number}"), 1).await;
        let store = subject.store.clone();
        claims.spawn(async move { store.hold("deploy", &driver.claimant("plan"), NOW).await });
    }
    let results = claims.join_all().await;
    let held = results.iter().filter(|result| **result == Ok(GroupHold::Held)).count();
    assert_eq!(held, 1, "{results:?}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}
