//! What a run landed is undone.

use crate::room::{Host, Room, request, run, target, word};
use orchestrator_core::{
    id::{CommitId, ProjectId, TenantId},
    port::Landings as _,
    workspace::CheckCommand,
};
use orchestrator_workspace::landing::LandError;

async fn land(room: &Room, run_name: &str, task: &str, commit: &CommitId) {
    let mut order = room.order(task);
    order.run = run(run_name);
    let request = request(commit, &room.base_of(commit), "result");
    assert_eq!(word(&room.lander().land(&order, &request, &Host).await), "landed", "{task}");
}

#[tokio::test]
async fn a_rollback_gives_the_files_back_as_they_were() {
    let room = Room::new().await;
    let tree = room.git(&["rev-parse", "main^{tree}"]);
    land(&room, "r_1", "a", &room.adds("a.txt")).await;
    let edit = room.work("result", "edit", &[("a.txt", Some("other\n")), ("list.txt", None)]);
    land(&room, "r_1", "b", &edit).await;
    let lander = room.lander();
    let (tenant, project) = (TenantId::default(), ProjectId::default());
    let targets = lander.targets_of(&tenant, &project, &run("r_1")).await.unwrap();
    assert_eq!(targets, [target("result")]);
    let undone = lander.rollback(&target("result"), &run("r_1")).await.unwrap();
    assert!(undone.is_restored);
    assert_eq!(room.git(&["rev-parse", "result^{tree}"]), tree);
    assert_eq!(
        room.subjects("result"),
        ["add a.txt", "edit", "Revert \"edit\"", "Revert \"add a.txt\""]
    );
    let said = room.git(&["log", "-1", "--format=%B", "result"]);
    assert!(
        said.contains("\n\nOrchestrator-Reverts-Run: r_1\nOrchestrator-Reverts-Task: a"),
        "{said}"
    );
    // Once is enough.
    let tip = room.id("result");
    let again = lander.rollback(&target("result"), &run("r_1")).await.unwrap();
    assert_eq!((again.reverts, room.id("result")), (vec![], tip));
    assert_eq!(lander.targets_of(&tenant, &project, &run("r_1")).await.unwrap(), []);
    let rows = room.landings.landed(&target("result"), &run("r_1")).await.unwrap();
    assert_eq!(rows, []);
}

#[tokio::test]
async fn what_others_landed_stays() {
    let room = Room::new().await;
    land(&room, "r_1", "a", &room.adds("a.txt")).await;
    land(&room, "r_2", "b", &room.adds("b.txt")).await;
    land(&room, "r_1", "c", &room.adds("c.txt")).await;
    let checks = room.checked().len();
    let undone = room.lander().rollback(&target("result"), &run("r_1")).await.unwrap();
    assert_eq!((undone.reverts.len(), undone.is_restored), (2, false));
    let files = room.git(&["ls-tree", "--name-only", "result"]);
    assert!(files.contains("b.txt") && !files.contains("a.txt") && !files.contains("c.txt"));
    assert!(undone.evidence.is_some());
    assert_eq!(room.checked()[checks..], [room.id("result")], "what is left was checked");
}

#[tokio::test]
async fn later_commits_that_change_the_same_are_named_and_nothing_is_changed() {
    let room = Room::new().await;
    let a = room.work("main", "a", &[("list.txt", Some("A\nb\nc\nd\ne\nf\ng\nh\n"))]);
    land(&room, "r_1", "a", &a).await;
    land(&room, "r_1", "x", &room.adds("x.txt")).await;
    let far = room.work("result", "far away", &[("list.txt", Some("A\nb\nc\nd\ne\nf\ng\nH\n"))]);
    room.git(&["branch", "-f", "result", far.as_str()]);
    let same =
        room.work("result", "the same line", &[("list.txt", Some("B\nb\nc\nd\ne\nf\ng\nH\n"))]);
    room.git(&["branch", "-f", "result", same.as_str()]);
    let error = room.lander().rollback(&target("result"), &run("r_1")).await.unwrap_err();
    let LandError::Entangled { commit, files, later, .. } = &error else { panic!("{error}") };
    assert_eq!((commit, &files[..]), (&room.id("result~3"), &["list.txt".to_owned()][..]));
    assert_eq!(later, &[(same.clone(), "the same line".to_owned())]);
    assert!(error.to_string().contains("the same line"), "{error}");
    assert_eq!(room.id("result"), same);
    // Without it all can be undone.
    room.git(&["branch", "-f", "result", far.as_str()]);
    let undone = room.lander().rollback(&target("result"), &run("r_1")).await.unwrap();
    assert_eq!(undone.reverts.len(), 2);
    assert_eq!(room.git(&["show", "result:list.txt"]), "a\nb\nc\nd\ne\nf\ng\nH\n");
}

#[tokio::test]
async fn what_others_need_is_not_undone() {
    let room = Room::new().await;
    land(&room, "r_1", "a", &room.adds("a.txt")).await;
    let b = room.work("result", "b", &[("b.txt", Some("b\n"))]);
    let mut order = room.order("b");
    order.run = run("r_2");
    let mut needs = request(&b, &room.base_of(&b), "result");
    needs.checks.run[0].command = CheckCommand::Shell("test -e a.txt".into());
    assert_eq!(word(&room.lander().land(&order, &needs, &Host).await), "landed");
    let tip = room.id("result");
    let error = room.lander().rollback(&target("result"), &run("r_1")).await.unwrap_err();
    assert!(matches!(error, LandError::RedWithout { .. }), "{error}");
    assert_eq!(room.id("result"), tip);
}

#[tokio::test]
async fn what_a_person_reverted_already_is_not_reverted_again() {
    let room = Room::new().await;
    land(&room, "r_1", "a", &room.adds("a.txt")).await;
    land(&room, "r_1", "b", &room.adds("b.txt")).await;
    room.git(&["checkout", "-q", "result"]);
    room.git(&["revert", "--no-edit", "result~1"]);
    room.git(&["checkout", "-q", "main"]);
    let by = room.id("result");
    let undone = room.lander().rollback(&target("result"), &run("r_1")).await.unwrap();
    assert!(undone.is_restored);
    assert_eq!(undone.reverts[1].by, Some(by));
    assert_eq!(room.subjects("result").len(), 4);
}
