//! Turns that are not done again, and questions that are not asked again.

use super::*;

fn world_that_hangs(after: usize) -> World {
    let agent = Scripted { hangs_after: Some(after), ..Scripted::default() };
    World::with(Arc::default(), "one", agent, |builder| builder)
}

/// Another engine, which knows that the one before is dead, goes on with `run`.
async fn take_over(world: &World, run: &RunId) -> (World, RunHandle) {
    let held = world.store.lease(run).await.unwrap().unwrap();
    let other = World::over(world.store.clone(), "two");
    let handle = other.engine.resume(run, Some(held.epoch)).await.unwrap();
    (other, handle)
}

#[tokio::test]
async fn a_turn_that_was_recorded_is_not_performed_again() {
    let world = world_that_hangs(2);
    let handle = world.start(json!({ "one": ask("turns a b c", &[]) })).await;
    let run = handle.id().clone();
    while world.count(&run, "turn-recorded").await < 2 {
        tokio::task::yield_now().await;
    }
    let (other, handle) = take_over(&world, &run).await;
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!("A B C")));
    assert_eq!(*world.agent.turns.lock().unwrap(), ["a", "b"]);
    assert_eq!(*other.agent.turns.lock().unwrap(), ["c"]);
    assert_eq!(world.count(&run, "journal-cut").await, 0);
}

#[tokio::test]
async fn a_question_is_asked_once_whatever_happens_in_between() {
    let world = World::new();
    let handle = world.start(json!({ "one": ask("ask", &[]) })).await;
    let run = handle.id().clone();
    world.until(&run, |event| matches!(event, Event::PersonAsked { .. })).await;
    let (other, handle) = take_over(&world, &run).await;
    while other.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let reply = Reply::new(Verdict::Answered("blue".into()), "ann");
    handle.reply(TaskName::new("one").unwrap(), reply).await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!("blue")));
    assert_eq!(world.count(&run, "person-asked").await, 1);
}

#[tokio::test]
async fn an_attempt_that_gets_nowhere_is_stopped() {
    let world = World::new();
    let again = ["again"; 30].join(" ");
    let handle = world.start(json!({ "one": ask(&format!("turns {again}"), &[]) })).await;
    world.reached(&handle, RunStatus::Waiting).await;
    let failed = |event: &Event| {
        matches!(event, Event::AttemptFailed { failure, ask: Some(_), .. }
            if failure.class == ErrorClass::NoProgress)
    };
    assert!(world.log(handle.id()).await.iter().any(|recorded| failed(&recorded.event)));
    assert!(world.agent.turns.lock().unwrap().len() < 10);
}
