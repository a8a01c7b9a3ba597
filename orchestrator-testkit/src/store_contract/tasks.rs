//! Lists of tasks and attempts.

use super::fixture::{Driver, Subject, agent, name, run_id, started};
use orchestrator_core::{
    event::{Content, Event},
    id::{AttemptNumber, Sequence},
    port::{AttemptRow, AttemptStatus, Catalog, ItemCounts, Page, Rows, TaskFilter},
    schedule::HeldUp,
    task::TaskStatus,
    time::Timestamp,
};
use serde_json::json;

async fn names(catalog: &dyn Catalog, filter: &TaskFilter, limit: usize) -> Vec<String> {
    let (mut found, mut page) = (Vec::new(), Page { limit, cursor: None });
    loop {
        let part = catalog.tasks(filter, &page).await.expect("tasks");
        assert!(part.items.len() <= limit, "pages of {limit}");
        found.extend(part.items.iter().map(|row| format!("{}.{}", row.run, row.name)));
        assert!(found.len() < 100, "pages of {limit} never end");
        let Some(next) = part.next else { return found };
        page.cursor = Some(next);
    }
}

pub(super) async fn tasks_are_listed_in_the_order_of_the_workflow(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    for (id, at) in [("old", 10), ("new", 20), ("twin", 20)] {
        let mut driver = Driver::created(store, id, at).await;
        let tasks = [("zeta", 0), ("mid", 1), ("alpha", 2)]
            .map(|(task, position)| driver.task(task, position, TaskStatus::Running));
        // Written in another order than theirs.
        for task in [1, 2, 0] {
            let rows = Rows { tasks: vec![tasks[task].clone()], ..Rows::default() };
            driver.append(store, vec![started("mid", 1)], rows).await.expect("append");
        }
    }
    let expected: Vec<String> = ["twin", "new", "old"]
        .iter()
        .flat_map(|run| ["zeta", "mid", "alpha"].map(|task| format!("r_{run}.{task}")))
        .collect();
    for limit in 1..=10 {
        let found = names(catalog, &TaskFilter::default(), limit).await;
        assert_eq!(found, expected, "pages of {limit}");
        let one = TaskFilter { run: Some(super::run_id("new")), ..TaskFilter::default() };
        assert_eq!(names(catalog, &one, limit).await, expected[3..6], "pages of {limit}");
    }
}

/// Small and large, with the event that holds it and without.
pub(super) async fn outputs_come_back_whole(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::created(store, "a", 10).await;
    let text = |length| Some(Content::Inline(json!({ "text": "é".repeat(length) })));
    let succeeded = |task: &str, output: &Option<Content>| Event::AttemptSucceeded {
        task: name(task),
        attempt: AttemptNumber(1),
        output: output.clone().unwrap_or(Content::Inline(json!(null))),
        spend: Vec::new(),
        artifacts: Vec::new(),
        cached: None,
    };
    let mut expected = Vec::new();
    for (position, task) in ["small", "large", "huge", "other"].into_iter().enumerate() {
        let mut row = driver.task(task, position as u32, TaskStatus::Succeeded);
        row.output = text([3, 300, 10_000, 400][position]);
        row.held_up = Some(HeldUp::Parallel { most: 4 });
        row.items = Some(ItemCounts { count: 9, ended: 3, failed: 1 });
        expected.push(row);
    }
    let mut events: Vec<Event> =
        expected.iter().map(|row| succeeded(row.name.as_str(), &row.output)).collect();
    // What the event says is not what the row says.
    events[3] = succeeded("other", &text(5_000));
    let rows = Rows { tasks: expected.clone(), ..Rows::default() };
    driver.append(store, events, rows).await.expect("append");
    let found = async || catalog.tasks(&TaskFilter::default(), &Page::default()).await;
    assert_eq!(found().await.map(|found| found.items), Ok(expected.clone()));
    // Written again without its event, cut short, and with another event.
    let rows = Rows { tasks: expected.clone(), ..Rows::default() };
    driver.append(store, Vec::new(), rows).await.expect("append");
    assert_eq!(found().await.map(|found| found.items), Ok(expected.clone()));
    expected[1].output = None;
    expected[2].output = text(2_000);
    let event = Event::TaskSucceeded { task: name("huge"), output: text(2_000) };
    let rows = Rows { tasks: expected.clone(), ..Rows::default() };
    driver.append(store, vec![started("x", 1), event], rows).await.expect("append");
    assert_eq!(found().await.map(|found| found.items), Ok(expected.clone()));
    // Rows that are gone are removed, and one that is written with them stays.
    let kept = expected.split_off(1);
    let gone = vec![name("small"), name("large"), name("nobody")];
    let rows = Rows { gone, tasks: vec![kept[0].clone()], ..Rows::default() };
    driver.append(store, Vec::new(), rows).await.expect("append");
    assert_eq!(found().await.map(|found| found.items), Ok(kept));
}

pub(super) async fn task_filters_restrict(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut old = Driver::created(store, "old", 10).await;
    let mut new = Driver::created(store, "new", 20).await;
    let mut waiting = old.task("wait_ing", 0, TaskStatus::Waiting);
    waiting.agent = None;
    let rows = Rows { tasks: vec![waiting], ..Rows::default() };
    old.append(store, vec![started("a", 1)], rows).await.expect("append");
    let mut done = new.task("Done", 0, TaskStatus::Succeeded);
    done.agent = Some(agent("qa"));
    let rows = Rows { tasks: vec![done, new.task("x", 1, TaskStatus::Failed)], ..Rows::default() };
    new.append(store, vec![started("a", 1)], rows).await.expect("append");

    let check = async |filter: TaskFilter, expected: &[&str]| {
        assert_eq!(names(catalog, &filter, 10).await, expected, "{filter:?}");
    };
    let all = TaskFilter::default;
    let text = |text: &str| Some(text.to_owned());
    check(all(), &["r_new.Done", "r_new.x", "r_old.wait_ing"]).await;
    check(TaskFilter { run: Some(old.run.clone()), ..all() }, &["r_old.wait_ing"]).await;
    check(TaskFilter { run: Some(super::run_id("ghost")), ..all() }, &[]).await;
    let status = vec![TaskStatus::Waiting, TaskStatus::Failed];
    check(TaskFilter { status, ..all() }, &["r_new.x", "r_old.wait_ing"]).await;
    check(TaskFilter { agent: Some(agent("qa")), ..all() }, &["r_new.Done"]).await;
    check(TaskFilter { agent: Some(agent("dev")), ..all() }, &["r_new.x"]).await;
    let since = Some(Timestamp(20));
    check(TaskFilter { since, ..all() }, &["r_new.Done", "r_new.x"]).await;
    check(TaskFilter { search: text("dONE"), ..all() }, &["r_new.Done"]).await;
    check(TaskFilter { search: text("R_OLD"), ..all() }, &["r_old.wait_ing"]).await;
    check(TaskFilter { search: text("t_i"), ..all() }, &["r_old.wait_ing"]).await;
    check(TaskFilter { search: text("D_"), ..all() }, &[]).await;
}

pub(super) async fn attempts_come_in_the_order_of_their_starts(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::created(store, "a", 10).await;
    let mut other = Driver::created(store, "b", 10).await;
    let first = driver.attempt("zeta", 1, "dev", 100);
    let second = driver.attempt("alpha", 1, "qa", 200);
    let third = driver.attempt("zeta", 2, "dev", 300);
    let apart = other.attempt("zeta", 1, "dev", 250);
    for attempt in [&first, &second, &third] {
        let rows = Rows { attempts: vec![attempt.clone()], ..Rows::default() };
        driver.append(store, vec![started("a", 1)], rows).await.expect("append");
    }
    let rows = Rows { attempts: vec![apart.clone()], ..Rows::default() };
    other.append(store, vec![started("a", 1)], rows).await.expect("append");

    let all = [first.clone(), second.clone(), third.clone()];
    assert_eq!(catalog.attempts(&driver.run, None).await.as_deref(), Ok(&all[..]));
    let zeta = catalog.attempts(&driver.run, Some(&name("zeta"))).await;
    assert_eq!(zeta, Ok(vec![first.clone(), third.clone()]));
    assert_eq!(catalog.attempts(&driver.run, Some(&name("ghost"))).await, Ok(Vec::new()));
    let dev = catalog.attempts_of(&agent("dev"), 10).await;
    assert_eq!(dev, Ok(vec![third.clone(), apart.clone(), first]), "newest first");
    assert_eq!(catalog.attempts_of(&agent("dev"), 2).await, Ok(vec![third, apart]));
    assert_eq!(catalog.attempts_of(&agent("ghost"), 2).await, Ok(Vec::new()));
}

pub(super) async fn an_attempt_is_kept_once(subject: Subject) {
    let (store, catalog) = (&*subject.store, &*subject.catalog);
    let mut driver = Driver::new("a", 10);
    let ended = |mut row: AttemptRow, at: u64| {
        row.status = AttemptStatus::Failed;
        row.ended_at = Some(Timestamp(at));
        row
    };
    let plan = |driver: &Driver, status| driver.task("plan", 0, status);
    // All that an append says of an attempt, in the order in which it says so.
    let first = driver.attempt("plan", 1, "dev", 100);
    let mut append = driver.first();
    append.rows.tasks = vec![plan(&driver, TaskStatus::Running)];
    append.rows.attempts = vec![first.clone(), ended(first.clone(), 101)];
    store.create(append, driver.lease()).await.expect("create");
    driver.seq = Sequence(1);
    let check = async |expected: &[&AttemptRow]| {
        let found = catalog.attempts(&run_id("a"), None).await.expect("attempts");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        let found = catalog.attempts_of(&agent("dev"), 10).await.expect("attempts");
        assert_eq!(found.iter().rev().collect::<Vec<_>>(), expected);
    };
    let first = ended(first, 101);
    check(&[&first]).await;

    // The next one starts with its task's row, the one after it without.
    let second = driver.attempt("plan", 2, "dev", 200);
    let third = driver.attempt("plan", 3, "dev", 300);
    for (attempt, with_task) in [(&second, true), (&third, false)] {
        let tasks = if with_task { vec![plan(&driver, TaskStatus::Running)] } else { Vec::new() };
        let rows = Rows { tasks, attempts: vec![attempt.clone()], ..Rows::default() };
        driver.append(store, vec![started("plan", 2)], rows).await.expect("append");
    }
    check(&[&first, &second, &third]).await;
    // An earlier one ends late, and the last one together with it.
    let (second, third) = (ended(second, 301), ended(third, 302));
    let rows = Rows {
        tasks: vec![plan(&driver, TaskStatus::Failed)],
        attempts: vec![third.clone(), second.clone()],
        ..Rows::default()
    };
    driver.append(store, vec![started("plan", 3)], rows).await.expect("append");
    check(&[&first, &second, &third]).await;

    // A task's row goes and comes again: its attempts stay, and go on.
    let rows = Rows { gone: vec![name("plan")], ..Rows::default() };
    driver.append(store, vec![started("plan", 3)], rows).await.expect("append");
    check(&[&first, &second, &third]).await;
    let fourth = driver.attempt("plan", 4, "dev", 400);
    let third = ended(third, 303);
    let rows = Rows {
        tasks: vec![plan(&driver, TaskStatus::Running)],
        attempts: vec![third.clone()],
        ..Rows::default()
    };
    driver.append(store, vec![started("plan", 3)], rows).await.expect("append");
    check(&[&first, &second, &third]).await;
    let rows = Rows {
        tasks: vec![plan(&driver, TaskStatus::Running)],
        attempts: vec![fourth.clone()],
        ..Rows::default()
    };
    driver.append(store, vec![started("plan", 4)], rows).await.expect("append");
    check(&[&first, &second, &third, &fourth]).await;
    // Said again, it is still one.
    let rows = Rows {
        tasks: vec![plan(&driver, TaskStatus::Running)],
        attempts: vec![third.clone(), fourth.clone()],
        ..Rows::default()
    };
    driver.append(store, vec![started("plan", 4)], rows).await.expect("append");
    check(&[&first, &second, &third, &fourth]).await;
}
