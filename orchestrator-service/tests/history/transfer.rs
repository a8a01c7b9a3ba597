//! Runs and workflows as files: out of one project and into another.

use crate::{fits, forged::open, place::Place, statuses};
use orchestrator_service::{Answer, ExportFormat, ImportOptions, RetryRequest};
use serde_json::Value;
use std::path::PathBuf;

/// A list, a large output, a file, a failure and a child.
pub(crate) const EVERYTHING: &str = "name: everything\ninputs:\n  word: { type: string, default: hi }\ntasks:\n  \
    each: { for-each: '[0.1, 0.2, 0.30000000000000004]', command: [echo, '{{ item }} {{ inputs.word }}'] }\n  \
    large: { command: [sh, -c, 'yes large | head -n 20000'], needs: [each] }\n  \
    bad: { command: [sh, -c, 'echo no >&2; exit 1'], retry: { max-attempts: 2, base-delay: 1ms }, on-failure: continue }\n  \
    sub: { workflow: sub.yaml, needs: [large] }\n";

/// A place where [`EVERYTHING`] can run.
pub(crate) fn origin() -> Place {
    Place::new().file(
        "sub.yaml",
        "name: sub\ntasks:\n  one: { command: [sh, -c, 'yes small | head -n 9000'] }\n",
    )
}

/// The run as a document, written to a file as well.
pub(crate) async fn export(place: &Place, run: &str) -> (PathBuf, Value) {
    let format = ExportFormat::Json { children: true };
    let text = place.service().export(run, format).await.unwrap();
    let file = place.root().join("export.json");
    std::fs::write(&file, &text).unwrap();
    (file, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_run_comes_back_as_it_was() {
    let place = origin();
    let run = place.run(EVERYTHING).await.run;
    let (file, original) = export(&place, &run).await;
    fits("export", &original);
    assert_eq!(original["logs"].as_array().unwrap().len(), 2, "the child is with it");
    assert!(original["blobs"].as_array().unwrap().len() >= 2);

    let other = Place::new();
    let view = other.service().import(&file, ImportOptions::default()).await.unwrap();
    fits("import", &view);
    assert_eq!((view.kind, view.name.as_str(), view.items.len()), ("run", run.as_str(), 2));
    let (before, after) =
        (place.service().run(&run).await.unwrap(), other.service().run(&run).await.unwrap());
    assert_eq!(statuses(&before.items), statuses(&after.items));
    assert_eq!(before.items, after.items, "rows are what the log makes of them");
    for task in ["large", "each:1", "bad", "sub"] {
        let before = place.service().task(task, Some(&run)).await.unwrap();
        let after = other.service().task(task, Some(&run)).await.unwrap();
        assert_eq!(before, after, "{task}");
    }
    // Whose it is, and where it worked, is what is so here; the rest of the log is the same.
    let (file, again) = export(&other, &run).await;
    let here = other.root().display().to_string();
    for (log, was) in
        again["logs"].as_array().unwrap().iter().zip(original["logs"].as_array().unwrap())
    {
        let (events, were) = (log["events"].as_array().unwrap(), was["events"].as_array().unwrap());
        assert_eq!(events[1..], were[1..]);
        assert_eq!(events[0]["event"]["directory"], here);
        assert_eq!(events[0]["event"]["origin"]["type"], "import");
        let mut first = events[0].clone();
        first["event"]["directory"] = were[0]["event"]["directory"].clone();
        first["event"].as_object_mut().unwrap().remove("origin");
        assert_eq!(first, were[0]);
    }
    assert_eq!(again["blobs"], original["blobs"]);
    // Once more, nothing is left to change.
    let error = other.service().import(&file, ImportOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "ORC-0632");
    let third = Place::new();
    third.service().import(&file, ImportOptions::default()).await.unwrap();
    let (_, last) = export(&third, &run).await;
    let elsewhere = third.root().display().to_string();
    let moved = serde_json::to_string(&last["logs"]).unwrap().replace(&elsewhere, &here);
    assert_eq!(serde_json::from_str::<Value>(&moved).unwrap(), again["logs"]);
    let copy = ImportOptions { new_id: true, ..ImportOptions::default() };
    let copied = other.service().import(&file, copy).await.unwrap();
    assert_ne!(copied.name, run);
    let (_, copy) = export(&other, &copied.name).await;
    let mut text = serde_json::to_string(&copy["logs"]).unwrap();
    for item in &copied.items {
        text = text.replace(&item.run, &item.from);
    }
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), again["logs"]);
}

#[tokio::test]
async fn an_imported_run_can_be_explained_and_done_again() {
    let place = Place::new();
    let text = "name: w\ntasks:\n  a: { command: [sh, -c, 'echo a >> done'] }\n  \
                b: { needs: [a], command: [sh, -c, 'echo b >> done; test -e good'], retry: { max-attempts: 1 } }\n";
    let run = place.run(text).await.run;
    let (file, _) = export(&place, &run).await;
    let other = Place::new().file("good", "");
    other.service().import(&file, ImportOptions::default()).await.unwrap();
    assert_eq!(other.service().why("b").await.unwrap().items[0].because["kind"], "failed");
    assert!(other.service().compare(&run, &run).await.unwrap().same);
    let request = RetryRequest { run, ..RetryRequest::default() };
    let again = other.service().retry(&request).await.unwrap().wait().await.unwrap();
    assert_eq!(again.status, "succeeded");
    assert_eq!(crate::lines(&other.root(), "done"), 1, "it works here, and does `b` alone");
}

#[tokio::test]
async fn an_open_run_goes_on_elsewhere_and_hears_what_it_is_told() {
    let place = Place::new();
    let run = open(&place).await;
    let (file, _) = export(&place, &run).await;
    let other = Place::new();
    let view = other.service().import(&file, ImportOptions::default()).await.unwrap();
    assert!(["waiting", "interrupted"].contains(&view.items[0].status.as_str()), "{view:?}");
    assert!(other.service().run(&run).await.unwrap().driver.is_none());
    // Its inbox is another one: an answer that is sent here is new.
    other.service().reply(&format!("{run}.sign"), Answer::Approve, "ann").await.unwrap();
    let status = other.service().run(&run).await.unwrap().run.status;
    if status != "succeeded" {
        let done = other.service().resume(&run).await.unwrap().wait().await.unwrap();
        assert_eq!(done.status, "succeeded");
    }
    assert_eq!(crate::lines(&other.root(), "landed"), 1);
    assert_eq!(crate::lines(&place.root(), "landed"), 0);
}

#[tokio::test]
async fn a_page_of_a_run_refers_to_nothing_outside() {
    let place = Place::new();
    let run = place
        .run("name: w\ntasks:\n  a: { command: [echo, '<script>alert(1)</script>'] }\n")
        .await
        .run;
    let page = place.service().export(&run, ExportFormat::Html).await.unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains(&run));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(!page.contains("http:") && !page.contains("https:"));
}

#[tokio::test]
async fn a_workflow_file_becomes_one_of_the_projects() {
    let place = Place::new();
    let text = "name: own\ntasks:\n  a: { command: [echo, one] }\n";
    let file = place.root().join("from-elsewhere.yaml");
    std::fs::write(&file, text).unwrap();
    let import = async |replace: bool| {
        let options = ImportOptions { replace, ..ImportOptions::default() };
        place.service().import(&file, options).await
    };
    let view = import(false).await.unwrap();
    fits("import", &view);
    let own = place.root().join(".orchestrator/workflows/own.yaml");
    assert_eq!((view.kind, view.name.as_str(), view.replaced), ("workflow", "own", false));
    assert_eq!(view.file, Some(own.display().to_string()));
    assert_eq!(std::fs::read_to_string(&own).unwrap(), text);
    assert_eq!(import(false).await.unwrap_err().code(), "ORC-0633");
    std::fs::write(&file, text.replace("one", "two")).unwrap();
    assert_eq!(import(false).await.unwrap_err().code(), "ORC-0633");
    assert_eq!(std::fs::read_to_string(&own).unwrap(), text, "nothing is replaced unasked");
    assert!(import(true).await.unwrap().replaced);
    assert!(std::fs::read_to_string(&own).unwrap().contains("two"));
    for (bad, code) in [
        ("name: own\ntasks: 5\n", "ORC-0201"),
        ("name: audit\ntasks:\n  a: { command: [echo] }\n", "ORC-0633"),
        ("name: ../../own\ntasks:\n  a: { command: [echo] }\n", "ORC-0204"),
    ] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(import(true).await.unwrap_err().code(), code, "{bad}");
    }
    let none = place.service().import("nothing.yaml".as_ref(), ImportOptions::default()).await;
    assert_eq!(none.unwrap_err().code(), "ORC-0631");
}
