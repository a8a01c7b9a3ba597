//! Pausing, stopping one task, people's answers.

use super::*;

fn approval(needs: &[&str]) -> Value {
    json!({ "approval": { "message": "go on?" }, "needs": needs })
}

fn said(verdict: Verdict) -> Reply {
    Reply::new(verdict, "ann")
}

fn task(name: &str) -> TaskName {
    TaskName::new(name).unwrap()
}

#[tokio::test]
async fn a_pause_lets_what_runs_finish_and_starts_nothing() {
    let world = World::new();
    let handle = world.start(json!({ "one": ask("wait", &[]), "two": ask("x", &["one"]) })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::AttemptStarted { .. })).await;
    handle.pause(false).await.unwrap();
    world.reached(&handle, RunStatus::Paused).await;
    world.agent.release.0.add_permits(1);
    world.until(&run, |event| matches!(event, Event::AttemptSucceeded { .. })).await;
    assert_eq!(world.count(&run, "attempt-started").await, 1);
    handle.resume().await.unwrap();
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_pause_that_cannot_wait_stops_attempts_which_go_on_later() {
    let world = World::new();
    let handle = world.start(json!({ "one": ask("stop once", &[]) })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::AttemptStarted { .. })).await;
    handle.pause(true).await.unwrap();
    world.until(&run, |event| matches!(event, Event::AttemptFailed { .. })).await;
    let other = world.engine.resume(&run, None).await.unwrap();
    assert_eq!(other.wait().await.unwrap().status, RunStatus::Succeeded);
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!("STOP ONCE")));
    assert_eq!(world.count(&run, "attempt-started").await, 2);
}

#[tokio::test]
async fn one_task_is_stopped_and_the_others_go_on() {
    let world = World::new();
    let handle =
        world.start(json!({ "one": ask("stop when told", &[]), "two": ask("wait", &[]) })).await;
    let run = handle.id().clone();
    while world.count(&run, "attempt-started").await < 2 {
        tokio::task::yield_now().await;
    }
    handle.kill(task("one"), "not needed").await.unwrap();
    world.until(&run, |event| matches!(event, Event::AttemptFailed { .. })).await;
    world.agent.release.0.add_permits(1);
    let report = handle.wait().await.unwrap();
    let statuses: Vec<TaskStatus> = report.tasks.iter().map(|task| task.status).collect();
    assert_eq!(statuses, [TaskStatus::Cancelled, TaskStatus::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn people_decide_and_time_runs_out() {
    for (verdict, expected) in [
        (Verdict::Approved, TaskStatus::Succeeded),
        (Verdict::Rejected("no".into()), TaskStatus::Failed),
    ] {
        let world = World::new();
        let handle = world.start(json!({ "ok": approval(&[]) })).await;
        world.reached(&handle, RunStatus::Waiting).await;
        handle.reply(task("ok"), said(verdict)).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().tasks[0].status, expected);
    }
    let world = World::new();
    let expiring = json!({ "approval": { "message": "go on?", "expires-in": "2h" } });
    let report = world.start(json!({ "ok": expiring })).await.wait().await.unwrap();
    assert_eq!(report.tasks[0].error.as_ref().unwrap().class, ErrorClass::TimedOut);
}

#[tokio::test]
async fn lists_and_conditions_are_found_out_in_blobs() {
    let world = World::new();
    let report = world
        .start(json!({
            "list": ask("list", &[]),
            "few": {
                "agent": "a", "prompt": "{{ item }}", "needs": ["list"],
                "for-each": "tasks.list.output.filter(i, i < 3)",
            },
            "many": { "agent": "a", "prompt": "x", "needs": ["list"], "when": "size(tasks.list.output) > 9000" },
            "all": ask("{{ tasks.few.output }}", &["few"]),
        }))
        .await
        .wait()
        .await
        .unwrap();
    assert!(matches!(report.tasks[0].output, Some(Content::Blob { .. })));
    assert_eq!(report.tasks[2].status, TaskStatus::Skipped);
    assert_eq!(report.output("all"), Some(&json!(r#"["0","1","2"]"#)));
}

#[tokio::test]
async fn a_task_that_manages_adds_tasks() {
    let world = World::new();
    let managed = |prompt| {
        json!({ "name": "w", "mode": "hierarchical", "tasks": {
            "lead": { "agent": "a", "prompt": prompt, "retry": { "max-attempts": 1 } },
        } })
    };
    let report = world.start_with(managed("manage"), json!({})).await.wait().await.unwrap();
    assert_eq!(report.output("most"), Some(&json!("<ADDED>")));
    let handle = world.start_with(managed("mismanage"), json!({})).await;
    let error = handle.wait().await.unwrap().tasks[0].error.clone().unwrap();
    assert!(error.class == ErrorClass::BadOutput && error.message.contains("nobody"), "{error}");
}
