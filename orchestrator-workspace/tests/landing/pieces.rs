//! Pieces of work that were made one on the other, and land together.

use crate::room::{Host, Room, Stopped, request, target};
use orchestrator_core::{
    error::ErrorClass,
    port::{Blobs as _, LandRequest, Landings as _, WorkspaceOrder},
    workspace::{Landing, LandingState},
};
use orchestrator_workspace::landing::LandError;

/// Work on the work before it; the last of the texts of each is that of a call that the check runs.
fn line(room: &Room, calls: &[(&str, &str)]) -> Vec<(WorkspaceOrder, LandRequest)> {
    let mut base = room.id("main");
    let mut work = Vec::new();
    for (name, text) in calls {
        // Each changes the same line: none goes without the one before.
        let list = format!("{name}\nb\nc\nd\ne\nf\ng\nh\n");
        let file = format!("calls/{name}.sh");
        let files = [("list.txt", Some(&*list)), (&*file, Some(*text))];
        let commit = room.work(base.as_ref(), &format!("add {name}"), &files);
        work.push((room.order(name), request(&commit, &base, "result")));
        base = commit;
    }
    work
}

fn words(landings: &[Landing]) -> Vec<&'static str> {
    let word = |landing: &Landing| match landing {
        Landing::Landed(_) => "landed",
        Landing::Requested(_) => "requested",
        Landing::Conflict(_) => "conflict",
        Landing::Red { .. } => "red",
    };
    landings.iter().map(word).collect()
}

async fn states(room: &Room, work: &[(WorkspaceOrder, LandRequest)]) -> Vec<&'static str> {
    let lander = room.lander();
    let mut states = Vec::new();
    for (order, request) in work {
        let id = lander.work_id("result", order, request).unwrap();
        let row = room.landings.landing(&id).await.unwrap();
        states.push(row.map_or("absent", |row| row.state.as_str()));
    }
    states
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_checked_as_batches_and_land_in_their_order() {
    let room = Room::new().await;
    let mut work = line(&room, &["a", "b", "c", "d", "e"].map(|name| (name, "true\n")));
    // That a later one is more urgent does not bring it before those that it was made on.
    work[4].1.priority = orchestrator_core::task::Priority::Critical;
    let mut landings = Vec::new();
    room.lander().bring_all(&work, &Host, &mut landings).await.unwrap();
    assert_eq!(words(&landings), ["landed"; 5]);
    assert_eq!(room.subjects("result"), ["add a", "add b", "add c", "add d", "add e"]);
    assert_eq!(room.checked().len(), 2, "four, and one");
    // Asked again, all is told and nothing is done.
    let mut again = Vec::new();
    room.lander().bring_all(&work, &Host, &mut again).await.unwrap();
    assert_eq!(again, landings);
    assert_eq!(room.checked().len(), 2);
    // What the checks printed is kept beside the evidence.
    let Landing::Landed(landed) = &landings[0] else { panic!("it landed") };
    let evidence = room.lander().evidence(landed.evidence.as_ref().unwrap()).await.unwrap();
    let output = evidence.checks[0].output.clone().unwrap();
    assert_eq!(landed.outputs, std::slice::from_ref(&output));
    let printed = room.blobs.get(&output).await.unwrap();
    assert!(String::from_utf8(printed).unwrap().contains("hello one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_lands_without_those_before_it() {
    for guilty in 0..4 {
        let room = Room::new().await;
        let calls: Vec<_> = ["a", "b", "c", "d"]
            .into_iter()
            .enumerate()
            .map(|(place, name)| (name, if place == guilty { "no_such\n" } else { "true\n" }))
            .collect();
        let work = line(&room, &calls);
        let mut landings = Vec::new();
        room.lander().bring_all(&work, &Host, &mut landings).await.unwrap();
        let mut expected = vec!["landed"; guilty];
        expected.push("red");
        assert_eq!(words(&landings), expected, "guilty: {guilty}");
        assert_eq!(room.subjects("result").len(), guilty, "what was green stays");
        expected.resize(4, "withdrawn");
        assert_eq!(states(&room, &work).await, expected, "guilty: {guilty}");
        assert_eq!(room.landings.waiting(&target("result")).await.unwrap(), []);
    }
}

/// Whoever does not wait leaves them in the queue, where others land them, still in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_any_more_is_landed_by_whoever_comes_next() {
    for is_good in [true, false] {
        let room = Room::new().await;
        let second = if is_good { "true\n" } else { "no_such\n" };
        let work = line(&room, &[("a", "true\n"), ("b", second), ("c", "true\n")]);
        let lock = room.hold("result");
        let mut landings = Vec::new();
        {
            let lander = room.lander();
            let bringing = lander.bring_all(&work, &Host, &mut landings);
            tokio::select! {
                _ = bringing => panic!("somebody else has the queue"),
                _ = room.until_open("result", 3) => {}
            }
        }
        drop(lock);
        // Whoever is done leaves the rest to the next.
        for name in ["first", "second"] {
            let own = room.adds(name);
            let own = request(&own, &room.base_of(&own), "result");
            assert!(room.lander().land(&room.order(name), &own, &Host).await.is_ok());
        }
        let expected = match is_good {
            true => ["landed", "landed", "landed"],
            false => ["landed", "red", "withdrawn"],
        };
        assert_eq!(states(&room, &work).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_it_off_takes_all_of_them_out() {
    let room = Room::new().await;
    let work = line(&room, &[("a", "true\n"), ("b", "true\n")]);
    let _lock = room.hold("result");
    let stopped = Stopped::default();
    stopped.0.notify_one();
    let mut landings = Vec::new();
    let error = room.lander().bring_all(&work, &stopped, &mut landings).await.unwrap_err();
    assert!(matches!(&error, LandError::Checks(failure) if failure.class == ErrorClass::Cancelled));
    assert_eq!(states(&room, &work).await, ["withdrawn", "withdrawn"]);
    assert_eq!(landings, []);
}

/// What git says of a conflict holds the words of files, and is recorded without what is hidden.
#[tokio::test]
async fn what_is_hidden_is_not_recorded_of_a_conflict() {
    let room = Room::new().await;
    room.git(&["branch", "result"]);
    let mine = room.work("main", "mine", &[("secret-word.txt", Some("a\n"))]);
    let theirs = room.work("main", "theirs", &[("secret-word.txt", Some("b\n"))]);
    room.git(&["update-ref", "refs/heads/result", theirs.as_ref()]);
    let lander = room.lander().with_hidden(|text| text.replace("secret-word", "[redacted]"));
    let request = request(&mine, &room.base_of(&mine), "result");
    let order = room.order("mine");
    let landing = lander.land(&order, &request, &Host).await.unwrap();
    let Landing::Conflict(conflict) = &landing else { panic!("{landing:?}") };
    assert!(conflict.message.contains("[redacted]"), "{conflict:?}");
    let id = lander.work_id("result", &order, &request).unwrap();
    let row = room.landings.landing(&id).await.unwrap().unwrap();
    let LandingState::Conflict { files, message, .. } = &row.state else { panic!("{row:?}") };
    assert!(!message.contains("secret-word") && *files == ["[redacted].txt"], "{row:?}");
}
