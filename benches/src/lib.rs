//! What the benchmarks share: runs of tasks that do nothing, so that only the machinery is measured.

use orchestrator_core::{
    agent::{AgentSpec, Role},
    command::{AttemptKey, Command, Moment},
    effect::Effect,
    event::{Content, Recorded},
    id::{AgentName, ProviderName, RunId, TaskName},
    prelude::*,
    run::Run,
    task::{Binding, TaskKind, TaskSpec},
    time::Timestamp,
};
use std::{collections::VecDeque, sync::Arc};

/// An agent that answers at once.
#[derive(Debug, Clone, Copy)]
pub struct Noop;

#[async_trait]
impl Agent for Noop {
    async fn perform(&self, _: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        Ok(Answer::default())
    }
}

/// How the tasks of a sample relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each needs the one before it.
    Chain,
    /// All but the last are independent; the last needs all of them.
    Join,
}

/// A workflow of `count` tasks for the agent `noop`, all of which may run at once.
///
/// # Panics
/// Never for the names made here.
pub fn workflow(shape: Shape, count: usize) -> Arc<Workflow> {
    let name = |i: usize| TaskName::new(format!("t{i}")).expect("letters and digits");
    let mut workflow = Workflow::new("bench").expect("letters");
    workflow.max_parallel = Some(u32::try_from(count).unwrap_or(u32::MAX));
    for i in 0..count {
        let kind = TaskKind::Agent { agent: "noop".into(), prompt: String::new() };
        let mut task = TaskSpec::new(name(i), kind);
        task.needs = match shape {
            Shape::Chain => i.checked_sub(1).map(name).into_iter().collect(),
            Shape::Join if i + 1 == count => (0..i).map(name).collect(),
            Shape::Join => Vec::new(),
        };
        workflow.tasks.push(task);
    }
    Arc::new(workflow)
}

/// Decides a whole run without an engine; the log it leaves.
///
/// # Panics
/// When the run rejects what it asked for.
pub fn log(workflow: &Arc<Workflow>) -> Vec<Recorded> {
    let agent = AgentName::new("noop").expect("letters");
    let spec = AgentSpec::new(agent.clone(), Role::Dev, ProviderName::new("own").expect("letters"));
    let bindings = workflow
        .tasks
        .iter()
        .map(|task| Binding { task: task.name.clone(), agents: vec![agent.clone()] })
        .collect();
    let moment = Moment { now: Timestamp(0), draw: 0 };
    let id = RunId::new("r_bench").expect("letters");
    let (mut run, mut log) =
        Run::create(id, StartRun::new(workflow.clone()), bindings, vec![spec], moment)
            .expect("the sample is valid");
    let mut open: VecDeque<AttemptKey> = VecDeque::new();
    loop {
        for effect in run.take_effects() {
            if let Effect::StartAttempt { attempt, .. } = effect {
                open.push_back(attempt);
            }
        }
        let Some(attempt) = open.pop_front() else { return log };
        let command = Command::FinishAttempt {
            attempt,
            output: Content::Inline(serde_json::Value::Null),
            spend: Vec::new(),
            artifacts: Vec::new(),
        };
        log.extend(run.handle(command, moment).expect("the attempt is under way"));
        run.take_rows();
    }
}
