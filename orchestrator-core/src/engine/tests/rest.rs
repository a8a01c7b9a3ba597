//! Runs that only wait.

use super::*;

/// How many runs wait.
const RUNS: usize = 10_000;

#[tokio::test(start_paused = true)]
async fn many_runs_wait_without_a_driver() {
    let world = World::new();
    let document = json!({ "name": "w", "tasks": {
        "ok": { "approval": { "message": "go on?" } },
        "next": ask("x", &["ok"]),
    } });
    let workflow = Arc::new(Workflow::parse(&document).unwrap());
    let mut handles = Vec::new();
    for _ in 0..RUNS {
        handles.push(world.engine.start(StartRun::new(workflow.clone())).await.unwrap());
    }
    world.engine.idle().await;
    assert_eq!(world.engine.runs(), (0, RUNS));

    // Any of them goes on when somebody answers, and the leases of the others are kept meanwhile.
    let reply = Reply::new(Verdict::Approved, "ann");
    let last = handles.pop().unwrap();
    tokio::time::advance(LEASE_TTL * 3).await;
    last.reply(TaskName::new("ok").unwrap(), reply).await.unwrap();
    assert_eq!(last.wait().await.unwrap().output("next"), Some(&json!("X")));
    world.engine.idle().await;
    assert_eq!(world.engine.runs(), (0, RUNS - 1));
    let held = world.store.lease(handles[0].id()).await.unwrap().unwrap();
    assert!(held.expires > world.engine.shared.clock.now());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_a_time_is_taken_up_then() {
    let world = World::new();
    let delayed = json!({ "agent": "a", "prompt": "x", "delay": "3h", "needs": ["one"] });
    let handle = world.start(json!({ "one": ask("x", &[]), "two": delayed })).await;
    world.engine.idle().await;
    assert_eq!(world.engine.runs(), (0, 1));
    let report = handle.wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Succeeded);
    assert!(world.engine.shared.clock.now() >= Timestamp(3 * 3_600_000));
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_paused_run_is_parked_too() {
    let world = World::new();
    let handle = world.start(json!({ "one": ask("wait", &[]), "two": ask("x", &["one"]) })).await;
    handle.pause(false).await.unwrap();
    world.reached(&handle, RunStatus::Paused).await;
    world.agent.release.0.add_permits(1);
    world.engine.idle().await;
    assert_eq!(world.engine.runs(), (0, 1));
    handle.resume().await.unwrap();
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
}
