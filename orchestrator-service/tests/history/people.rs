//! What agents ask people and what people tell agents, from another process than the one that
//! drives the run: an engine over the project's store with an agent of its own.

use crate::{fits, place::Place};
use async_trait::async_trait;
use orchestrator_core::{
    agent::{AgentSpec, Role},
    engine::{Engine, RunHandle},
    error::Failure,
    id::{AgentName, ProviderName, RunId},
    permission::{Action, ActionKind, Permissions},
    port::{Agent, Answer, Assignment, AttemptHost, Permit, Steer},
    run::{RunStatus, StartRun},
    workflow::Workflow,
};
use orchestrator_service::{
    Answer as Said, OrchestratorService, Saying, Which, views::TaskDetails,
};
use orchestrator_store::LocalStore;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// An agent that asks for three things at once, and then for a message.
struct Asking;

fn wanted() -> [Action; 3] {
    [
        Action::run("Bash", "make all").on(["Makefile"]).because("to build it"),
        Action::new("Write", ActionKind::Edit).on(["src/new.rs"]),
        Action::run("Bash", "make $TARGET"),
    ]
}

#[async_trait]
impl Agent for Asking {
    async fn perform(&self, _: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let wanted = wanted();
        let [a, b, c] = wanted.each_ref().map(|action| host.permit(action, None));
        let (a, b, c) = tokio::join!(a, b, c);
        let again = host.permit(&wanted[0], None).await?;
        let mut said: Vec<String> = Vec::new();
        for permit in [a?, b?, c?, again] {
            said.push(match permit {
                Permit::Allowed => "allowed".into(),
                Permit::Denied { why } => why,
            });
        }
        let steer = host.steered().await;
        host.delivered(steer.number()).await?;
        if let Steer::Say { text, .. } = steer {
            said.push(text);
        }
        Ok(Answer::json(json!(said)))
    }

    fn steerable(&self) -> bool {
        true
    }
}

/// An engine over the store of the project.
fn engine(place: &Place) -> Engine {
    let store = LocalStore::open(&place.root().join(".orchestrator/state")).unwrap();
    let name = AgentName::new("dev").unwrap();
    let mut spec = AgentSpec::new(name, Role::Dev, ProviderName::new("own").unwrap());
    spec.permissions = Some(Arc::new(Permissions::of(&["read"], &[], &[]).unwrap()));
    Engine::builder().store(Arc::new(store)).agent(spec, Arc::new(Asking)).build()
}

async fn start(engine: &Engine, place: &Place) -> RunHandle {
    let workflow = Workflow::new("w").unwrap();
    let workflow = workflow.task("build", "dev", "build it", &[]).unwrap();
    let workflow = workflow.task("later", "dev", "rest", &["build"]).unwrap();
    let start = StartRun { directory: place.root(), ..StartRun::new(workflow.into()) };
    engine.start(start).await.unwrap()
}

/// The task once `count` things are asked.
async fn asking(service: &OrchestratorService, run: &RunId, count: usize) -> TaskDetails {
    loop {
        let details = service.task(&format!("{run}.build"), None).await.unwrap();
        let asks = details.task.ask.iter().chain(&details.task.more_asks);
        if asks.count() == count {
            return details;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn yes(for_good: bool) -> Saying {
    Saying { answer: Said::Approve, for_good, by: "ann".into() }
}

#[tokio::test]
async fn what_an_agent_asks_is_answered_one_by_one_and_it_is_told_more() {
    let place = Place::new();
    let engine = engine(&place);
    let handle = start(&engine, &place).await;
    let run = handle.id().clone();
    let service = place.service();
    let task = format!("{run}.build");
    let details = asking(&service, &run, 3).await;
    fits("task", &details);
    let ask = details.task.ask.as_ref().unwrap();
    assert_eq!((ask.kind, ask.question), ("permission", Some(1)));
    let action = ask.action.as_ref().unwrap();
    assert_eq!(action.command.as_deref(), Some("make all"));
    assert_eq!((&*action.paths, &*action.summary), (&["Makefile".to_owned()][..], "to build it"));
    assert_eq!(details.task.more_asks[0].action.as_ref().unwrap().paths, ["src/new.rs"]);
    let why = service.why(&task).await.unwrap();
    fits("why", &why);
    let why = serde_json::to_string(&why).unwrap();
    for part in ["its agent asks for permission", "(and 2 more)", "--question 1 --always"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    // Which one is meant has to be said, and what is meant must be open.
    let code = async |which, saying| {
        let refused = service.reply_to(&task, which, saying).await;
        refused.map_or_else(|error| error.code().to_owned(), |done| format!("{done:?}"))
    };
    assert_eq!(code(Which::Only, yes(false)).await, "ORC-0679");
    assert_eq!(code(Which::Question(9), yes(false)).await, "ORC-0680");
    assert_eq!(code(Which::Question(3), yes(true)).await, "ORC-0683");
    let done = service.reply_to(&task, Which::Question(1), yes(true)).await.unwrap();
    fits("control", &done);
    assert_eq!((done.action, done.items[0].question), ("approve", Some(1)));
    let no = Saying { answer: Said::Reject("not there".into()), ..yes(false) };
    service.reply_to(&task, Which::Question(2), no).await.unwrap();
    asking(&service, &run, 1).await;
    let done = service.reply_to(&task, Which::All, yes(false)).await.unwrap();
    assert_eq!(done.items.len(), 1);
    // It wants the first once more, which is allowed for good, and then it listens.
    let later = format!("{run}.later");
    assert_eq!(service.send(&later, "x").await.unwrap_err().code(), "ORC-0682");
    assert_eq!(service.send(&task, "  ").await.unwrap_err().code(), "ORC-0682");
    let told = service.send(&task, "hurry").await.unwrap();
    fits("control", &told);
    assert_eq!((told.action, told.items[0].driven), ("send", true));
    let details = loop {
        let details = service.task(&task, None).await.unwrap();
        if details.task.status == "succeeded" {
            break details;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    fits("task", &details);
    let expected = json!(["allowed", "ann rejected it: not there", "allowed", "allowed", "hurry"]);
    assert_eq!(details.output, expected);
    assert_eq!((details.messages[0].number, details.messages[0].delivered), (1, Some(1)));
    assert_eq!((&*details.allowed[0].rule, &*details.allowed[0].agent), ("run(make all)", "dev"));
    assert_eq!(details.allowed.len(), 1);
    // The next task asks for two of the three alone.
    let asked = |details: &TaskDetails| details.task.more_asks.len();
    loop {
        let details = service.task(&later, None).await.unwrap();
        if details.task.ask.is_some() && asked(&details) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    service.cancel(run.as_str(), "enough").await.unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.status, RunStatus::Cancelled);
    assert_eq!(service.send(&task, "x").await.unwrap_err().code(), "ORC-0605");
}

#[tokio::test]
async fn what_is_said_while_nobody_drives_the_run_is_there_when_it_goes_on() {
    let place = Place::new();
    let before = engine(&place);
    let handle = start(&before, &place).await;
    let run = handle.id().clone();
    let service = place.service();
    asking(&service, &run, 3).await;
    before.interrupt();
    assert!(handle.wait().await.unwrap().interrupted);
    before.idle().await;
    let task = format!("{run}.build");
    let done = service.reply_to(&task, Which::Question(2), yes(false)).await.unwrap();
    assert_eq!((done.items[0].driven, done.resume.as_deref()), (false, Some(run.as_str())));
    service.send(&task, "good morning").await.unwrap();
    let after = engine(&place);
    let handle = after.resume(&run, None).await.unwrap();
    asking(&service, &run, 2).await;
    service.reply_to(&task, Which::All, yes(false)).await.unwrap();
    // The first thing is wanted twice, and was allowed once.
    asking(&service, &run, 1).await;
    service.reply(&task, Said::Answer("later".into()), "bob").await.unwrap();
    let details = loop {
        let details = service.task(&task, None).await.unwrap();
        if details.task.status == "succeeded" {
            break details;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let expected =
        json!(["allowed", "allowed", "allowed", "bob says instead: later", "good morning"]);
    assert_eq!(details.output, expected);
    handle.cancel("enough").await.unwrap();
    handle.wait().await.unwrap();
}
