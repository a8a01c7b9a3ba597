//! Lists of runs.

use super::{
    crowd::Fate,
    fixture::{Driver, Subject, agent, run_id, started},
};
use orchestrator_core::{
    event::Origin,
    id::{ProjectId, RunId, Sequence, TenantId, WorkflowName},
    port::{
        AttemptStatus, Catalog, Listing, Page, Rows, RunFilter, RunRow, StoreError, TaskFilter,
    },
    run::{Run, RunStatus},
    task::TaskStatus,
    time::Timestamp,
};

fn page(limit: usize) -> Page {
    Page { limit, cursor: None }
}

async fn ids(catalog: &dyn Catalog, filter: RunFilter) -> Vec<String> {
    let Listing { items, next } = catalog.runs(&filter, &page(100)).await.expect("runs");
    assert_eq!(next, None, "all fit on one page");
    items.into_iter().map(|row| row.id.to_string()).collect()
}

pub(super) async fn rows_are_replaced_by_their_key(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::created(store, "a", 100).await;
    let mut task = driver.task("plan", 0, TaskStatus::Running);
    let mut attempt = driver.attempt("plan", 1, "dev", 10);
    for turn in 0..3 {
        let rows = Rows {
            run: Some(driver.row.clone()),
            tasks: vec![task.clone()],
            attempts: vec![attempt.clone()],
            ..Rows::default()
        };
        driver.append(store, vec![started("plan", turn + 1)], rows).await.expect("append");
        assert_eq!(catalog.run(&driver.run).await, Ok(Some(driver.row.clone())));
        let tasks = catalog.tasks(&Default::default(), &page(10)).await.expect("tasks").items;
        assert_eq!(tasks, [task.clone()]);
        assert_eq!(catalog.attempts(&driver.run, None).await, Ok(vec![attempt.clone()]));
        // Every field that the key does not hold may change.
        driver.row.ended += 1;
        driver.row.source = format!("source {turn}");
        driver.row.created_at = Timestamp(200 + u64::from(turn));
        task.status = TaskStatus::Succeeded;
        task.agent = None;
        task.error = None;
        attempt.status = AttemptStatus::Failed;
        attempt.agent = agent(&format!("agent-{turn}"));
        attempt.started_at = Timestamp(20 + u64::from(turn));
    }
}

pub(super) async fn runs_are_listed_newest_first_in_pages(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    // Three of one moment: their ids decide, the larger first.
    let mut expected: Vec<RunRow> = Vec::new();
    for (id, at) in [("m", 30), ("a", 10), ("z", 20), ("b", 20), ("c", 20), ("y", 5)] {
        expected.push(Driver::created(store, id, at).await.row);
    }
    expected.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    for size in 1..=7 {
        let (mut found, mut at) = (Vec::new(), page(size));
        loop {
            let part = catalog.runs(&RunFilter::default(), &at).await.expect("runs");
            assert!(part.items.len() <= size && !part.items.is_empty(), "pages of {size}");
            found.extend(part.items);
            assert!(found.len() < 100, "pages of {size} never end");
            // A run that comes later does not move those that follow.
            if found.len() == 1 && size == 1 {
                Driver::created(store, "later", 1_000).await;
            }
            let Some(next) = part.next else { break };
            at.cursor = Some(next);
        }
        found.retain(|row| row.created_at < Timestamp(1_000));
        assert_eq!(found, expected, "pages of {size}");
    }
}

pub(super) async fn runs_of_a_status_come_in_pages(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut expected = Vec::new();
    for number in 0..12_u64 {
        let mut driver = Driver::created(store, &format!("{number:02}"), 50 - number % 5).await;
        match number % 3 {
            0 => driver.end(store, RunStatus::Failed).await,
            1 => driver.end(store, RunStatus::Succeeded).await,
            _ => {}
        }
        if number % 3 != 1 {
            expected.push(driver.row);
        }
    }
    expected.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let status = vec![RunStatus::Running, RunStatus::Failed];
    let filter = RunFilter { status, ..RunFilter::default() };
    for size in 1..=9 {
        let (mut found, mut at) = (Vec::new(), page(size));
        loop {
            let part = catalog.runs(&filter, &at).await.expect("runs");
            assert!(part.items.len() <= size && found.len() < 100, "pages of {size}");
            found.extend(part.items);
            let Some(next) = part.next else { break };
            at.cursor = Some(next);
        }
        assert_eq!(found, expected, "pages of {size}");
    }
}

pub(super) async fn open_runs_come_oldest_first(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut drivers = Vec::new();
    for (id, at, parent) in
        [("m", 30, None), ("a", 10, Some("m")), ("z", 20, None), ("b", 20, None), ("y", 5, None)]
    {
        let mut driver = Driver::new(id, at);
        driver.row.parent = parent.map(run_id);
        driver.create(store).await;
        drivers.push(driver);
    }
    let check = async |after: Option<&str>, limit: usize, expected: &[&str]| {
        let found = store.open_runs(after.map(run_id).as_ref(), limit).await.expect("open runs");
        let ids: Vec<_> = found.iter().map(|open| open.id.clone()).collect();
        let expected: Vec<_> = expected.iter().map(|id| run_id(id)).collect();
        assert_eq!(ids, expected, "after {after:?}, at most {limit}");
        found
    };
    let all = check(None, 10, &["y", "a", "b", "z", "m"]).await;
    assert_eq!(all[1].parent, Some(run_id("m")));
    assert_eq!((&all[0].parent, &all[0].lease), (&None, &Some(drivers[4].lease())));
    check(None, 2, &["y", "a"]).await;
    check(Some("a"), 2, &["b", "z"]).await;
    check(Some("z"), 2, &["m"]).await;
    check(Some("m"), 2, &[]).await;
    check(None, 0, &[]).await;
    // Every status but the last ones is open.
    let [m, a, z, b, y] = &mut drivers[..] else { unreachable!("five were made") };
    for (driver, status) in
        [(m, RunStatus::Waiting), (&mut *z, RunStatus::Paused), (b, RunStatus::Cancelling)]
    {
        driver.row.status = status;
        let rows = Rows { run: Some(driver.row.clone()), ..Rows::default() };
        driver.append(store, vec![started("plan", 1)], rows).await.expect("append");
    }
    store.release(&y.run, y.epoch).await.expect("release");
    a.end(store, RunStatus::Failed).await;
    let open = check(None, 10, &["y", "b", "z", "m"]).await;
    assert_eq!(open[0].lease, None, "given back");
    z.end(store, RunStatus::Cancelled).await;
    check(None, 10, &["y", "b", "m"]).await;
    check(Some("z"), 10, &["m"]).await;
    // A run that is gone meanwhile stands where its id does: ids sort by creation.
    catalog.clean(Timestamp(1_000), false).await.expect("clean");
    check(Some("a"), 10, &["y", "b", "m"]).await;
    check(Some("z"), 10, &[]).await;
}

pub(super) async fn run_filters_restrict(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut done = Driver::created(store, "done", 10).await;
    let rows = Rows { attempts: vec![done.attempt("plan", 1, "qa", 11)], ..Rows::default() };
    done.append(store, vec![started("plan", 1)], rows).await.expect("append");
    done.end(store, RunStatus::Succeeded).await;
    let mut other = Driver::new("other", 20);
    other.row.tenant = TenantId::new("acme").expect("a tenant");
    other.row.project = ProjectId::new("site").expect("a project");
    other.create(store).await;
    let mut failed = Driver::new("failed", 30);
    failed.row.parent = Some(done.run.clone());
    failed.row.origin = Some(Origin::Retry { run: other.run.clone() });
    failed.create(store).await;
    failed.end(store, RunStatus::Failed).await;

    let check = async |filter: RunFilter, expected: &[&str]| {
        let found = ids(catalog, filter.clone()).await;
        assert_eq!(found, expected, "{filter:?}");
    };
    let all = RunFilter::default;
    check(all(), &["r_failed", "r_other", "r_done"]).await;
    check(RunFilter { status: vec![RunStatus::Running], ..all() }, &["r_other"]).await;
    let over = vec![RunStatus::Succeeded, RunStatus::Failed];
    check(RunFilter { status: over, ..all() }, &["r_failed", "r_done"]).await;
    check(RunFilter { status: vec![RunStatus::Cancelling], ..all() }, &[]).await;
    check(RunFilter { tenant: Some(other.row.tenant.clone()), ..all() }, &["r_other"]).await;
    check(RunFilter { project: Some(other.row.project.clone()), ..all() }, &["r_other"]).await;
    let over = vec![RunStatus::Failed, RunStatus::Running, RunStatus::Failed, RunStatus::Paused];
    check(RunFilter { status: over.clone(), ..all() }, &["r_failed", "r_other"]).await;
    let (status, since) = (over, Some(Timestamp(25)));
    check(RunFilter { status, since, ..all() }, &["r_failed"]).await;
    check(RunFilter { parent: Some(done.run.clone()), ..all() }, &["r_failed"]).await;
    check(RunFilter { parent: Some(failed.run.clone()), ..all() }, &[]).await;
    check(RunFilter { agent: Some(agent("qa")), ..all() }, &["r_done"]).await;
    check(RunFilter { agent: Some(agent("ghost")), ..all() }, &[]).await;
    let since = Some(Timestamp(20));
    check(RunFilter { since, ..all() }, &["r_failed", "r_other"]).await;
    check(RunFilter { before: since, ..all() }, &["r_done"]).await;
    let (since, before) = (Some(Timestamp(20)), Some(Timestamp(30)));
    check(RunFilter { since, before, ..all() }, &["r_other"]).await;
    let (agent, before) = (Some(agent("qa")), Some(Timestamp(10)));
    check(RunFilter { agent, before, ..all() }, &[]).await;
}

pub(super) async fn search_takes_its_text_literally(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    for (at, id, workflow, source) in [
        (1, "Alpha", "audit", "flows/100%_done.yaml"),
        (2, "beta", "Release-Notes", "flows/100xxdone.yaml"),
        (3, "gamma", "audit", "/home/zoë/ÉTUDE's.yaml"),
    ] {
        let mut driver = Driver::new(id, at);
        driver.row.workflow = WorkflowName::new(workflow).expect("a name");
        driver.row.source = source.into();
        driver.create(store).await;
    }
    let check = async |text: &str, expected: &[&str]| {
        let filter = RunFilter { search: Some(text.into()), ..RunFilter::default() };
        assert_eq!(ids(catalog, filter).await, expected, "{text}");
    };
    check("alpha", &["r_Alpha"]).await;
    check("R_", &["r_gamma", "r_beta", "r_Alpha"]).await;
    check("notes", &["r_beta"]).await;
    check("100%_", &["r_Alpha"]).await;
    check("%", &["r_Alpha"]).await;
    check("étude'S", &["r_gamma"]).await;
    check("'; --", &[]).await;
    check("succeeded", &[]).await;
    check("default", &[]).await;
}

pub(super) async fn ids_are_found_by_prefix(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    for (id, at) in [("ab1", 10), ("ab2", 30), ("b", 20), ("ab_", 5), ("abz", 6)] {
        Driver::created(store, id, at).await;
    }
    let check = async |prefix: &str, limit: usize, expected: &[&str]| {
        let found = catalog.run_ids(prefix, limit).await.expect("ids");
        let expected: Vec<RunId> = expected.iter().map(|id| run_id(id)).collect();
        assert_eq!(found, expected, "{prefix}, {limit}");
    };
    check("r_ab", 10, &["ab2", "ab1", "abz", "ab_"]).await;
    check("r_ab", 2, &["ab2", "ab1"]).await;
    check("r_ab_", 10, &["ab_"]).await;
    check("r_ab%", 10, &[]).await;
    check("r_b", 10, &["b"]).await;
    check("R_b", 10, &[]).await;
    check("b", 10, &[]).await;
    check("", 10, &["ab2", "b", "ab1", "abz", "ab_"]).await;
    check("r_é", 10, &[]).await;
}

pub(super) async fn a_foreign_cursor_is_refused(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    Driver::created(store, "a", 10).await;
    for text in ["", "r_a", "never given", "é/'"] {
        let at = Page { limit: 5, cursor: Some(text.into()) };
        let runs = catalog.runs(&RunFilter::default(), &at).await;
        assert!(matches!(runs, Err(StoreError::Damaged(_))), "{text}: {runs:?}");
        let tasks = catalog.tasks(&Default::default(), &at).await;
        assert!(matches!(tasks, Err(StoreError::Damaged(_))), "{text}: {tasks:?}");
    }
}

/// A few of very many, found by what they are.
pub(super) async fn a_crowd_is_listed_by_status(subject: Subject) {
    const COUNT: u64 = 1_250;
    super::crowd(&subject.store, COUNT).await;
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    for (fate, status) in [
        (Fate::Open, vec![RunStatus::Running]),
        (Fate::Failed, vec![RunStatus::Failed]),
        (Fate::Succeeded, vec![RunStatus::Succeeded]),
    ] {
        let of = (0..COUNT).rev().filter(|place| Fate::of(*place) == fate);
        let expected: Vec<RunId> = of.take(20).map(super::crowd_id).collect();
        let filter = RunFilter { status, ..RunFilter::default() };
        let found = catalog.runs(&filter, &page(20)).await.expect("runs");
        let found: Vec<RunId> = found.items.into_iter().map(|row| row.id).collect();
        assert_eq!(found, expected, "{fate:?}");
    }
    let open = store.open_runs(None, 10).await.expect("open runs");
    let open: Vec<_> = open.into_iter().map(|open| open.id).collect();
    assert_eq!(open, [super::crowd_id(0), super::crowd_id(1_000)]);
    for place in [0, 1, 2] {
        let run = super::crowd_id(place);
        let events = store.events(&run, Sequence(0), usize::MAX).await.expect("events");
        let state = Run::replay(&events).expect("a log that replays");
        assert_eq!(catalog.run(&run).await, Ok(Some(state.run_row())));
        let filter = TaskFilter { run: Some(run), ..TaskFilter::default() };
        let tasks = catalog.tasks(&filter, &page(10)).await.expect("tasks").items;
        let expected: Vec<_> = (0..5).filter_map(|place| state.task_row(place)).collect();
        assert_eq!(tasks, expected);
    }
}
