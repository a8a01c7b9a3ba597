//! Why tasks stand where they stand, with what only the store knows.

use crate::{fits, place::Place};
use orchestrator_service::views::WhyView;

/// The kinds from the first task to the root, with its run where that is another.
fn chain(why: &WhyView) -> Vec<String> {
    let item = &why.items[0];
    let kind = |because: &serde_json::Value| because["kind"].as_str().unwrap().to_owned();
    let mut found = vec![format!("{}:{}", item.name, kind(&item.because))];
    found.extend(item.chain.iter().map(|link| format!("{}:{}", link.task, kind(&link.because))));
    found
}

async fn why(place: &Place, of: &str) -> WhyView {
    let why = place.service().why(of).await.unwrap();
    fits("why", &why);
    why
}

#[tokio::test]
async fn a_failure_is_followed_into_the_child_that_it_came_from() {
    let place = Place::new().file(
        "sub.yaml",
        "name: sub\ntasks:\n  one: { command: [sh, -c, 'echo broke >&2; exit 3'], retry: { max-attempts: 1 } }\n",
    );
    let result = place
        .run("name: top\ntasks:\n  sub: { workflow: sub.yaml }\n  after: { needs: [sub], command: ['true'] }\n")
        .await;
    let told = why(&place, "after").await;
    assert_eq!(chain(&told), ["after:skipped", "sub:failed", "one:failed"]);
    let root = told.items[0].chain.last().unwrap();
    assert_ne!(root.run, result.run);
    assert!(
        root.text.contains("tool_failed") && root.text.contains("max-attempts"),
        "{}",
        root.text
    );
    assert!(told.actions.contains(&format!("orchestrator retry {}", result.run)), "{told:?}");
    assert_eq!((told.driver, told.status.as_str()), (None, "failed"));
    // Of a run all that did not succeed is told, what failed first.
    let told = why(&place, &result.run).await;
    let names: Vec<&str> = told.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["sub", "after"]);
    let told = why(&place, "latest").await;
    assert_eq!(told.run, result.run, "a child is not the latest run");
}

#[tokio::test]
async fn an_open_run_names_who_drives_it_and_who_is_waited_for() {
    let place = Place::new();
    let text = "name: w\ntasks:\n  sign: { approval: { message: 'Land it?', expires-in: 1h } }\n  \
                land: { needs: [sign], command: ['true'] }\n";
    let mut execution = place.start(text).await.unwrap();
    let run = execution.run().to_string();
    while place.service().task("sign", None).await.unwrap().task.status != "waiting" {
        execution.next().await;
    }
    let told = why(&place, "land").await;
    assert_eq!(chain(&told), ["land:needs", "sign:person"]);
    let person = &told.items[0].chain[0].because;
    assert_eq!((&person["ask"], &person["message"]), (&"approval".into(), &"Land it?".into()));
    assert_eq!(told.actions[0], format!("orchestrator approve {run}.sign"));
    assert!(told.driver.is_some() && told.lease_expires.is_some());
    execution.control().interrupt();
    execution.wait().await.unwrap();
    let told = why(&place, &format!("{run}.sign")).await;
    assert!(told.driver.is_none());
    assert!(told.actions.contains(&format!("orchestrator resume {run}")), "{told:?}");
}

#[tokio::test]
async fn an_attempt_says_what_it_said_last_and_a_run_that_nobody_drives_says_so() {
    let place = Place::new();
    let text = "name: w\ntasks:\n  \
        hold: { command: [sh, -c, 'echo halfway >&2; echo x > held; until test -e go; do sleep 0.05; done'] }\n  \
        after: { needs: [hold], command: ['true'] }\n";
    let mut execution = place.start(text).await.unwrap();
    let run = execution.run().to_string();
    let said = async || why(&place, "hold").await.items[0].said.clone();
    let mut found = said().await;
    while found.is_none() {
        execution.next().await;
        found = said().await;
    }
    assert_eq!(found.unwrap().text, "halfway");
    let told = why(&place, "after").await;
    assert_eq!(chain(&told), ["after:needs", "hold:attempt"]);
    assert!(told.actions[0].starts_with("orchestrator logs"), "{told:?}");
    execution.control().interrupt();
    execution.wait().await.unwrap();
    let told = why(&place, "after").await;
    assert_eq!(told.items[0].chain.last().unwrap().because["kind"], "undriven");
    assert_eq!(told.status, "interrupted");
    assert_eq!(told.actions[0], format!("orchestrator resume {run}"));
}

#[tokio::test]
async fn who_is_unknown_is_refused() {
    let place = Place::new();
    assert_eq!(place.service().why("latest").await.unwrap_err().code(), "ORC-0603");
    let result = place.run("name: w\ntasks:\n  build: { command: ['true'] }\n").await;
    for (of, code) in [
        ("biuld".to_owned(), "ORC-0604"),
        (format!("{}.biuld", result.run), "ORC-0604"),
        ("r_none".to_owned(), "ORC-0601"),
        ("r_none.build".to_owned(), "ORC-0601"),
    ] {
        assert_eq!(place.service().why(&of).await.unwrap_err().code(), code, "{of}");
    }
    let error = place.service().why("biuld").await.unwrap_err();
    assert!(error.help().unwrap().contains("`build`"), "{error:?}");
    assert_eq!(chain(&why(&place, "build").await), ["build:succeeded"]);
    assert!(why(&place, &result.run).await.items.is_empty());
}
