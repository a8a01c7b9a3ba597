//! Two runs side by side.

use crate::{fits, place::Place};
use orchestrator_service::views::Likeness;

const LEFT: &str = "name: w\nversion: 1.0.0\ninputs:\n  n: { type: integer, default: 1 }\ntasks:\n  \
    same: { command: [echo, same] }\n  \
    text: { command: [sh, -c, 'printf \"1\\n2\\n3\\n$0\\n\"', '{{ inputs.n }}'] }\n  \
    gone: { command: ['true'], needs: [same] }\n";

#[tokio::test]
async fn what_differs_is_told_by_part() {
    let place = Place::new();
    let left = place.run(LEFT).await;
    let service = place.service();
    let same = service.compare(&left.run, "latest").await.unwrap();
    fits("compare", &same);
    assert!(same.same, "{same:?}");

    let right = LEFT
        .replace("1.0.0", "2.0.0")
        .replace(
            "gone: { command: ['true']",
            "new: { command: ['false'], retry: { max-attempts: 1 }",
        )
        .replace("[echo, same]", "[echo, same], priority: high");
    let mut request = place.request(&right);
    request.inputs = vec![("n".into(), "2".into())];
    let right = place.service().execute(request).await.unwrap().wait().await.unwrap();
    let view = place.service().compare(&left.run, &right.run).await.unwrap();
    fits("compare", &view);
    assert!(!view.same);
    assert_eq!((view.left.status.as_str(), view.right.status.as_str()), ("succeeded", "failed"));
    let definition = &view.definition;
    assert_eq!(definition.keys[0].key, "version");
    assert_eq!(
        (&definition.added[..], &definition.removed[..]),
        (&["new".into()][..], &["gone".into()][..])
    );
    assert_eq!(definition.changed.len(), 1);
    assert_eq!(definition.changed[0].task, "same");
    assert_eq!(definition.changed[0].keys[0].key, "priority");
    assert_eq!(view.inputs.len(), 1);
    assert_eq!(view.inputs[0].left.as_deref(), Some("1"));
    let of = |name: &str| view.items.iter().find(|item| item.name == name).unwrap();
    assert_eq!(of("same").output.verdict, Likeness::Equal);
    assert!(of("same").is_same());
    assert_eq!(of("text").output.verdict, Likeness::Different);
    assert_eq!(of("text").output.diff, ["…", " 2", " 3", "-1", "+2"]);
    assert!(of("gone").right.is_none() && of("new").left.is_none());
    assert_eq!(of("new").right.as_ref().unwrap().status, "failed");
    let error = place.service().compare(&left.run, "r_none").await.unwrap_err();
    assert_eq!(error.code(), "ORC-0601");
}

#[tokio::test]
async fn large_outputs_are_compared_by_their_hash() {
    let place = Place::new();
    let large = "name: w\ntasks:\n  a: { command: [sh, -c, 'yes $0 | head -n 40000', 'one'] }\n";
    let left = place.run(large).await;
    let again = place.run(large).await;
    let service = place.service();
    assert!(service.compare(&left.run, &again.run).await.unwrap().same);
    let other = place.run(&large.replace("'one'", "'two'")).await;
    let view = place.service().compare(&left.run, &other.run).await.unwrap();
    let output = &view.items[0].output;
    assert_eq!(output.verdict, Likeness::Different);
    assert!(output.diff.len() <= 41 && output.left.as_ref().unwrap().len() < 1_000, "{output:?}");
}
