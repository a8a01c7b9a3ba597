//! What runs share: limits, groups, results that are used again.

use super::*;
use crate::schedule::LimitPolicy;

fn exclusive(count: usize) -> Value {
    let tasks = (0..count).map(|n| (format!("t{n}"), ask("exclusive", &[])));
    Value::Object(tasks.collect())
}

#[tokio::test]
async fn limits_hold_over_all_runs() {
    for (limits, most) in [
        (LimitPolicy { global: Some(2), ..LimitPolicy::default() }, 2),
        (LimitPolicy { per_project: Some(1), ..LimitPolicy::default() }, 1),
    ] {
        let world = World::with(Arc::default(), "one", Scripted::default(), |b| b.limits(limits));
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(world.start(exclusive(4)).await);
        }
        for handle in handles {
            assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
        }
        assert_eq!(*world.agent.exclusive.lock().unwrap(), (0, most));
    }
}

#[tokio::test(start_paused = true)]
async fn one_task_of_a_group_runs_at_a_time_whichever_engine_has_it() {
    let one = World::new();
    let agent = one.agent.clone();
    let two = World::with(one.store.clone(), "two", Scripted::default(), |builder| {
        builder.own_agent("a", agent).unwrap()
    });
    let tasks = |name: &str| {
        let task = json!({ "agent": "a", "prompt": "exclusive", "concurrency-group": "deploy" });
        json!({ format!("{name}1"): task, format!("{name}2"): task })
    };
    let mut handles = Vec::new();
    for world in [&one, &two] {
        for _ in 0..2 {
            handles.push(world.start(tasks("t")).await);
        }
    }
    for handle in handles {
        assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    }
    assert_eq!(*one.agent.exclusive.lock().unwrap(), (0, 1));
    // One of the two tasks of each run was tried twice.
    assert_eq!(one.asked().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn what_holds_a_task_up_is_published() {
    let limits = LimitPolicy { global: Some(1), ..LimitPolicy::default() };
    let world = World::with(Arc::default(), "one", Scripted::default(), |b| b.limits(limits));
    let first = world.start(json!({ "one": ask("wait", &[]) })).await;
    let second = world.start(json!({ "two": ask("x", &[]) })).await;
    let held_up = || async {
        let rows = world.store.tasks(&TaskFilter::default(), &Page::default()).await.unwrap().items;
        rows.into_iter().find_map(|row| row.held_up)
    };
    while held_up().await.is_none() {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    world.agent.release.0.add_permits(1);
    for handle in [first, second] {
        assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    }
    assert_eq!(held_up().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_used_again_until_it_is_too_old() {
    let world = World::new();
    let once = |prompt: &str| json!({ "one": { "agent": "a", "prompt": prompt, "cache": { "ttl": "1h" } } });
    for (prompt, asked) in [("x", 1), ("x", 1), ("y", 2), ("large", 3), ("large", 3)] {
        let report = world.start(once(prompt)).await.wait().await.unwrap();
        assert_eq!(report.status, RunStatus::Succeeded);
        assert_eq!(world.asked().len(), asked, "{prompt}");
    }
    let run = world.start(once("x")).await;
    let hit = |event: &Event| matches!(event, Event::AttemptSucceeded { cached: Some(_), .. });
    world.until(run.id(), hit).await;
    run.wait().await.unwrap();
    tokio::time::advance(Duration::from_secs(3_601)).await;
    world.start(once("x")).await.wait().await.unwrap();
    assert_eq!(world.asked().len(), 4);
}

#[tokio::test]
async fn a_refused_account_is_left_alone_until_a_person_has_seen_to_it() {
    let world = World::new();
    let first = world.start(json!({ "one": ask("log in", &[]) })).await;
    world.reached(&first, RunStatus::Waiting).await;
    let second = world.start(json!({ "two": ask("x", &[]) })).await;
    let reply = Reply::new(Verdict::Approved, "ann");
    first.reply(TaskName::new("one").unwrap(), reply).await.unwrap();
    for handle in [first, second] {
        assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    }
    assert_eq!(world.asked()[0], "one: log in");
    assert_eq!(world.asked().len(), 3);
}

#[tokio::test]
async fn every_item_of_a_list_must_fit_the_schema() {
    let world = World::new();
    let report = world
        .start(json!({ "each": {
            "agent": "a", "prompt": "{{ item }}", "for-each": ["x", "list", "y"],
            "output": { "type": "string" }, "retry": { "max-attempts": 1 },
        } }))
        .await
        .wait()
        .await
        .unwrap();
    let statuses: Vec<TaskStatus> = report.tasks[1..].iter().map(|task| task.status).collect();
    let (good, bad) = (TaskStatus::Succeeded, TaskStatus::Failed);
    assert_eq!(statuses, [good, bad, good]);
    assert_eq!(report.tasks[2].error.as_ref().unwrap().class, ErrorClass::BadOutput);
}
