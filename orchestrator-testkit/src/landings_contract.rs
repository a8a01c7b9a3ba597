//! What everything that keeps the queues of branches must do, as cases that any implementation can
//! be put through.

use orchestrator_core::{
    id::{AttemptNumber, BlobId, CommitId, Epoch, LandingId, ProjectId, RunId, TaskName, TenantId},
    port::{LandingFilter, Landings, LandingsError, Page},
    task::Priority,
    time::Timestamp,
    workspace::{ChecksPolicy, LandMode, LandingRow, LandingState, LandingTarget},
};
use std::sync::Arc;

/// Puts implementations through every case, each on an empty one of its own from `make`.
///
/// # Panics
/// When one breaks a rule of the port.
pub async fn run_all<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn Landings>>,
{
    work_is_put_in_once(make().await).await;
    the_most_urgent_is_first_and_nothing_waits_for_ever(make().await).await;
    only_who_took_the_queue_changes_what_is_in_it(make().await).await;
    a_change_of_many_is_whole_or_is_not(make().await).await;
    what_was_tested_waits_again_and_is_known_by_its_candidates(make().await).await;
    what_landed_stays_landed_and_the_rest_may_try_again(make().await).await;
    what_nobody_wants_is_withdrawn_unless_it_may_have_landed(make().await).await;
    what_is_settled_is_listed_newest_first_and_in_pages(make().await).await;
    what_a_run_landed_is_told_in_order_until_it_is_undone(make().await).await;
    a_pull_request_is_open_until_somebody_says_what_came_of_it(make().await).await;
    branches_do_not_know_each_other(make().await).await;
    what_was_settled_long_ago_is_forgotten(make().await).await;
}

/// The branch `name` of the usual project.
pub fn target(name: &str) -> LandingTarget {
    LandingTarget {
        tenant: TenantId::default(),
        project: ProjectId::default(),
        branch: name.into(),
    }
}

/// The commit that `number` stands for.
pub fn commit(number: u32) -> CommitId {
    CommitId::new(format!("{number:040x}")).expect("a commit")
}

/// Work of the task `task` that waits for `main` since `at`; its commit is `number`'s.
pub fn work(task: &str, number: u32, priority: Priority, at: u64) -> LandingRow {
    LandingRow {
        id: id(number),
        target: target("main"),
        run: RunId::new("r_1").expect("a run"),
        task: TaskName::new(task).expect("a name"),
        attempt: AttemptNumber(1),
        commit: commit(number),
        base: commit(0),
        mode: LandMode::Branch,
        priority,
        at: Timestamp(at),
        files: vec![format!("{task}.txt"), "all.txt".into()],
        checks: ChecksPolicy::default(),
        after: None,
        state: LandingState::Waiting {},
        tried: Vec::new(),
        is_unwanted: false,
        settled_at: None,
        reverted: None,
    }
}

fn id(number: u32) -> LandingId {
    LandingId::new(format!("l_{number}")).expect("an id")
}

fn landed(number: u32) -> LandingState {
    let (commit, before) = (commit(1_000 + number), commit(999 + number));
    LandingState::Landed { commit, before, evidence: None, outputs: Vec::new() }
}

fn conflict() -> LandingState {
    LandingState::Conflict { tip: commit(5), files: vec!["a b".into()], message: "é".into() }
}

fn red() -> LandingState {
    let evidence = BlobId::new(format!("sha256:{}", "0".repeat(64))).expect("a blob");
    let outputs = vec![evidence.clone()];
    LandingState::Red { tip: commit(5), evidence, outputs }
}

async fn put(subject: &dyn Landings, rows: &[LandingRow]) {
    for row in rows {
        assert_eq!(subject.enqueue(row.clone()).await, Ok(row.clone()));
    }
}

async fn ids(subject: &dyn Landings) -> Vec<LandingId> {
    let waiting = subject.waiting(&target("main")).await.expect("read");
    waiting.into_iter().map(|row| row.id).collect()
}

async fn get(subject: &dyn Landings, number: u32) -> LandingRow {
    subject.landing(&id(number)).await.expect("read").expect("there")
}

async fn take(subject: &dyn Landings) -> Epoch {
    subject.take(&target("main")).await.expect("taken")
}

async fn settle(subject: &dyn Landings, epoch: Epoch, number: u32, state: LandingState, at: u64) {
    let work = [(id(number), state)];
    let settled = subject.settle(&target("main"), epoch, &work, Timestamp(at)).await;
    assert_eq!(settled, Ok(()), "{number}");
}

async fn work_is_put_in_once(subject: Arc<dyn Landings>) {
    let first = work("a", 1, Priority::Normal, 10);
    put(&*subject, std::slice::from_ref(&first)).await;
    let same = LandingRow { id: id(9), at: Timestamp(99), ..first.clone() };
    assert_eq!(subject.enqueue(same).await, Ok(first.clone()), "the same work is there");
    assert_eq!(subject.landing(&id(9)).await, Ok(None));
    let second =
        LandingRow { id: id(2), attempt: AttemptNumber(2), commit: commit(2), ..first.clone() };
    put(&*subject, &[second]).await;
    assert_eq!(ids(&*subject).await, [id(1), id(2)]);
    let epoch = take(&*subject).await;
    settle(&*subject, epoch, 1, landed(1), 20).await;
    let found = subject.enqueue(first).await.expect("no failure");
    assert_eq!(found.state, landed(1), "what came of it is told");
}

async fn the_most_urgent_is_first_and_nothing_waits_for_ever(subject: Arc<dyn Landings>) {
    let minute = 60_000;
    let rows = [
        work("a", 1, Priority::Normal, 10 * minute),
        work("b", 2, Priority::High, 11 * minute),
        work("c", 3, Priority::Low, 10 * minute),
        work("d", 4, Priority::Low, minute),
        work("e", 5, Priority::Critical, 12 * minute),
        work("f", 6, Priority::Normal, 10 * minute),
    ];
    put(&*subject, &rows).await;
    assert_eq!(ids(&*subject).await, [5, 2, 4, 1, 6, 3].map(id));
}

async fn only_who_took_the_queue_changes_what_is_in_it(subject: Arc<dyn Landings>) {
    put(&*subject, &[work("a", 1, Priority::Normal, 10)]).await;
    let main = target("main");
    let none = subject.settle(&main, Epoch(0), &[(id(2), landed(1))], Timestamp(0)).await;
    assert_eq!(none, Err(LandingsError::Unknown(id(2))));
    let (old, new) = (take(&*subject).await, take(&*subject).await);
    assert!(new > old);
    let fenced = Err(LandingsError::Fenced { target: main.clone(), named: old, actual: new });
    assert_eq!(subject.test(&main, old, "b", &[(id(1), commit(7))]).await, fenced);
    assert_eq!(subject.settle(&main, old, &[(id(1), landed(1))], Timestamp(1)).await, fenced);
    assert_eq!(subject.reverted(&main, old, &[(id(1), commit(7))]).await, fenced);
    assert_eq!(get(&*subject, 1).await.state, LandingState::Waiting {});
    settle(&*subject, new, 1, landed(1), 1).await;
}

async fn a_change_of_many_is_whole_or_is_not(subject: Arc<dyn Landings>) {
    let rows = [1, 2].map(|number| work("a", number, Priority::Normal, 10));
    put(&*subject, &rows).await;
    let (main, epoch) = (target("main"), take(&*subject).await);
    let some = [(id(1), commit(7)), (id(3), commit(8))];
    let refused = subject.test(&main, epoch, "b", &some).await;
    assert_eq!(refused, Err(LandingsError::Unknown(id(3))));
    settle(&*subject, epoch, 2, red(), 20).await;
    let both = [(id(1), landed(1)), (id(2), landed(2))];
    let refused = subject.settle(&main, epoch, &both, Timestamp(30)).await;
    let expected = LandingsError::Settled { id: id(2), state: "red", wanted: "landed" };
    assert_eq!(refused, Err(expected));
    assert_eq!(get(&*subject, 1).await, rows[0]);
    let open = [(id(1), LandingState::Waiting {})];
    let refused = subject.settle(&main, epoch, &open, Timestamp(0)).await;
    assert!(matches!(refused, Err(LandingsError::Settled { .. })), "waiting is no end");
}

async fn what_was_tested_waits_again_and_is_known_by_its_candidates(subject: Arc<dyn Landings>) {
    put(&*subject, &[work("a", 1, Priority::Normal, 10)]).await;
    let main = target("main");
    let mut epoch = take(&*subject).await;
    for number in 0..LandingRow::TRIED as u32 + 3 {
        let candidate = commit(100 + number);
        let work = [(id(1), candidate.clone())];
        for _ in 0..2 {
            assert_eq!(subject.test(&main, epoch, "b", &work).await, Ok(()));
        }
        let row = get(&*subject, 1).await;
        assert_eq!(row.state, LandingState::Testing { batch: "b".into(), candidate });
        assert_eq!(ids(&*subject).await, [id(1)], "what is tested is open");
        epoch = take(&*subject).await;
        assert_eq!(get(&*subject, 1).await.state, LandingState::Waiting {});
    }
    let tried = get(&*subject, 1).await.tried;
    let newest = (3..LandingRow::TRIED as u32 + 3).map(|number| commit(100 + number));
    assert_eq!(tried, newest.collect::<Vec<_>>(), "the newest are kept");
}

async fn what_landed_stays_landed_and_the_rest_may_try_again(subject: Arc<dyn Landings>) {
    let rows = [1, 2, 3].map(|number| work("a", number, Priority::Normal, 10));
    put(&*subject, &rows).await;
    let epoch = take(&*subject).await;
    for (number, state) in [(1, landed(1)), (2, conflict()), (3, red())] {
        settle(&*subject, epoch, number, state.clone(), 20).await;
        // To say the same again is harmless.
        settle(&*subject, epoch, number, state.clone(), 30).await;
        let row = get(&*subject, number).await;
        assert_eq!((row.state, row.settled_at), (state, Some(Timestamp(20))));
    }
    assert_eq!(ids(&*subject).await, []);
    for number in [1, 2, 3] {
        let row = subject.again(&id(number), Timestamp(40)).await.expect("there");
        assert_eq!(row, get(&*subject, number).await);
        assert_eq!(row.state.is_open(), number != 1, "{number}");
        assert_eq!(row.at, Timestamp(if number == 1 { 10 } else { 40 }));
    }
    assert_eq!(ids(&*subject).await, [id(2), id(3)]);
    assert_eq!(subject.again(&id(9), Timestamp(0)).await, Err(LandingsError::Unknown(id(9))));
}

async fn what_nobody_wants_is_withdrawn_unless_it_may_have_landed(subject: Arc<dyn Landings>) {
    let rows = [1, 2].map(|number| work("a", number, Priority::Normal, 10));
    put(&*subject, &rows).await;
    let (main, epoch) = (target("main"), take(&*subject).await);
    let row = subject.withdraw(&id(1), Timestamp(20)).await.expect("there");
    assert_eq!((row.state, row.settled_at), (LandingState::Withdrawn {}, Some(Timestamp(20))));
    subject.test(&main, epoch, "b", &[(id(2), commit(7))]).await.expect("tested");
    let row = subject.withdraw(&id(2), Timestamp(20)).await.expect("there");
    assert!(row.state.is_open() && row.is_unwanted, "the branch may have it: {row:?}");
    let epoch = take(&*subject).await;
    assert!(get(&*subject, 2).await.is_unwanted);
    settle(&*subject, epoch, 2, landed(2), 30).await;
    assert!(!get(&*subject, 2).await.is_unwanted);
    let row = subject.withdraw(&id(2), Timestamp(40)).await.expect("there");
    assert_eq!(row.state, landed(2), "what landed is not withdrawn");
    assert_eq!(subject.withdraw(&id(9), Timestamp(0)).await, Err(LandingsError::Unknown(id(9))));
}

async fn what_is_settled_is_listed_newest_first_and_in_pages(subject: Arc<dyn Landings>) {
    let mut rows = [1, 2, 3, 4, 5].map(|number| work("a", number, Priority::Normal, 10));
    rows[4].run = RunId::new("r_2").expect("a run");
    put(&*subject, &rows).await;
    let epoch = take(&*subject).await;
    let both = [(id(3), landed(3)), (id(1), landed(1))];
    subject.settle(&target("main"), epoch, &both, Timestamp(20)).await.expect("settled");
    settle(&*subject, epoch, 2, conflict(), 20).await;
    settle(&*subject, epoch, 5, red(), 20).await;
    let list = async |filter: &LandingFilter, page: Page| {
        let found = subject.settled(filter, &page).await.expect("read");
        (found.items.into_iter().map(|row| row.id).collect::<Vec<_>>(), found.next)
    };
    let all = LandingFilter::default();
    assert_eq!(list(&all, Page::default()).await, ([5, 2, 1, 3].map(id).to_vec(), None));
    let (first, cursor) = list(&all, Page { limit: 3, cursor: None }).await;
    assert_eq!(first, [5, 2, 1].map(id));
    assert!(cursor.is_some());
    assert_eq!(list(&all, Page { limit: 3, cursor }).await, (vec![id(3)], None));
    for (filter, expected) in [
        (LandingFilter { run: Some(rows[4].run.clone()), ..all.clone() }, vec![id(5)]),
        (LandingFilter { branch: Some("other".into()), ..all.clone() }, vec![]),
        (LandingFilter { tenant: TenantId::new("else").ok(), ..all.clone() }, vec![]),
        (LandingFilter { project: ProjectId::new("else").ok(), ..all.clone() }, vec![]),
        (
            LandingFilter {
                tenant: Some(TenantId::default()),
                project: Some(ProjectId::default()),
                branch: Some("main".into()),
                run: Some(rows[0].run.clone()),
            },
            [2, 1, 3].map(id).to_vec(),
        ),
    ] {
        assert_eq!(list(&filter, Page::default()).await, (expected, None), "{filter:?}");
    }
    let strange = Page { limit: 3, cursor: Some("t/1".into()) };
    assert!(subject.settled(&all, &strange).await.is_err(), "a cursor of another list");
}

async fn what_a_run_landed_is_told_in_order_until_it_is_undone(subject: Arc<dyn Landings>) {
    let rows = [1, 2, 3, 4].map(|number| work("a", number, Priority::Normal, 10));
    put(&*subject, &rows).await;
    let (main, epoch) = (target("main"), take(&*subject).await);
    let (same, outputs) = (commit(50), Vec::new());
    let empty =
        LandingState::Landed { commit: same.clone(), before: same, evidence: None, outputs };
    for (number, state) in [(3, landed(3)), (1, landed(1)), (2, conflict()), (4, empty)] {
        settle(&*subject, epoch, number, state, 20).await;
    }
    let told = async |run: &str| {
        let run = RunId::new(run).expect("a run");
        let rows = subject.landed(&main, &run).await.expect("read");
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(told("r_1").await, [id(3), id(1)]);
    assert_eq!(told("r_2").await, []);
    subject.reverted(&main, epoch, &[(id(1), commit(77))]).await.expect("there");
    assert_eq!(told("r_1").await, [id(3)]);
    assert_eq!(get(&*subject, 1).await.reverted, Some(commit(77)));
}

async fn a_pull_request_is_open_until_somebody_says_what_came_of_it(subject: Arc<dyn Landings>) {
    let rows = [1, 2, 3].map(|number| {
        let row = work("a", number, Priority::Normal, 10);
        LandingRow { mode: LandMode::PullRequest, ..row }
    });
    let plain = work("a", 4, Priority::Normal, 10);
    put(&*subject, &rows).await;
    put(&*subject, &[plain]).await;
    let ask = async |number: u32, of: u64| {
        subject.requested(&id(number), "https://forge.example/1", Some(of)).await
    };
    let asked = ask(1, 1).await.expect("it waits");
    let request = asked.request().expect("a pull request");
    assert_eq!((request.target.as_str(), request.number), ("main", Some(1)));
    assert_eq!(request.commit, commit(1));
    assert_eq!(ask(1, 1).await, Ok(asked.clone()), "the same again is harmless");
    let other = LandingsError::Settled { id: id(1), state: "requested", wanted: "requested" };
    assert_eq!(ask(1, 2).await, Err(other));
    let wrong = LandingsError::Settled { id: id(4), state: "waiting", wanted: "requested" };
    assert_eq!(ask(4, 1).await, Err(wrong), "it is for the branch itself");
    assert_eq!(ask(9, 1).await, Err(LandingsError::Unknown(id(9))));
    // It is open, whoever takes the queue, and not tested there.
    let epoch = take(&*subject).await;
    assert_eq!(get(&*subject, 1).await, asked);
    assert_eq!(ids(&*subject).await, [1, 2, 3, 4].map(id));
    let tested = subject.test(&target("main"), epoch, "b", &[(id(1), commit(8))]).await;
    let refused = LandingsError::Settled { id: id(1), state: "requested", wanted: "testing" };
    assert_eq!(tested, Err(refused));
    settle(&*subject, epoch, 1, landed(1), 20).await;
    ask(2, 2).await.expect("it waits");
    settle(&*subject, epoch, 2, LandingState::Withdrawn {}, 20).await;
    ask(3, 3).await.expect("it waits");
    let withdrawn = subject.withdraw(&id(3), Timestamp(20)).await.expect("there");
    assert_eq!(withdrawn.state, LandingState::Withdrawn {});
    assert_eq!(ids(&*subject).await, [id(4)]);
}

async fn branches_do_not_know_each_other(subject: Arc<dyn Landings>) {
    let main = work("a", 1, Priority::Normal, 10);
    let mut other = work("a", 2, Priority::Normal, 10);
    other.target = target("other");
    // The same work for another branch is other work.
    other.commit = main.commit.clone();
    put(&*subject, &[main, other.clone()]).await;
    let targets = subject.targets(&TenantId::default(), &ProjectId::default()).await;
    assert_eq!(targets, Ok(vec![target("main"), target("other")]));
    let elsewhere = ProjectId::new("else").expect("a project");
    assert_eq!(subject.targets(&TenantId::default(), &elsewhere).await, Ok(vec![]));
    let epoch = take(&*subject).await;
    let wrong = subject.settle(&target("main"), epoch, &[(id(2), landed(2))], Timestamp(0)).await;
    assert_eq!(wrong, Err(LandingsError::Unknown(id(2))), "it is in another queue");
    settle(&*subject, epoch, 1, landed(1), 20).await;
    let targets = subject.targets(&TenantId::default(), &ProjectId::default()).await;
    assert_eq!(targets, Ok(vec![target("other")]));
    assert_eq!(subject.waiting(&target("other")).await, Ok(vec![other]));
}

async fn what_was_settled_long_ago_is_forgotten(subject: Arc<dyn Landings>) {
    let rows = [1, 2, 3].map(|number| work("a", number, Priority::Normal, 10));
    put(&*subject, &rows).await;
    let epoch = take(&*subject).await;
    settle(&*subject, epoch, 1, landed(1), 20).await;
    settle(&*subject, epoch, 2, conflict(), 30).await;
    for (before, count) in [(20, 0), (21, 1), (u64::MAX, 2)] {
        assert_eq!(subject.forget_landings(Timestamp(before), true).await, Ok(count));
    }
    assert_eq!(subject.forget_landings(Timestamp(21), false).await, Ok(1));
    assert_eq!(subject.landing(&id(1)).await, Ok(None));
    assert_eq!(get(&*subject, 2).await.state, conflict());
    assert_eq!(subject.forget_landings(Timestamp(u64::MAX), false).await, Ok(1));
    assert_eq!(get(&*subject, 3).await.state, LandingState::Waiting {}, "what is open stays");
}

#[cfg(test)]
mod tests {
    use orchestrator_core::{memory::MemoryLandings, port::Landings};
    use std::sync::Arc;

    #[tokio::test]
    async fn queues_in_memory_keep_the_contract() {
        super::run_all(|| async { Arc::new(MemoryLandings::default()) as Arc<dyn Landings> }).await;
    }
}
