//! Permissions that are asked, and messages to agents at work, whatever happens in between.

use super::*;
use crate::{
    agent::{AgentSpec, Role},
    event::AskKind,
    id::{AgentName, ProviderName, QuestionNumber},
};

/// A world whose agent has these permissions.
fn world(store: Arc<MemoryStore>, owner: &str, hangs_after: Option<usize>) -> World {
    let agent = Scripted { hangs_after, steerable: true, ..Scripted::default() };
    let agent = Arc::new(agent);
    let (name, provider) = (AgentName::new("a").unwrap(), ProviderName::new("own").unwrap());
    let mut spec = AgentSpec::new(name, Role::Dev, provider);
    let permissions = Permissions::of(&["run(git *)"], &[], &["run(rm *)"]).unwrap();
    spec.permissions = Some(Arc::new(permissions));
    let engine = Engine::builder()
        .store(store.clone())
        .clock(Arc::new(Virtual(tokio::time::Instant::now())))
        .owner(OwnerId::new(owner).unwrap())
        .agent(spec, Arc::new(agent.clone()))
        .build();
    World { agent, store, engine }
}

/// Another engine, which knows that the one before is dead, goes on with `run`.
async fn take_over(world_before: &World, run: &RunId) -> (World, RunHandle) {
    let held = world_before.store.lease(run).await.unwrap().unwrap();
    let other = world(world_before.store.clone(), "two", None);
    let handle = other.engine.resume(run, Some(held.epoch)).await.unwrap();
    (other, handle)
}

fn one() -> TaskName {
    TaskName::new("one").unwrap()
}

/// Waits until `count` events of that kind are there.
async fn until(world: &World, run: &RunId, kind: &str, count: usize) {
    while world.count(run, kind).await < count {
        tokio::task::yield_now().await;
    }
}

async fn says(handle: &RunHandle, number: u32, verdict: Verdict) {
    let reply = Reply::new(verdict, "ann").to(Some(QuestionNumber(number)));
    handle.reply(one(), reply).await.unwrap();
}

/// The decisions in the journal, as `decision by: command`.
async fn decisions(world: &World, run: &RunId) -> Vec<String> {
    let log = world.log(run).await;
    let turns = log.iter().filter_map(|recorded| match &recorded.event {
        Event::TurnRecorded { turn, .. } if turn.kind == "permission" => turn.output.inline(),
        _ => None,
    });
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    turns
        .map(|turn| {
            let [decision, by] = [&turn["decision"], &turn["by"]].map(text);
            format!("{decision} {by}: {}", text(&turn["action"]["command"]))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn rules_decide_first_and_then_a_person() {
    let world = world(Arc::default(), "one", None);
    let handle =
        world.start(json!({ "one": ask("permit git log;rm x;make;touch y;sh", &[]) })).await;
    let run = handle.id().clone();
    until(&world, &run, "person-asked", 1).await;
    says(&handle, 1, Verdict::Approved).await;
    until(&world, &run, "person-asked", 2).await;
    says(&handle, 2, Verdict::Answered("write z instead".into())).await;
    until(&world, &run, "person-asked", 3).await;
    // Nobody answers the third: its time passes.
    let report = handle.wait().await.unwrap();
    let expected = json!([
        "allowed",
        "denied: the rule `run(rm *)` denies it",
        "allowed",
        "denied: ann says instead: write z instead",
        "denied: nobody answered in time",
    ]);
    assert_eq!(report.output("one"), Some(&expected));
    let expected =
        ["denied -: rm x", "allowed ann: make", "denied ann: touch y", "denied the clock: sh"];
    assert_eq!(decisions(&world, &run).await, expected);
    let mut lines = Vec::new();
    for recorded in world.log(&run).await {
        if let Event::AttemptLogged { lines: said, .. } = recorded.event {
            lines.extend(said.into_iter().map(|line| line.text));
        }
    }
    assert_eq!(lines[0], "denied: run `rm x` with Bash: the rule `run(rm *)` denies it");
    assert_eq!(lines[1], "allowed by ann: run `make` with Bash");
}

#[tokio::test]
async fn several_permissions_are_asked_at_once_beside_other_turns() {
    let world = world(Arc::default(), "one", None);
    let tasks = json!({ "one": ask("permit-at-once make a;make b;make c", &[]) });
    let handle = world.start(tasks).await;
    let run = handle.id().clone();
    until(&world, &run, "person-asked", 3).await;
    let asks: Vec<(AskKind, String)> = world
        .log(&run)
        .await
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::PersonAsked { ask, .. } => {
                Some((ask.kind, ask.action.as_ref()?.command.clone()?))
            }
            _ => None,
        })
        .collect();
    assert_eq!(asks[2], (AskKind::Permission, "make c".to_owned()));
    for (answered, (number, verdict)) in (1..).zip([
        (3, Verdict::Rejected("not c".into())),
        (1, Verdict::Approved),
        (2, Verdict::Answered("yes".into())),
    ]) {
        says(&handle, number, verdict).await;
        until(&world, &run, "turn-recorded", answered).await;
    }
    let report = handle.wait().await.unwrap();
    assert_eq!(
        report.output("one"),
        Some(&json!(["allowed", "allowed", "denied: ann rejected it: not c"]))
    );
}

#[tokio::test]
async fn a_permission_that_was_answered_is_not_asked_again_after_a_crash() {
    let before = world(Arc::default(), "one", Some(2));
    let handle = before.start(json!({ "one": ask("permit make;rm x;make", &[]) })).await;
    let run = handle.id().clone();
    until(&before, &run, "person-asked", 1).await;
    says(&handle, 1, Verdict::Approved).await;
    until(&before, &run, "turn-recorded", 2).await;
    let (other, handle) = take_over(&before, &run).await;
    // The same once more is another question.
    until(&other, &run, "person-asked", 2).await;
    says(&handle, 2, Verdict::Rejected(String::new())).await;
    let report = handle.wait().await.unwrap();
    let expected =
        json!(["allowed", "denied: the rule `run(rm *)` denies it", "denied: ann rejected it"]);
    assert_eq!(report.output("one"), Some(&expected));
    let expected = ["allowed ann: make", "denied -: rm x", "denied ann: make"];
    assert_eq!(decisions(&other, &run).await, expected);
}

#[tokio::test]
async fn a_permission_that_is_open_stays_open_through_a_crash() {
    let before = world(Arc::default(), "one", None);
    let handle = before.start(json!({ "one": ask("permit make", &[]) })).await;
    let run = handle.id().clone();
    until(&before, &run, "person-asked", 1).await;
    let (other, handle) = take_over(&before, &run).await;
    while other.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    says(&handle, 1, Verdict::Approved).await;
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!(["allowed"])));
    assert_eq!(other.count(&run, "person-asked").await, 1);
}

#[tokio::test]
async fn what_is_not_waited_for_any_more_is_withdrawn() {
    let world = world(Arc::default(), "one", None);
    let handle = world.start(json!({ "one": ask("change its mind make", &[]) })).await;
    let run = handle.id().clone();
    until(&world, &run, "person-asked", 2).await;
    until(&world, &run, "person-answered", 1).await;
    // Only one thing is asked now, so that which one need not be said.
    handle.reply(one(), Reply::new(Verdict::Answered("blue".into()), "ann")).await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!("blue")));
}

#[tokio::test]
async fn recorded_turns_are_given_at_once_to_who_goes_on_in_a_session() {
    let before = world(Arc::default(), "one", Some(2));
    let handle = before.start(json!({ "one": ask("go on a b c", &[]) })).await;
    let run = handle.id().clone();
    until(&before, &run, "turn-recorded", 2).await;
    let (other, handle) = take_over(&before, &run).await;
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!("[[1,\"A\"],[2,\"B\"]] A B C")));
    // They count as given back: what is done then is new, and nothing of the journal is lost.
    assert_eq!(*other.agent.turns.lock().unwrap(), ["a", "b", "c"]);
    assert_eq!(other.count(&run, "journal-cut").await, 0);
    let numbers: Vec<u32> = other
        .log(&run)
        .await
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::TurnRecorded { turn, .. } => Some(turn.number.0),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn messages_are_given_in_order_and_once() {
    let world = world(Arc::default(), "one", None);
    let handle = world.start(json!({ "one": ask("listen 3", &[]) })).await;
    let run = handle.id().clone();
    until(&world, &run, "attempt-started", 1).await;
    handle.send(one(), "first").await.unwrap();
    handle.interrupt(one(), Some("second".into())).await.unwrap();
    handle.send(one(), "third").await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!(["first", "stop: Some(\"second\")", "third"])));
    assert_eq!(world.count(&run, "message-sent").await, 3);
    assert_eq!(world.count(&run, "message-delivered").await, 3);
}

#[tokio::test]
async fn messages_that_were_not_delivered_are_given_again_after_a_crash() {
    let before = world(Arc::default(), "one", Some(2));
    let handle = before.start(json!({ "one": ask("listen 2", &[]) })).await;
    let run = handle.id().clone();
    until(&before, &run, "attempt-started", 1).await;
    for text in ["first", "second", "third"] {
        handle.send(one(), text).await.unwrap();
    }
    // The first is delivered; with the second it hangs before it says so.
    until(&before, &run, "message-sent", 3).await;
    while before.agent.turns.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(before.count(&run, "message-delivered").await, 1);
    let (other, handle) = take_over(&before, &run).await;
    let report = handle.wait().await.unwrap();
    assert_eq!(report.output("one"), Some(&json!(["second", "third"])));
    assert_eq!(other.count(&run, "message-delivered").await, 3);
}
