//! No question about one run, or a page of runs, reads all of them.

use super::*;
use crate::{cursor::RunPlace, local::LocalStore};
use orchestrator_core::{
    id::RunId,
    port::{Page, RunFilter, TaskFilter},
    run::RunStatus,
    time::Timestamp,
};
use rusqlite::{Connection, params_from_iter};

/// How SQLite would answer `sql`, a step a line.
fn plan(conn: &Connection, (sql, values): (String, Vec<Value>)) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
    steps.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_list_follows_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    let conn = crate::open::reader(store.file(), std::time::Duration::from_secs(1)).unwrap();
    let check = |statement: (String, Vec<Value>), index: &str| {
        let text = statement.0.clone();
        let steps = plan(&conn, statement);
        // Sorting what was found in order already would mean that all of it was found first.
        let reads: Vec<_> = steps
            .iter()
            .filter(|step| step.contains(" r ") || step.contains(" t ") || step.contains(" runs "))
            .collect();
        assert!(!reads.is_empty(), "{text}: {steps:?}");
        assert!(
            reads.iter().all(|step| step.contains("USING") && !step.contains("AUTOMATIC")),
            "{text}: {steps:?}"
        );
        assert!(steps.iter().any(|step| step.contains(index)), "{text}: {steps:?}");
    };
    let run = RunId::new("r_1").unwrap();
    let first = Page { limit: 20, cursor: None };
    let place = RunPlace { created_at: 7, id: "r_7".into() };
    let later = Page { limit: 20, cursor: Some(place.encode()) };
    let all = RunFilter::default;
    let open = vec![RunStatus::Running, RunStatus::Waiting, RunStatus::Paused];
    for page in [&first, &later] {
        let list = |filter: RunFilter| runs::list(&filter, page).unwrap();
        check(list(all()), "runs_by_age");
        check(list(RunFilter { since: Some(Timestamp(5)), ..all() }), "runs_by_age");
        check(list(RunFilter { status: vec![RunStatus::Failed], ..all() }), "runs_by_status");
        check(list(RunFilter { status: open.clone(), ..all() }), "runs_by_status");
        check(list(RunFilter { parent: Some(run.clone()), ..all() }), "runs_by_parent");
        let tasks = TaskFilter { run: Some(run.clone()), ..TaskFilter::default() };
        let page = Page { limit: 20, cursor: None };
        check(tasks::list(&tasks, &page).unwrap(), "PRIMARY KEY");
    }
    check(runs::open_list(&Conditions::default(), 100), "runs_by_status");
    let of_agent = (attempts::list_of(), vec![String::from("dev").into(), 20.into()]);
    for index in ["a USING INDEX attempts_by_agent", "t USING INDEX tasks_by_agent"] {
        check(of_agent.clone(), index);
    }
    let runs = vec![String::from("w").into(), 9.into(), String::from("succeeded").into()];
    check((history::RUNS.into(), runs), "runs_by_workflow");
    check((history::ESTIMATED.into(), vec![0.into(), 9.into()]), "r USING INTEGER PRIMARY KEY");
    let one = vec![0.into(), 9.into(), String::from("r_1").into()];
    check((history::ESTIMATED_ONE.into(), one), "e USING INTEGER PRIMARY KEY");
    let mail = "SELECT s.number, r.id FROM signals s JOIN runs r ON r.n = s.place >> 32 \
                WHERE s.number > ? ORDER BY s.number";
    check((mail.into(), vec![7.into()]), "SEARCH s USING INTEGER PRIMARY KEY");
    let events = "SELECT body FROM events r WHERE place > ? AND place <= ? ORDER BY place";
    check((events.into(), vec![7.into(), 9.into()]), "events_by_place");
}
