//! An agent that calls tools, by the engine: the state after each turn that changed files is recorded.

use crate::support::{Project, git};
use async_trait::async_trait;
use orchestrator_core::{
    engine::Engine,
    error::Failure,
    event::Event,
    id::{AttemptNumber, RunId, Sequence, TaskName, TurnNumber},
    memory::MemoryStore,
    port::{Agent, Answer, Assignment, AttemptHost, Call, Store, turn},
    run::{RunStatus, StartRun},
    workflow::Workflow,
};
use serde_json::json;
use std::{fs, sync::Arc};

/// Four turns: what a model says changes nothing, and neither does a tool that only looks.
const TURNS: [(&str, Option<&str>); 4] =
    [("model", None), ("tool", Some("one")), ("tool", None), ("tool", Some("two"))];

struct WithTools;

#[async_trait]
impl Agent for WithTools {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let place = work.workspace.as_ref().expect("a place").directory.clone();
        for (number, (kind, text)) in TURNS.into_iter().enumerate() {
            let call = Call::new(kind, "step", number.to_string());
            let file = place.join("work");
            turn(host, &call, |_| async move {
                if let Some(text) = text {
                    fs::write(file, text).expect("a file");
                }
                Ok((json!("done"), Vec::new()))
            })
            .await?;
        }
        Ok(Answer::text("done"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_turn_that_changed_files_is_a_checkpoint_of_its_number() {
    let project = Project::new();
    let before = project.belongings();
    let document = json!({
        "name": "flow",
        "tasks": { "build": {
            "agent": "tools", "prompt": "Build.", "land": "no", "workspace": "worktree"
        } }
    });
    let workflow = Workflow::parse(&document).expect("a workflow");
    let store = Arc::new(MemoryStore::default());
    let engine = Engine::builder()
        .store(store.clone())
        .workspaces(Arc::new(project.workspaces().await))
        .own_agent("tools", WithTools)
        .expect("a name")
        .build();
    let mut start = StartRun::new(Arc::new(workflow));
    start.directory = project.directory.clone();
    let report = engine.start(start).await.unwrap().wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Succeeded, "{report:?}");

    // The log has them with their turns, and so does the repository.
    let events = store.events(&report.run, Sequence(0), 1_000).await.unwrap();
    let logged: Vec<_> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::CheckpointMade { checkpoint, .. } => {
                Some((checkpoint.turn, checkpoint.commit.clone()))
            }
            _ => None,
        })
        .collect();
    let turns: Vec<_> = logged.iter().map(|(turn, _)| *turn).collect();
    assert_eq!(turns, [Some(TurnNumber(2)), Some(TurnNumber(4))]);
    let task = TaskName::new("build").unwrap();
    let workspaces = project.workspaces().await;
    let recorded = workspaces
        .checkpoints(
            &project.directory,
            &RunId::new(report.run.as_str()).unwrap(),
            &task,
            AttemptNumber(1),
        )
        .await
        .unwrap();
    let recorded: Vec<_> =
        recorded.into_iter().rev().map(|state| (state.turn, state.commit)).collect();
    assert_eq!(recorded, logged);
    for ((_, commit), text) in logged.iter().zip(["one", "two"]) {
        let shown = git(&project.home(), &project.directory, &["show", &format!("{commit}:work")]);
        assert_eq!(shown, text);
    }
    assert_eq!(project.belongings(), before);
}
