//! Several pieces of work at once.

use crate::room::{Host, Room, request, target, word};
use orchestrator_core::{
    id::{CommitId, ProjectId, TenantId},
    port::Landings as _,
    workspace::{CheckCommand, Landing},
};
use std::num::NonZeroUsize;

fn words(ended: &[Result<Landing, orchestrator_core::error::Failure>]) -> Vec<&'static str> {
    ended.iter().map(word).collect()
}

fn call(room: &Room, name: &str, text: &str) -> CommitId {
    room.work("main", name, &[(&format!("calls/{name}.sh"), Some(text))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_checked_once_and_lands_as_a_line() {
    let room = Room::new().await;
    let names = ["a", "b", "c", "d", "e"];
    let work: Vec<_> = names.iter().map(|name| (*name, room.adds(name))).collect();
    let ended = room.land_together("result", &work).await;
    assert_eq!(words(&ended), ["landed"; 5]);
    let subjects: Vec<String> = names.iter().map(|name| format!("add {name}")).collect();
    assert_eq!(room.subjects("result"), subjects);
    assert_eq!(room.checked(), [room.id("result~1"), room.id("result")], "four, and one");
    for (place, one) in ended.iter().enumerate() {
        let Ok(Landing::Landed(landed)) = one else { panic!("{one:?}") };
        assert_eq!(landed.commit, room.id(&format!("result~{}", 4 - place)));
        assert_eq!(landed.before, room.id(&format!("result~{}", 5 - place)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_red_in_a_batch_is_found_and_the_others_land() {
    for guilty in 0..4 {
        let room = Room::new().await;
        let names = ["a", "b", "c", "d"];
        let text = |place| if place == guilty { "no_such_function\n" } else { "true\n" };
        let work = names.iter().enumerate();
        let work: Vec<_> =
            work.map(|(place, name)| (*name, call(&room, name, text(place)))).collect();
        let ended = room.land_together("result", &work).await;
        let expected: Vec<_> =
            (0..4).map(|place| if place == guilty { "red" } else { "landed" }).collect();
        assert_eq!(words(&ended), expected, "guilty: {guilty}");
        assert_eq!(room.subjects("result").len(), 3);
        // Each state of the branch was checked.
        let checked = room.checked();
        assert!(checked.contains(&room.id("result")), "guilty: {guilty}");
    }
}

/// One renames a function; the other calls it by its old name. Each is right alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_are_red_only_together_the_later_is_told() {
    let room = Room::new().await;
    let rename = room.work(
        "main",
        "rename",
        &[
            ("lib.sh", Some("welcome() { echo \"hello $1\"; }\n")),
            ("calls/first.sh", Some(". ./lib.sh\nwelcome one\n")),
        ],
    );
    let caller = call(&room, "caller", ". ./lib.sh\ngreet two\n");
    let work =
        [("x", room.adds("x")), ("rename", rename), ("y", room.adds("y")), ("caller", caller)];
    let ended = room.land_together("result", &work).await;
    assert_eq!(words(&ended), ["landed", "landed", "landed", "red"]);
    let Ok(Landing::Red { evidence, tip, .. }) = &ended[3] else { panic!("red") };
    assert_eq!(tip, &room.id("result"));
    assert!(evidence.checks[0].excerpt.contains("greet"), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_with_what_may_not_land_is_not_told() {
    let room = Room::new().await;
    let list = |first: &str| format!("{first}\nb\nc\nd\ne\nf\ng\nh\n");
    // The first is red; the second conflicts with it and with nothing else.
    let red = room.work(
        "main",
        "red",
        &[("list.txt", Some(&list("red"))), ("calls/bad.sh", Some("no_such_function\n"))],
    );
    let good = room.work("main", "good", &[("list.txt", Some(&list("good")))]);
    let ended = room.land_together("result", &[("red", red), ("good", good)]).await;
    assert_eq!(words(&ended), ["red", "landed"]);
    assert_eq!(room.subjects("result"), ["good"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_in_a_batch_is_told_and_the_others_land() {
    let room = Room::new().await;
    let list = |first: &str| format!("{first}\nb\nc\nd\ne\nf\ng\nh\n");
    let one = room.work("main", "one", &[("list.txt", Some(&list("one")))]);
    let two = room.work("main", "two", &[("list.txt", Some(&list("two")))]);
    let end = room.work("main", "end", &[("list.txt", Some("a\nb\nc\nd\ne\nf\ng\nend\n"))]);
    let work = [("one", one), ("two", two), ("end", end), ("other", room.adds("other"))];
    let ended = room.land_together("result", &work).await;
    assert_eq!(words(&ended), ["landed", "conflict", "landed", "landed"]);
    assert_eq!(room.git(&["show", "result:list.txt"]), "one\nb\nc\nd\ne\nf\ng\nend\n");
}

/// What a task has proved stays proved, also when the next one does not ask for it.
#[tokio::test]
async fn what_has_landed_is_checked_with_what_comes_after_it() {
    let room = Room::new().await;
    let (lander, base) = (room.lander(), room.id("main"));
    let first = room.adds("keep.txt");
    let mut request_of_first = request(&first, &base, "result");
    request_of_first.checks.run[0].command = CheckCommand::Shell("test -e keep.txt".into());
    assert_eq!(word(&lander.land(&room.order("a"), &request_of_first, &Host).await), "landed");
    let second = room.work("result", "drop", &[("keep.txt", None)]);
    let mut request_of_second = request(&second, &room.id("result"), "result");
    request_of_second.checks.run.clear();
    assert_eq!(word(&lander.land(&room.order("b"), &request_of_second, &Host).await), "red");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_may_be_one() {
    let mut room = Room::new().await;
    room.settings.batch = NonZeroUsize::MIN;
    let work = [("a", room.adds("a")), ("b", room.adds("b")), ("c", room.adds("c"))];
    assert_eq!(words(&room.land_together("result", &work).await), ["landed"; 3]);
    assert_eq!(room.checked(), ["result~2", "result~1", "result"].map(|name| room.id(name)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_shows_what_waits_and_what_overlaps() {
    let room = Room::new().await;
    let one = room.work("main", "one", &[("list.txt", Some("x\n")), ("one", Some("1\n"))]);
    let two = room.work("main", "two", &[("list.txt", Some("y\n")), ("two", Some("2\n"))]);
    let work = [("one", one), ("two", two), ("three", room.adds("three"))];
    // Nobody may work on it yet.
    let mut waiting = Vec::new();
    let lander = std::sync::Arc::new(room.lander());
    let lock = room.hold("result");
    for (number, (task, commit)) in work.iter().enumerate() {
        let request = request(commit, &room.base_of(commit), "result");
        let (lander, order) = (lander.clone(), room.order(task));
        waiting.push(tokio::spawn(async move { lander.land(&order, &request, &Host).await }));
        room.until_open("result", number + 1).await;
    }
    let queues = lander.queues(&TenantId::default(), &ProjectId::default()).await.unwrap();
    assert_eq!((queues.len(), &queues[0].target), (1, &target("result")));
    let told: Vec<_> = queues[0]
        .open
        .iter()
        .map(|entry| {
            let files = entry.overlaps.iter().flat_map(|both| both.files.clone());
            (entry.row.task.to_string(), files.collect::<Vec<_>>())
        })
        .collect();
    let both = vec!["list.txt".to_owned()];
    assert_eq!(
        told,
        [("one".into(), both.clone()), ("two".into(), both), ("three".into(), vec![])]
    );
    drop(lock);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(room.landings.waiting(&target("result")).await, Ok(vec![]));
}
