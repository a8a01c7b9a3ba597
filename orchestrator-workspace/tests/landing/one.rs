//! One piece of work.

use crate::room::{Host, Room, Stopped, direct, request, run, second, target, word, write};
use orchestrator_core::{
    error::ErrorClass,
    id::CommitId,
    port::Landings as _,
    workspace::{LandMode, LandPolicy, Landing, LandingState},
};
use orchestrator_workspace::landing::Shape;
use std::fs;

#[tokio::test]
async fn work_lands_on_a_result_branch_that_begins_at_its_base() {
    let room = Room::new().await;
    let (base, work) = (room.id("main"), room.adds("new.txt"));
    // The project goes on; the result branch begins where the run did.
    let later = room.work("main", "later", &[("later.txt", Some("x\n"))]);
    room.git(&["reset", "-q", "--hard", later.as_str()]);
    let before = room.git(&["status", "--porcelain"]);
    let mut request = request(&work, &base, "unused");
    request.policy = LandPolicy::default();
    let landing = room.lander().land(&room.order("add"), &request, &Host).await.unwrap();
    let Landing::Landed(landed) = landing else { panic!("{landing:?}") };
    assert_eq!(landed.target, "orchestrator/r_1/result");
    assert_eq!((&landed.before, &landed.commit), (&base, &room.id(&landed.target)));
    assert_eq!(room.base_of(&landed.commit), base);
    let said = room.git(&["log", "-1", "--format=%an|%B", &landed.target]);
    assert_eq!(
        said.trim(),
        "Agent|add new.txt\n\nOrchestrator-Run: r_1\nOrchestrator-Task: add\nOrchestrator-Attempt: 1"
    );
    let reflog = room.git(&["reflog", "show", "--format=%gs", &landed.target]);
    assert_eq!(reflog.lines().next(), Some("orchestrator: land r_1/add"));
    assert_eq!(room.checked(), [landed.commit], "what landed is what was checked");
    assert_eq!((room.id("main"), room.git(&["status", "--porcelain"])), (later, before));
}

#[tokio::test]
async fn the_same_work_lands_once() {
    let room = Room::new().await;
    let work = room.adds("new.txt");
    let request = request(&work, &room.base_of(&work), "result");
    let first = room.lander().land(&room.order("add"), &request, &Host).await.unwrap();
    let again = room.lander().land(&room.order("add"), &request, &Host).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(room.subjects("result"), ["add new.txt"]);
    assert_eq!(room.checked().len(), 1);
    // Another attempt that made the same changes nothing, and needs no checks.
    let order = second(room.order("add"));
    let Landing::Landed(landed) = room.lander().land(&order, &request, &Host).await.unwrap() else {
        panic!("it is there")
    };
    assert_eq!(landed.commit, landed.before);
    assert_eq!((room.subjects("result").len(), room.checked().len()), (1, 1));
}

#[tokio::test]
async fn a_conflict_is_told_until_the_branch_moves() {
    let room = Room::new().await;
    let (lander, base) = (room.lander(), room.id("main"));
    let one = room.work("main", "one", &[("list.txt", Some("one\nb\nc\nd\ne\nf\ng\nh\n"))]);
    let two = room.work("main", "two", &[("list.txt", Some("two\nb\nc\nd\ne\nf\ng\nh\n"))]);
    let land = async |task: &str, commit: &CommitId| {
        lander.land(&room.order(task), &request(commit, &base, "result"), &Host).await.unwrap()
    };
    assert!(matches!(land("one", &one).await, Landing::Landed(_)));
    let told = land("two", &two).await;
    let Landing::Conflict(conflict) = &told else { panic!("{told:?}") };
    assert_eq!((&*conflict.target, &conflict.tip), ("result", &room.id("result")));
    assert_eq!(conflict.files, ["list.txt"]);
    assert!(conflict.message.contains("CONFLICT"), "{}", conflict.message);
    assert_eq!(land("two", &two).await, told, "nothing has changed");
    room.git(&["branch", "-f", "result", "main"]);
    assert!(matches!(land("two", &two).await, Landing::Landed(_)), "it goes now");
}

#[tokio::test]
async fn a_red_result_is_told_with_its_evidence_and_does_not_land() {
    let room = Room::new().await;
    let bad = room.work("main", "bad", &[("calls/bad.sh", Some("nobody_knows_me\n"))]);
    let request = request(&bad, &room.base_of(&bad), "result");
    let red = room.lander().land(&room.order("bad"), &request, &Host).await.unwrap();
    let Landing::Red { target, tip, evidence } = &red else { panic!("{red:?}") };
    assert_eq!((&**target, tip), ("result", &room.id("main")));
    assert_eq!(&evidence.base, tip);
    assert!(evidence.checks[0].excerpt.contains("nobody_knows_me"), "{evidence:?}");
    assert_eq!(room.id("result"), room.id("main"));
    assert_eq!(room.lander().land(&room.order("bad"), &request, &Host).await.unwrap(), red);
    assert_eq!(room.checked().len(), 1, "nothing has changed, so nothing is run again");
}

#[tokio::test]
async fn a_branch_that_is_checked_out_is_not_changed_unasked() {
    let mut room = Room::new().await;
    let work = room.adds("new.txt");
    let request = direct(&work, &room.base_of(&work), "main");
    let main = room.id("main");
    let refused = room.lander().land(&room.order("add"), &request, &Host).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::NoProgress);
    assert!(refused.message.contains("checked out in"), "{refused}");
    room.settings.update_checkout = true;
    write(&room.project(), "lib.sh", "changed\n");
    let refused = room.lander().land(&room.order("add"), &request, &Host).await.unwrap_err();
    assert!(refused.message.contains("not committed"), "{refused}");
    assert_eq!(room.id("main"), main);
    assert_eq!(fs::read_to_string(room.project().join("lib.sh")).unwrap(), "changed\n");
    room.git(&["checkout", "-q", "--", "lib.sh"]);
    write(&room.project(), "untracked", "mine\n");
    let landed = room.lander().land(&room.order("add"), &request, &Host).await;
    assert_eq!(word(&landed), "landed", "{landed:?}");
    assert_ne!(room.id("main"), main);
    assert_eq!(room.git(&["status", "--porcelain"]), "?? untracked\n");
    assert!(room.project().join("new.txt").exists(), "the checkout went along");
}

#[tokio::test]
async fn what_would_overwrite_a_file_of_the_users_does_not_land() {
    let mut room = Room::new().await;
    room.settings.update_checkout = true;
    let work = room.adds("new.txt");
    write(&room.project(), "new.txt", "mine\n");
    let (main, request) = (room.id("main"), direct(&work, &room.base_of(&work), "main"));
    let refused = room.lander().land(&room.order("add"), &request, &Host).await.unwrap_err();
    assert!(refused.message.contains("new.txt"), "{refused}");
    assert_eq!(room.id("main"), main);
    assert_eq!(fs::read_to_string(room.project().join("new.txt")).unwrap(), "mine\n");
}

#[tokio::test]
async fn what_may_not_land_is_refused_with_words() {
    let room = Room::new().await;
    room.git(&["branch", "other"]);
    let work = room.adds("new.txt");
    let base = room.base_of(&work);
    let refused = async |request| {
        let ended = room.lander().land(&room.order("add"), &request, &Host).await;
        let failure = ended.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidRequest, "{failure}");
        failure.message
    };
    let mut unverified = direct(&work, &base, "other");
    unverified.verified = false;
    assert!(refused(unverified.clone()).await.contains("no check has proved"));
    assert!(refused(direct(&work, &base, "nowhere")).await.contains("no such branch"));
    let mut pull = request(&work, &base, "other");
    pull.policy.mode = LandMode::PullRequest;
    assert!(refused(pull.clone()).await.contains("no forge is set up"));
    pull.policy.mode = LandMode::No;
    assert!(refused(pull).await.contains("lands nowhere"));
    assert_eq!(room.id("other"), room.id("main"));
    unverified.policy.unverified = true;
    let landed = room.lander().land(&room.order("add"), &unverified, &Host).await;
    assert_eq!(word(&landed), "landed");
}

#[tokio::test]
async fn a_merge_keeps_the_attempts_own_commit() {
    let mut room = Room::new().await;
    room.settings.shape = Shape::Merge;
    let work = room.adds("new.txt");
    let request = request(&work, &room.base_of(&work), "result");
    assert!(room.lander().land(&room.order("add"), &request, &Host).await.is_ok());
    assert_eq!((room.id("result^1"), room.id("result^2")), (room.id("main"), work));
    let undone = room.lander().rollback(&target("result"), &run("r_1")).await.unwrap();
    assert!(undone.is_restored);
}

#[tokio::test]
async fn who_is_stopped_takes_the_work_out_of_the_queue() {
    let room = Room::new().await;
    let work = room.adds("new.txt");
    let request = request(&work, &room.base_of(&work), "result");
    let stopped = Stopped::default();
    stopped.0.notify_one();
    let ended = room.lander().land(&room.order("add"), &request, &stopped).await.unwrap_err();
    assert_eq!(ended.class, ErrorClass::Cancelled);
    let open = room.landings.waiting(&target("result")).await.unwrap();
    assert_eq!(open, []);
    // Wanted again, it lands.
    let landed = room.lander().land(&room.order("add"), &request, &Host).await;
    assert_eq!(word(&landed), "landed");
    let filter = orchestrator_core::port::LandingFilter::default();
    let page = orchestrator_core::port::Page::default();
    let settled = room.landings.settled(&filter, &page).await.unwrap().items;
    assert!(matches!(&settled[..], [row] if matches!(row.state, LandingState::Landed { .. })));
}

#[tokio::test]
async fn a_branch_that_somebody_else_moves_is_begun_anew_and_not_for_ever() {
    let mut room = Room::new().await;
    room.settings.moves = 3;
    room.git(&["branch", "other"]);
    let work = room.adds("new.txt");
    let base = room.base_of(&work);
    let (project, home) = (room.project(), room.project().join("../home"));
    let push = move |times: usize| {
        let (project, home) = (project.clone(), home.clone());
        Box::new(move |number: usize| {
            if number <= times {
                let script = "set -e; t=$(git rev-parse other^{tree}); \
                    c=$(git -c user.name=U -c user.email=u@localhost commit-tree -p other \
                    -m users $t); git update-ref refs/heads/other $c";
                let mut shell = std::process::Command::new("sh");
                let shell = shell.args(["-c", script]).current_dir(&project).env("HOME", &home);
                assert!(shell.status().unwrap().success());
            }
        }) as Box<dyn Fn(usize) + Send + Sync>
    };
    *room.prove.meanwhile.lock().unwrap() = Some(push(2));
    let request = direct(&work, &base, "other");
    let landed = room.lander().land(&room.order("add"), &request, &Host).await;
    assert_eq!(word(&landed), "landed");
    assert_eq!(room.subjects("other"), ["users", "users", "add new.txt"]);
    assert_eq!(room.checked().len(), 3);
    *room.prove.meanwhile.lock().unwrap() = Some(push(usize::MAX));
    let more = room.adds("more.txt");
    let request = direct(&more, &base, "other");
    let failure = room.lander().land(&room.order("more"), &request, &Host).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Transient);
    assert!(failure.message.contains("moved by somebody else"), "{failure}");
}
