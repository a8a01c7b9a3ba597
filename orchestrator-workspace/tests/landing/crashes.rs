//! Whoever works on the queue stops in the middle.

use crate::room::{Host, Room, request, target, word};
use orchestrator_core::port::Landings as _;
use orchestrator_workspace::landing::{LandingStep, LandingWatch};
use std::{fs, sync::Arc};

/// Ends whoever works on the queue once it has made a step.
struct Dies(fn(&LandingStep) -> bool);

impl LandingWatch for Dies {
    fn step(&self, _: &str, step: &LandingStep) {
        if (self.0)(step) {
            std::panic::resume_unwind(Box::new("died"));
        }
    }
}

/// What a process that died after each step leaves is finished by the next, once.
#[tokio::test]
async fn work_of_somebody_who_stopped_after_any_step_lands_once() {
    let steps: [fn(&LandingStep) -> bool; 5] = [
        |step| matches!(step, LandingStep::Taken),
        |step| matches!(step, LandingStep::Joined { .. }),
        |step| matches!(step, LandingStep::Checking { .. }),
        |step| matches!(step, LandingStep::Advancing { .. }),
        |step| matches!(step, LandingStep::Advanced { .. }),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        let room = Room::new().await;
        let work = room.adds("new.txt");
        let request = request(&work, &room.base_of(&work), "result");
        let (lander, order) = (room.lander().with_watch(Arc::new(Dies(step))), room.order("add"));
        let (its, wants) = (order.clone(), request.clone());
        let died = tokio::spawn(async move { lander.land(&its, &wants, &Host).await }).await;
        assert!(died.unwrap_err().is_panic(), "{number}");
        let open = room.landings.waiting(&target("result")).await.unwrap();
        assert_eq!(open.len(), 1, "{number}: it is not lost");
        let landed = room.lander().land(&order, &request, &Host).await;
        assert_eq!(word(&landed), "landed", "{number}");
        assert_eq!(room.subjects("result"), ["add new.txt"], "{number}");
        let told = room.landings.landed(&target("result"), &order.run).await.unwrap();
        let told = told[0].landed().unwrap();
        assert_eq!((told.commit, told.before), (room.id("result"), room.id("main")), "{number}");
    }
}

/// Whoever died had landed more than the next batch looks at: that is settled first all the same, so
/// that the queue tells of it in the order of the branch.
#[tokio::test]
async fn what_landed_before_a_crash_is_told_before_what_lands_after_it() {
    let mut room = Room::new().await;
    room.settings.batch = std::num::NonZeroUsize::MIN;
    let (base, branch) = (room.id("main"), target("result"));
    let work = room.adds("old.txt");
    let lander = room
        .lander()
        .with_watch(Arc::new(Dies(|step| matches!(step, LandingStep::Advanced { .. }))));
    let (order, wants) = (room.order("old"), request(&work, &base, "result"));
    let died = tokio::spawn(async move { lander.land(&order, &wants, &Host).await }).await;
    assert!(died.unwrap_err().is_panic());
    let mut urgent = request(&room.adds("new.txt"), &base, "result");
    urgent.priority = orchestrator_core::task::Priority::Critical;
    let landed = room.lander().land(&room.order("new"), &urgent, &Host).await;
    assert_eq!(word(&landed), "landed");
    let told = room.landings.landed(&branch, &room.order("new").run).await.unwrap();
    let told: Vec<_> = told.iter().map(|row| row.task.as_str()).collect();
    assert_eq!(told, ["old", "new"]);
    assert_eq!(room.subjects("result"), ["add old.txt", "add new.txt"]);
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_on_a_result_branch_does_not_stop_it() {
    let room = Room::new().await;
    let work = room.adds("new.txt");
    let branch = "orchestrator/r_1/result";
    let request = request(&work, &room.base_of(&work), branch);
    let lock = room.project().join(format!(".git/refs/heads/{branch}.lock"));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    let landed = room.lander().land(&room.order("add"), &request, &Host).await;
    assert_eq!(word(&landed), "landed", "{landed:?}");
    assert!(!lock.exists());
}
