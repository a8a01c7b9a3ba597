//! Work that goes into pull requests, by a forge that the test stands in for.

use crate::room::{Host, Room, direct, request, target, word};
use async_trait::async_trait;
use orchestrator_core::{
    id::{ProjectId, TenantId},
    port::{LandRequest, Landings as _},
    workspace::{LandMode, Landing, LandingState},
};
use orchestrator_workspace::landing::{
    LandError, OpenedRequest, PullRequest, PullRequests, RequestState,
};
use std::sync::{Arc, Mutex};

/// Opens one pull request a commit, and says of all of them the same.
#[derive(Default)]
struct Forge {
    asked: Mutex<Vec<PullRequest>>,
    state: Mutex<Option<RequestState>>,
    /// Whether it fails to say that it has opened one.
    is_cut_off: Mutex<bool>,
}

#[async_trait]
impl PullRequests for Forge {
    async fn open(&self, request: &PullRequest) -> Result<OpenedRequest, LandError> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            match asked.iter().position(|other| other.commit == request.commit) {
                Some(place) => place + 1,
                None => {
                    asked.push(request.clone());
                    asked.len()
                }
            }
        };
        if std::mem::take(&mut *self.is_cut_off.lock().unwrap()) {
            return Err(LandError::Unreadable("the line went dead".into()));
        }
        let url = format!("https://forge.example/{number}");
        Ok(OpenedRequest { url, number: Some(number as u64) })
    }

    async fn look(&self, _: &OpenedRequest) -> Result<RequestState, LandError> {
        Ok(self.state.lock().unwrap().clone().unwrap_or(RequestState::Open))
    }
}

fn pull(room: &Room, name: &str) -> LandRequest {
    let work = room.work("main", &format!("add {name}\n\nbecause"), &[(name, Some("x\n"))]);
    let mut request = request(&work, &room.base_of(&work), "main");
    request.policy.mode = LandMode::PullRequest;
    request
}

#[tokio::test]
async fn a_pull_request_is_open_in_the_queue_until_the_forge_says_more() {
    let room = Room::new().await;
    let (forge, main) = (Arc::new(Forge::default()), room.id("main"));
    let lander = room.lander().with_forge(forge.clone());
    let request = pull(&room, "new.txt");
    *forge.is_cut_off.lock().unwrap() = true;
    assert_eq!(word(&lander.land(&room.order("add"), &request, &Host).await), "failed");
    // Asked again, as after a crash, it is the same one.
    for _ in 0..2 {
        let landing = lander.land(&room.order("add"), &request, &Host).await.unwrap();
        let Landing::Requested(opened) = landing else { panic!("{landing:?}") };
        assert_eq!((&*opened.url, opened.number), ("https://forge.example/1", Some(1)));
        assert_eq!((&*opened.target, &opened.commit), ("main", &request.commit));
    }
    {
        let asked = forge.asked.lock().unwrap();
        assert_eq!((&*asked[0].title, &*asked[0].body), ("add new.txt", "because"));
        assert_eq!((&asked[0].commit, &*asked[0].target), (&request.commit, "main"));
    }
    assert_eq!(room.id("main"), main, "that is for whoever merges it");

    // It waits in the queue, beside what lands by itself, and does not hold that up.
    let (tenant, project) = (TenantId::default(), ProjectId::default());
    let queues = lander.queues(&tenant, &project).await.unwrap();
    let row = &queues[0].open[0].row;
    assert_eq!((row.state.as_str(), row.request().unwrap().number), ("requested", Some(1)));
    room.git(&["checkout", "-q", "--detach"]);
    let own = room.adds("own.txt");
    let landed = direct(&own, &room.base_of(&own), "main");
    assert_eq!(word(&lander.land(&room.order("own"), &landed, &Host).await), "landed");
    assert_eq!(room.landings.waiting(&target("main")).await.unwrap().len(), 1);

    assert_eq!(lander.follow_requests(&target("main")).await.unwrap(), 0, "it is open still");
    let (commit, before) = (room.id("main"), main.clone());
    *forge.state.lock().unwrap() = Some(RequestState::Merged { commit: commit.clone(), before });
    assert_eq!(lander.follow_requests(&target("main")).await.unwrap(), 1);
    assert_eq!(room.landings.waiting(&target("main")).await.unwrap(), []);
    let landing = lander.land(&room.order("add"), &request, &Host).await.unwrap();
    let Landing::Landed(landed) = landing else { panic!("{landing:?}") };
    assert_eq!((landed.commit, landed.before), (commit, main));
    assert_eq!(forge.asked.lock().unwrap().len(), 1, "nobody was asked again");
}

#[tokio::test]
async fn what_was_closed_is_withdrawn_and_what_was_merged_by_hand_is_found() {
    let room = Room::new().await;
    room.git(&["checkout", "-q", "--detach"]);
    let forge = Arc::new(Forge::default());
    let lander = room.lander().with_forge(forge.clone());
    let (one, two) = (pull(&room, "one.txt"), pull(&room, "two.txt"));
    for (task, request) in [("one", &one), ("two", &two)] {
        assert_eq!(word(&lander.land(&room.order(task), request, &Host).await), "requested");
    }
    // A person merges one of them by hand; whoever lands next sees it.
    room.git(&["update-ref", "refs/heads/main", one.commit.as_ref()]);
    let own = room.adds("own.txt");
    let landed = direct(&own, &room.base_of(&own), "main");
    assert_eq!(word(&lander.land(&room.order("own"), &landed, &Host).await), "landed");
    let row = |task: &str, request: &LandRequest| {
        lander.work_id("main", &room.order(task), request).unwrap()
    };
    let state = async |task: &str, request: &LandRequest| {
        room.landings.landing(&row(task, request)).await.unwrap().unwrap().state
    };
    let found = state("one", &one).await;
    assert!(matches!(found, LandingState::Landed { .. }), "{found:?}");
    *forge.state.lock().unwrap() = Some(RequestState::Closed);
    assert_eq!(lander.follow_requests(&target("main")).await.unwrap(), 1);
    assert_eq!(state("two", &two).await, LandingState::Withdrawn {});
    // Wanted again, it is asked for again.
    assert_eq!(word(&lander.land(&room.order("two"), &two, &Host).await), "requested");
    assert!(room.lander().follow_requests(&target("main")).await.is_err(), "without a forge");
}
