//! A store with very many runs, made quickly: for measuring how lists and details do then.

use super::fixture::{agent, name, owner};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    command::{AttemptKey, Command, Moment},
    effect::Effect,
    error::{ErrorClass, Failure},
    event::{Content, Event, Recorded},
    id::{Epoch, ProviderName, RunId, Sequence},
    port::{Append, Lease, Store},
    run::{Run, StartRun},
    schedule::Open,
    task::{Binding, TaskKind, TaskSpec},
    time::Timestamp,
    workflow::Workflow,
};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many runs are written at once: a store that commits in groups makes few commits of them.
const AT_ONCE: usize = 512;

/// The first run's time of creation; each further run is one second younger.
const FIRST: u64 = 1_790_000_000_000;

/// How a run of the crowd stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All of its tasks succeeded: 989 of 1,000 runs.
    Succeeded,
    /// A task failed: every hundredth run, beginning with the second.
    Failed,
    /// A task is under way, and nobody drives the run any more: every thousandth, beginning with
    /// the first.
    Open,
}

impl Fate {
    /// The fate of the run with that place in the crowd, from 0.
    pub fn of(place: u64) -> Self {
        match place {
            place if place % 1_000 == 0 => Self::Open,
            place if place % 100 == 1 => Self::Failed,
            _ => Self::Succeeded,
        }
    }
}

/// The id of the run with that place in the crowd, from 0. Ids sort by creation.
///
/// # Panics
/// Never: the id is valid.
pub fn crowd_id(place: u64) -> RunId {
    RunId::new(format!("r_crowd{place:09}")).expect("a run id")
}

/// Fills `store` with `count` runs of five chained tasks each, as an engine would have left them.
///
/// # Panics
/// When the store refuses.
pub async fn crowd(store: &Arc<dyn Store>, count: u64) {
    let logs = [Fate::Succeeded, Fate::Failed, Fate::Open].map(|fate| (fate, log(fate)));
    let mut writers = JoinSet::new();
    for place in 0..count {
        let log = logs.iter().find(|(fate, _)| *fate == Fate::of(place)).map(|(_, log)| log);
        let first = append(place, log.map(Vec::as_slice).unwrap_or_default());
        let store = store.clone();
        if writers.len() >= AT_ONCE {
            writers.join_next().await;
        }
        writers.spawn(async move {
            let expires = first.events.last().map(|event| event.at).unwrap_or_default();
            let lease = Lease { owner: owner("gone"), epoch: Epoch(1), expires };
            let (run, is_open) = (first.run.clone(), Fate::of(place) == Fate::Open);
            store.create(first, lease).await.expect("create");
            if !is_open {
                store.release(&run, Epoch(1)).await.expect("release");
            }
        });
    }
    writers.join_all().await;
}

/// The creation of the run at `place`, with its whole log and the rows that follow from that.
fn append(place: u64, log: &[Recorded]) -> Append {
    let (run, mut events) = (crowd_id(place), log.to_vec());
    for recorded in &mut events {
        recorded.at = Timestamp(FIRST + 1_000 * place + recorded.seq.0);
        if let Event::RunCreated(created) = &mut recorded.event {
            created.run = run.clone();
        }
    }
    let (_, rows) = Run::rebuild(&events).expect("a log that replays");
    Append { run, epoch: Epoch(1), expected: Sequence(0), events, rows }
}

/// The log of a run with that fate.
fn log(fate: Fate) -> Vec<Recorded> {
    let tasks = ["plan", "build", "test", "review", "notes"];
    let mut workflow = Workflow::new("release").expect("a name");
    for (place, task) in tasks.into_iter().enumerate() {
        let prompt = format!("Do what `{task}` asks for, and say what you did.");
        let mut spec = TaskSpec::new(name(task), TaskKind::Agent { agent: "dev".into(), prompt });
        spec.needs = place.checked_sub(1).map(|before| name(tasks[before])).into_iter().collect();
        workflow.tasks.push(spec);
    }
    let provider = ProviderName::new("builtin").expect("a name");
    let agents = vec![AgentSpec::new(agent("dev"), Role::Dev, provider)];
    let bind = |spec: &TaskSpec| Binding::new(spec.name.clone(), vec![agent("dev")]);
    let bindings = workflow.tasks.iter().map(bind).collect();
    let moment = Moment { now: Timestamp(FIRST), draw: 0 };
    let start = StartRun::new(Arc::new(workflow));
    let (mut run, mut log) =
        Run::create(crowd_id(0), start, bindings, agents, moment, &mut Open).expect("a run");
    for (place, task) in tasks.into_iter().enumerate() {
        let Some(attempt) = next_attempt(&mut run) else { break };
        let command = match fate {
            Fate::Open if place == 2 => break,
            Fate::Failed if place == 2 => Command::FailAttempt {
                attempt,
                failure: Failure::new(ErrorClass::InvalidRequest, "the model does not exist"),
            },
            _ => Command::FinishAttempt {
                attempt,
                output: Content::Inline(json!({ "did": task, "files": ["a.rs", "b.rs"] })),
                spend: Vec::new(),
                artifacts: Vec::new(),
                cached: None,
                added: None,
            },
        };
        log.extend(run.handle(command, moment, &mut Open).expect("it is under way"));
    }
    log
}

fn next_attempt(run: &mut Run) -> Option<AttemptKey> {
    run.take_effects().into_iter().find_map(|effect| match effect {
        Effect::StartAttempt { attempt, .. } => Some(attempt),
        _ => None,
    })
}
