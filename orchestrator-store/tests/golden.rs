//! Stores that earlier versions made: each opens, is migrated after a copy, and its runs go on.
//!
//! `golden/v<N>.sqlite` is the database of a store of schema N: two runs that an engine drove, one
//! that succeeded and one that failed, and two open ones with rows, blobs, spending and signals. The
//! example `make-golden` makes the next one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use orchestrator_core::{
    event::{Content, Event, Recorded},
    id::{ProjectId, RunId, Sequence, TenantId},
    ledger::{Scope, Sums},
    port::{Catalog, Ledger, Page, Rows, RunFilter, Signal, SpendGroup, Store, TaskFilter},
    run::{Run, RunStatus},
    time::Timestamp,
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::store_contract::{Driver, ended, run_id};
use std::{fs, path::Path};

/// The schemas that have a file here: every one but the newest.
const SCHEMAS: [u32; 5] = [1, 2, 3, 4, 5];

fn restored(schema: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{schema}.sqlite"));
    fs::copy(kept, dir.path().join("events.db")).unwrap();
    dir
}

fn copies(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.contains("backup")).collect()
}

#[tokio::test]
async fn runs_of_every_schema_replay() {
    for schema in SCHEMAS {
        let dir = restored(schema);
        let before = fs::read(dir.path().join("events.db")).unwrap();
        let store = LocalStore::open(dir.path()).unwrap();
        store.verify().await.unwrap();
        let copies = copies(dir.path());
        assert_eq!(copies.len(), 1, "{copies:?}");
        assert!(copies[0].starts_with(&format!("events.db.backup-v{schema}-")), "{copies:?}");
        let copy = fs::read(dir.path().join(&copies[0])).unwrap();
        assert!(copy.len() == before.len(), "the copy is the whole store as it was");

        for status in [RunStatus::Succeeded, RunStatus::Failed] {
            let filter = RunFilter { status: vec![status], ..RunFilter::default() };
            let found = store.runs(&filter, &Page::default()).await.unwrap().items;
            assert_eq!(found.len(), 1, "{status}");
            let events = store.events(&found[0].id, Sequence(0), usize::MAX).await.unwrap();
            let run = Run::replay(&events).unwrap();
            assert_eq!((run.status(), run.seq()), (status, found[0].seq));
            assert_eq!(run.run_row(), found[0], "the row that was stored is the row of the log");
            let filter = TaskFilter { run: Some(found[0].id.clone()), ..TaskFilter::default() };
            let tasks = store.tasks(&filter, &Page::default()).await.unwrap().items;
            let outputs: Vec<_> = events
                .iter()
                .filter_map(|recorded| match &recorded.event {
                    Event::AttemptSucceeded { output, .. } => Some(output),
                    _ => None,
                })
                .collect();
            let stored: Vec<&Content> =
                tasks.iter().filter_map(|row| row.output.as_ref()).collect();
            assert_eq!((tasks.len(), stored), (3, outputs), "{status}");
            let started = |event: &Recorded| match &event.event {
                Event::AttemptStarted { task, attempt, .. } => Some((task.clone(), *attempt)),
                _ => None,
            };
            let started: Vec<_> = events.iter().filter_map(started).collect();
            let attempts = store.attempts(&found[0].id, None).await.unwrap();
            let stored: Vec<_> =
                attempts.iter().map(|row| (row.task.clone(), row.number)).collect();
            assert_eq!(stored, started, "{status}");
        }
    }
}

#[tokio::test]
async fn open_runs_of_every_schema_go_on() {
    for schema in SCHEMAS {
        let dir = restored(schema);
        let store = LocalStore::open(dir.path()).unwrap();
        let (open, child) = (run_id("open"), run_id("child"));
        let found = store.open_runs(None, 10).await.unwrap();
        let found: Vec<_> = found.iter().map(|run| (&run.id, run.parent.as_ref())).collect();
        assert_eq!(found, [(&open, None), (&child, Some(&open))]);
        let filter = RunFilter { parent: Some(open.clone()), ..RunFilter::default() };
        let children = store.runs(&filter, &Page::default()).await.unwrap().items;
        assert_eq!(children.iter().map(|row| &row.id).collect::<Vec<_>>(), [&child]);

        // The signals kept their numbers and have a place among all.
        let signals = store.signals(&open, 0).await.unwrap();
        let reason = |n| Signal::Cancel { reason: format!("signal {n}") };
        let expected: Vec<_> = (1..=3).map(|n| (n, reason(n - 1))).collect();
        let signals: Vec<_> = signals.into_iter().map(|s| (s.number, s.signal)).collect();
        assert_eq!(signals, expected);
        let mail = store.mail(0).await.unwrap();
        let mut runs: Vec<RunId> = mail.runs.clone();
        runs.sort();
        assert_eq!((mail.last, runs), (4, vec![child, open.clone()]));
        store.signal(&open, Signal::Resume {}, Timestamp(9)).await.unwrap();
        assert_eq!(store.mail(mail.last).await.unwrap().runs, std::slice::from_ref(&open));
        assert_eq!(store.signals(&open, 3).await.unwrap()[0].number, 4);

        let spent = store.spending(SpendGroup::Run, Some(&open), None).await.unwrap();
        assert_eq!(spent[0].cost.known.0, 7);
        // And what was spent before there was a ledger, which schema 4 brought, counts in it.
        let counted = if schema < 4 { 7 } else { 0 };
        for scope in
            [Scope::Run(open.clone()), Scope::Project(TenantId::default(), ProjectId::default())]
        {
            let (used, held) = store.sums(&scope, Timestamp(0)).await.unwrap();
            assert_eq!((used.usd, held), (counted, Sums::default()), "{scope}");
        }
        // Nothing was expected of it; it is found by its workflow.
        assert_eq!(store.estimated(None, None, 9).await.unwrap(), []);
        let known = store.history(std::slice::from_ref(&children[0].workflow)).await.unwrap();
        assert_eq!(known.samples, [], "it has not succeeded");
        let filter = RunFilter { status: vec![RunStatus::Succeeded], ..RunFilter::default() };
        let good = store.runs(&filter, &Page::default()).await.unwrap().items.remove(0).workflow;
        let known = store.history(std::slice::from_ref(&good)).await.unwrap();
        assert_eq!(known.runs.get(&good), Some(&1), "schema {schema}");

        let mut driver = Driver::new("open", 1_000);
        driver.seq = Sequence(3);
        driver.append(&store, vec![ended()], Rows::default()).await.unwrap();
        let events = store.events(&open, Sequence(0), 10).await.unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.seq.0).collect();
        assert_eq!(numbers, [1, 2, 3, 4], "old and new in one log");
        assert_eq!(events[2].event.blobs().len(), 2);
    }
}
