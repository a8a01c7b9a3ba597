//! The pages of the book about history: what they show is what happens.

use crate::place::{Place, workflow};
use orchestrator_service::{ForkRequest, RetryRequest};
use std::{fs, path::PathBuf};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[tokio::test]
async fn the_release_of_the_pages_goes_as_they_say() {
    let file = repository().join("examples/history/release.yaml");
    let text = fs::read_to_string(&file).unwrap();
    for page in ["why.md", "again.md"] {
        let page = fs::read_to_string(repository().join("docs").join(page)).unwrap();
        assert!(page.contains(&format!("```yaml\n{text}```\n")));
    }
    let place = Place::new();
    let failed = place.service().execute(workflow(&file)).await.unwrap().wait().await.unwrap();
    assert_eq!(failed.status, "failed");
    let why = place.service().why("publish").await.unwrap();
    let told = &why.items[0];
    assert_eq!(told.text, "`test`, which it needs, did not succeed");
    assert!(told.root().1.contains("there is no file ready; `retry.max-attempts` allows 1"));
    let (run, test) = (&failed.run, format!("{}.test", failed.run));
    let actions =
        [format!("orchestrator task-details {test}"), format!("orchestrator retry {run}")];
    assert_eq!(why.actions, actions);

    fs::write(place.root().join("ready"), "").unwrap();
    let request = RetryRequest { run: run.clone(), ..RetryRequest::default() };
    let again = place.service().retry(&request).await.unwrap().wait().await.unwrap();
    assert_eq!(again.status, "succeeded");
    let request = ForkRequest {
        run: again.run.clone(),
        at: "publish".into(),
        inputs: vec![("notes".into(), "second cut".into())],
    };
    let other = place.service().fork(&request).await.unwrap().wait().await.unwrap();
    let view = place.service().compare(&again.run, &other.run).await.unwrap();
    assert_eq!(view.inputs[0].right.as_deref(), Some("second cut"));
    let publish = view.items.iter().find(|item| item.name == "publish").unwrap();
    assert_eq!(publish.output.diff, ["-build 7: first cut", "+build 7: second cut"]);
}

/// Every kind of reason has its row.
#[test]
fn the_page_about_why_names_every_kind() {
    let page = fs::read_to_string(repository().join("docs/why.md")).unwrap();
    let schema = fs::read_to_string(repository().join("docs/schemas/why.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let item = &schema["properties"]["items"]["items"]["properties"]["because"];
    let kinds = item["properties"]["kind"]["enum"].as_array().unwrap();
    assert!(kinds.len() > 20);
    for kind in kinds {
        assert!(page.contains(&format!("`{}`", kind.as_str().unwrap())), "{kind}");
    }
}
