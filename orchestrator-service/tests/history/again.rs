//! Retry and fork.

use crate::{lines, place::Place, statuses};
use orchestrator_service::{ForkRequest, OrchestratorService, RetryRequest, views::ResultView};

/// Each task says that it was done; `b` fails while there is no file `good`.
const CHAIN: &str = "name: chain\ninputs:\n  word: { type: string, default: one }\ntasks:\n  \
    a: { command: [sh, -c, 'echo a >> done; echo $0', '{{ inputs.word }}'] }\n  \
    b: { command: [sh, -c, 'echo b >> done; test -e good'], needs: [a], retry: { max-attempts: 1 } }\n  \
    c: { command: [sh, -c, 'echo c >> done; echo $0', '{{ tasks.a.output }} {{ inputs.word }}'], needs: [b] }\n";

async fn retry(place: &Place, request: RetryRequest) -> ResultView {
    place.service().retry(&request).await.unwrap().wait().await.unwrap()
}

fn touch(place: &Place, name: &str) {
    std::fs::write(place.root().join(name), "").unwrap();
}

fn of(run: &str) -> RetryRequest {
    RetryRequest { run: run.to_owned(), ..RetryRequest::default() }
}

async fn outputs(service: &OrchestratorService, run: &str, task: &str) -> String {
    let task = service.task(task, Some(run)).await.unwrap();
    task.output.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_retry_does_what_failed_and_leaves_the_old_run_alone() {
    let place = Place::new();
    let failed = place.run(CHAIN).await;
    assert_eq!(statuses(&failed.items), "a:succeeded b:failed c:skipped");
    touch(&place, "good");
    let again = retry(&place, of(&failed.run)).await;
    assert_eq!(statuses(&again.items), "a:succeeded b:succeeded c:succeeded");
    assert_ne!(again.run, failed.run);
    assert_eq!(lines(&place.root(), "done"), 2 + 2, "`a` was not done again");
    let service = place.service();
    assert_eq!(outputs(&service, &again.run, "c").await, "one one");
    let old = service.run(&failed.run).await.unwrap();
    assert_eq!(statuses(&old.items), "a:succeeded b:failed c:skipped");
    // Also what a retry carried over can be carried on.
    let third = RetryRequest { from: Some("c".into()), ..of(&again.run) };
    assert_eq!(retry(&place, third).await.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 5);
    let all = RetryRequest { from: Some("a".into()), ..of(&again.run) };
    assert_eq!(retry(&place, all).await.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 8);
}

#[tokio::test]
async fn what_cannot_be_done_again_is_refused_with_the_way_out() {
    let place = Place::new();
    let code = async |request: RetryRequest| {
        let error = place.service().retry(&request).await.unwrap_err();
        (error.code(), error.to_string())
    };
    touch(&place, "good");
    let done = place.run(CHAIN).await;
    let (found, words) = code(of(&done.run)).await;
    assert_eq!(found, "ORC-0634");
    assert!(words.contains("--from TASK") && words.contains("--latest"), "{words}");
    let (found, _) = code(RetryRequest { from: Some("bb".into()), ..of(&done.run) }).await;
    assert_eq!(found, "ORC-0604");
    assert_eq!(code(of("r_none")).await.0, "ORC-0601");
    let open = place
        .start("name: open\ntasks:\n  hold: { approval: { message: 'Go?' } }\n")
        .await
        .unwrap();
    let (found, words) = code(of(open.run().as_str())).await;
    assert_eq!(found, "ORC-0634");
    assert!(words.contains("orchestrator resume"), "{words}");
    open.control().interrupt();
    open.wait().await.unwrap();
}

#[tokio::test]
async fn items_that_succeeded_are_kept_and_one_item_can_be_named() {
    let place = Place::new();
    let list = "name: list\ntasks:\n  \
        each: { for-each: '[1, 2, 3]', command: [sh, -c, 'echo $0 >> done; test $0 != 2 || test -e good; echo r$0', '{{ item }}'], retry: { max-attempts: 1 } }\n  \
        join: { needs: [each], command: [sh, -c, 'echo $0', '{{ tasks.each.output }}'] }\n";
    let list = list.replace("test -e good; echo", "test -e good && echo");
    let failed = place.run(&list).await;
    assert_eq!(failed.status, "failed");
    touch(&place, "good");
    let again = retry(&place, of(&failed.run)).await;
    assert_eq!(again.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 4);
    let joined = outputs(&place.service(), &again.run, "join").await;
    assert!(["r1", "r2", "r3"].iter().all(|part| joined.contains(part)), "{joined}");
    let one = RetryRequest { from: Some("each:0".into()), ..of(&again.run) };
    assert_eq!(retry(&place, one).await.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 5);
}

#[tokio::test]
async fn the_latest_definition_does_what_changed_again() {
    let place = Place::new();
    let failed = place.run(CHAIN).await;
    let mended = CHAIN.replace("echo b >> done; test -e good", "echo b >> done");
    std::fs::write(place.root().join("workflow.yaml"), &mended).unwrap();
    let latest = || RetryRequest { latest: true, ..of(&failed.run) };
    let again = retry(&place, latest()).await;
    assert_eq!(again.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 4, "`a` is what it was");
    let changed = mended.replace("echo a >> done", "echo A >> done");
    std::fs::write(place.root().join("workflow.yaml"), changed).unwrap();
    assert_eq!(retry(&place, latest()).await.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 7);
    std::fs::write(place.root().join("workflow.yaml"), "name: chain\ntasks: 5\n").unwrap();
    let error = place.service().retry(&latest()).await.unwrap_err();
    assert!(error.code().starts_with("ORC-02"), "{error}");
}

#[tokio::test]
async fn children_take_over_from_the_children_before_them() {
    let place = Place::new().file(
        "sub.yaml",
        "name: sub\ntasks:\n  one: { command: [sh, -c, 'echo one >> done'] }\n  \
         two: { command: [sh, -c, 'echo two >> done; test -e good'], needs: [one], retry: { max-attempts: 1 } }\n",
    );
    let parent = "name: parent\ntasks:\n  first: { command: [sh, -c, 'echo first >> done'] }\n  \
                  sub: { workflow: sub.yaml, needs: [first] }\n";
    let failed = place.run(parent).await;
    assert_eq!(statuses(&failed.items), "first:succeeded sub:failed");
    touch(&place, "good");
    let again = retry(&place, of(&failed.run)).await;
    assert_eq!(again.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 3 + 1, "only `two` of the child was done again");
    // Asked for by name, all of it is.
    let from = RetryRequest { from: Some("sub".into()), ..of(&failed.run) };
    assert_eq!(retry(&place, from).await.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 6);
}

#[tokio::test]
async fn a_fork_goes_another_way_from_a_task_or_an_event() {
    let place = Place::new();
    touch(&place, "good");
    let done = place.run(CHAIN).await;
    let fork = async |at: &str, inputs: &[(&str, &str)]| {
        let inputs = inputs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let request = ForkRequest { run: done.run.clone(), at: at.to_owned(), inputs };
        place.service().fork(&request).await
    };
    let result = fork("c", &[("word", "two")]).await.unwrap().wait().await.unwrap();
    assert_eq!(outputs(&place.service(), &result.run, "c").await, "one two");
    assert_eq!(lines(&place.root(), "done"), 4);
    // From the very beginning on, everything is done with the new input.
    let result = fork("1", &[("word", "two")]).await.unwrap().wait().await.unwrap();
    assert_eq!(outputs(&place.service(), &result.run, "c").await, "two two");
    assert_eq!(lines(&place.root(), "done"), 7);
    for (at, inputs, code) in [
        ("0", vec![], "ORC-0801"),
        ("999999", vec![], "ORC-0801"),
        ("nobody", vec![], "ORC-0604"),
        ("c", vec![("wrod", "x")], "ORC-0301"),
    ] {
        assert_eq!(fork(at, &inputs).await.unwrap_err().code(), code, "{at}");
    }
    assert_eq!(lines(&place.root(), "done"), 7, "nothing of a refused fork has begun");
}

#[tokio::test]
async fn an_open_run_can_be_forked_and_what_has_not_begun_cannot_be_a_point() {
    let place = Place::new();
    let open = "name: open\ntasks:\n  a: { command: [sh, -c, 'echo a >> done'] }\n  \
                hold: { needs: [a], approval: { message: 'Go?' } }\n  \
                b: { needs: [hold], command: ['true'] }\n";
    let mut execution = place.start(open).await.unwrap();
    let run = execution.run().to_string();
    while place.service().task("hold", Some(&run)).await.unwrap().task.status != "waiting" {
        execution.next().await;
    }
    let request = |at: &str| ForkRequest { run: run.clone(), at: at.into(), inputs: Vec::new() };
    let error = place.service().fork(&request("b")).await.unwrap_err();
    assert_eq!(error.code(), "ORC-0634");
    let other = place.service().fork(&request("hold")).await.unwrap();
    let id = other.run().to_string();
    assert_eq!(place.service().task("a", Some(&id)).await.unwrap().task.status, "succeeded");
    assert_eq!(lines(&place.root(), "done"), 1);
    for execution in [execution, other] {
        execution.control().interrupt();
        execution.wait().await.unwrap();
    }
}
