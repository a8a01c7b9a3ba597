//! Runs that start runs.

use super::*;

fn child(workflow: &str, with: Value) -> Value {
    json!({ "workflow": workflow, "with": with })
}

fn echo() -> Value {
    json!({
        "name": "echo",
        "inputs": { "text": { "type": "string", "required": true } },
        "tasks": { "say": ask("{{ inputs.text }}", &[]) },
    })
}

#[tokio::test]
async fn a_child_takes_inputs_and_leaves_an_output() {
    let world = World::new();
    let mut call = child("echo", json!({ "text": "<{{ tasks.one.output }}>" }));
    call["needs"] = json!(["one"]);
    let document = json!({ "name": "w", "tasks": {
        "one": ask("hello", &[]),
        "call": call,
        "last": ask("{{ tasks.call.output }}!", &["call"]),
    } });
    let handle = world.start_with(document, json!({ "echo": echo() })).await;
    let run = handle.id().clone();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("last"), Some(&json!("<HELLO>!")));
    assert_eq!(world.statuses().await, [RunStatus::Succeeded; 2]);
    let page = Page::default();
    let rows = world.store.runs(&RunFilter::default(), &page).await.unwrap().items;
    assert_eq!(rows.iter().filter(|row| row.parent.as_ref() == Some(&run)).count(), 1);
}

#[tokio::test]
async fn a_child_that_cannot_be_started_fails_its_task() {
    let world = World::new();
    let nested =
        json!({ "name": "echo", "tasks": { "say": { "agent": "nobody", "prompt": "x" } } });
    for (library, expected) in
        [(json!({ "echo": echo() }), "`text` is required"), (json!({ "echo": nested }), "nobody")]
    {
        let document = json!({ "name": "w", "tasks": { "call": child("echo", json!({})) } });
        let report = world.start_with(document, library).await.wait().await.unwrap();
        let error = report.tasks[0].error.clone().unwrap();
        assert!(error.message.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_workflow_that_calls_itself_comes_to_an_end() {
    let world = World::new();
    let own = json!({ "name": "own", "tasks": { "call": child("own", json!({})) } });
    let handle = world.start_with(own.clone(), json!({ "own": own })).await;
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Failed);
    assert_eq!(world.statuses().await, [RunStatus::Failed; 32]);
}

#[tokio::test]
async fn cancelling_reaches_children_and_grandchildren() {
    let world = World::new();
    let document = json!({ "name": "w", "tasks": { "call": child("mid", json!({})) } });
    let library = json!({
        "mid": { "name": "mid", "tasks": { "call": child("low", json!({})) } },
        "low": { "name": "low", "tasks": { "work": ask("stop when told", &[]) } },
    });
    let handle = world.start_with(document, library).await;
    while world.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.cancel("enough").await.unwrap();
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Cancelled);
    assert_eq!(world.statuses().await, [RunStatus::Cancelled; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_parent_goes_on_with_its_child_after_a_crash() {
    let world = World::new();
    let sub = json!({ "name": "sub", "tasks": {
        "first": ask("x", &[]),
        "ok": { "approval": { "message": "go on?" }, "needs": ["first"] },
    } });
    let document = json!({ "name": "w", "tasks": { "call": child("sub", json!({})) } });
    let handle = world.start_with(document, json!({ "sub": sub })).await;
    let run = handle.id().clone();
    // Both only wait and are parked, which needs neither driver nor memory.
    world.engine.idle().await;
    assert_eq!(world.engine.runs(), (0, 2));
    world.engine.interrupt();
    assert!(handle.wait().await.unwrap().interrupted);

    let later = World::over(world.store.clone(), "two");
    let handles = later.engine.recover().await.unwrap();
    assert_eq!(handles.len(), 2);
    let (mut parents, mut children): (Vec<_>, Vec<_>) =
        handles.into_iter().partition(|handle| *handle.id() == run);
    let (parent, child) = (parents.remove(0), children.remove(0));
    let reply = Reply::new(Verdict::Approved, "ann");
    child.reply(TaskName::new("ok").unwrap(), reply).await.unwrap();
    assert_eq!(parent.wait().await.unwrap().status, RunStatus::Succeeded);
    assert!(later.asked().is_empty());
    assert_eq!(world.statuses().await, [RunStatus::Succeeded; 2]);
}

#[tokio::test]
async fn what_follows_is_started_once_the_end_is_known() {
    let world = World::new();
    let mut document = json!({ "name": "w", "tasks": { "one": ask("hello", &[]) } });
    document["then"] = json!([
        { "workflow": "echo", "with": { "text": "{{ tasks.one.output }} {{ run.status }}" } },
        { "workflow": "echo", "on": "failure", "with": { "text": "never" } },
    ]);
    let handle = world.start_with(document, json!({ "echo": echo() })).await;
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    world.engine.idle().await;
    assert_eq!(world.statuses().await, [RunStatus::Succeeded; 2]);
    assert_eq!(world.asked(), ["one: hello", "say: HELLO succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_another_engine_took_over_still_ends_its_parent() {
    let world = World::new();
    let sub = json!({ "name": "sub", "tasks": { "ok": { "approval": { "message": "go on?" } } } });
    let document = json!({ "name": "w", "tasks": { "call": child("sub", json!({})) } });
    let parent = world.start_with(document, json!({ "sub": sub })).await;
    world.engine.idle().await;
    let page = Page::default();
    let rows = world.store.runs(&RunFilter::default(), &page).await.unwrap().items;
    let sub = rows.iter().find(|row| row.parent.is_some()).unwrap().id.clone();
    let held = world.store.lease(&sub).await.unwrap().unwrap();

    let other = World::over(world.store.clone(), "two");
    let taken = other.engine.resume(&sub, Some(held.epoch)).await.unwrap();
    let reply = Reply::new(Verdict::Approved, "ann");
    taken.reply(TaskName::new("ok").unwrap(), reply).await.unwrap();
    assert_eq!(taken.wait().await.unwrap().status, RunStatus::Succeeded);
    assert_eq!(parent.wait().await.unwrap().status, RunStatus::Succeeded);
    assert_eq!(world.count(&sub, "run-ended").await, 1);
    assert_eq!(world.statuses().await, [RunStatus::Succeeded; 2]);
}

#[tokio::test]
async fn the_runs_of_the_dead_are_taken_over_at_once() {
    let world = World::new();
    let document = json!({ "name": "w", "tasks": { "call": child("sub", json!({})) } });
    let sub = json!({ "name": "sub", "tasks": { "work": ask("stop once", &[]) } });
    let handle = world.start_with(document, json!({ "sub": sub })).await;
    while world.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let patient = World::over(world.store.clone(), "two");
    assert!(patient.engine.recover().await.unwrap().is_empty());
    let heir = World::with(world.store.clone(), "three", Scripted::default(), |builder| {
        builder.dead_when(|lease| lease.owner.as_str() == "one")
    });
    let taken = heir.engine.resume(handle.id(), None).await.unwrap();
    assert_eq!(taken.wait().await.unwrap().status, RunStatus::Succeeded);
    assert_eq!(world.statuses().await, [RunStatus::Succeeded; 2]);
}
