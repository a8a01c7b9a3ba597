//! Work that ends in pull requests, by a forge that an embedder brings.

use crate::place::Place;
use async_trait::async_trait;
use orchestrator_core::id::CommitId;
use orchestrator_service::forge::{
    LandError, OpenedRequest, PullRequest, PullRequests, RequestState,
};
use std::{
    process::Command,
    sync::{Arc, Mutex},
};

const FLOW: &str = "name: flow\ntasks:\n  build:\n    agent: builder\n    prompt: Build.\n    workspace: worktree\n    \
                    checks: [\"test -e made.txt\"]\n    land: pull-request\n";

/// Opens pull requests, and says of all of them what it is told to.
#[derive(Default)]
struct Forge {
    asked: Mutex<Vec<PullRequest>>,
    state: Mutex<Option<RequestState>>,
}

#[async_trait]
impl PullRequests for Forge {
    async fn open(&self, request: &PullRequest) -> Result<OpenedRequest, LandError> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(request.clone());
        let number = asked.len() as u64;
        let url = format!("https://forge.example/{number}");
        Ok(OpenedRequest { url, number: Some(number) })
    }

    async fn look(&self, _: &OpenedRequest) -> Result<RequestState, LandError> {
        Ok(self.state.lock().unwrap().clone().unwrap_or(RequestState::Open))
    }
}

fn git(place: &Place, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=User", "-c", "user.email=user@localhost"];
    let output = Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(place.root())
        .env("HOME", place.root())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_in_the_queue_in_why_and_in_the_receipt_until_it_is_merged() {
    let config = "[sandbox]\nmode = \"off\"\n[agents.builder]\nprovider = \"command\"\n\
                  command = [\"sh\", \"-c\", \"echo made > made.txt; echo done\"]\n";
    let place = Place::new()
        .file(".orchestrator/config.toml", config)
        .file(".orchestrator/.gitignore", "state/\n")
        .file("workflow.yaml", FLOW);
    git(&place, &["init", "-q", "-b", "main"]);
    git(&place, &["add", "-A"]);
    git(&place, &["commit", "-q", "-m", "first"]);
    // Nobody opens any, so that the task fails and says so.
    let refused = place.run(FLOW).await;
    assert!(format!("{refused:?}").contains("no forge is set up"), "{refused:?}");

    let (forge, service) = (Arc::new(Forge::default()), place.service());
    assert!(service.opens_pull_requests_at(forge.clone()));
    let request = place.request(FLOW);
    let result = service.execute(request).await.unwrap().wait().await.unwrap();
    assert_eq!(result.status, "succeeded", "{result:?}");
    let asked = forge.asked.lock().unwrap()[0].clone();
    assert_eq!((&*asked.target, asked.task.as_str()), ("main", "build"));
    assert_eq!(git(&place, &["show", &format!("{}:made.txt", asked.commit)]), "made");

    let of = format!("{}.build", result.run);
    let why = service.why(&of).await.unwrap();
    let told = serde_json::to_string(&why).unwrap();
    assert!(
        told.contains("a pull request for `main` was opened: https://forge.example/1"),
        "{told}"
    );
    let details = service.task(&of, None).await.unwrap();
    let requested = details.work[0].requested.clone().unwrap();
    assert_eq!((&*requested.branch, requested.number), ("main", Some(1)));
    let receipt = service.export(&result.run, orchestrator_service::ExportFormat::Receipt).await;
    let receipt = receipt.unwrap();
    assert!(receipt.contains("\"kind\": \"pull-request\""), "{receipt}");
    assert!(receipt.contains("https://forge.example/1"), "{receipt}");

    let queue = service.queue(None, 10).await.unwrap();
    let item = queue.items[0].open[0].clone();
    assert_eq!((item.state, item.request.unwrap().url), ("requested", requested.url));
    let shown = service.landing_details(&item.id).await.unwrap();
    assert_eq!((shown.state, shown.request.unwrap().number), ("requested", Some(1)));
    assert_eq!(service.follow_pull_requests().await.unwrap(), 0);

    let commit = CommitId::new(git(&place, &["rev-parse", "main"])).unwrap();
    let merged = RequestState::Merged { commit: commit.clone(), before: commit.clone() };
    *forge.state.lock().unwrap() = Some(merged);
    assert_eq!(service.follow_pull_requests().await.unwrap(), 1);
    let queue = service.queue(None, 10).await.unwrap();
    let settled = queue.settled.iter().find(|settled| settled.id == item.id).unwrap();
    assert!(queue.items.is_empty() && settled.state == "landed", "{queue:?}");
}
