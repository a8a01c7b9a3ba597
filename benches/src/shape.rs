//! Sample workflows, and the log that one leaves.

use orchestrator_core::{
    agent::{AgentSpec, Role},
    command::{AttemptKey, Command, Moment},
    effect::Effect,
    event::{Content, Recorded},
    id::{AgentName, ProviderName, RunId, TaskName},
    prelude::*,
    run::Run,
    schedule::Open,
    task::{Binding, TaskKind, TaskSpec},
    time::Timestamp,
};
use std::{collections::VecDeque, sync::Arc};

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
    let needs = |i: usize| match shape {
        Shape::Chain => i.checked_sub(1).into_iter().collect(),
        Shape::Join if i + 1 == count => (0..i).collect(),
        Shape::Join => Vec::new(),
    };
    sample((0..count).map(needs), count)
}

/// The needs of a random DAG: `layers` of `width` tasks each, which need `needs` tasks of the layer
/// before theirs. The same for the same numbers.
pub fn layered(layers: usize, width: usize, needs: usize) -> Vec<Vec<usize>> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % width
    };
    let mut dag = vec![Vec::new(); width];
    for layer in 1..layers {
        for _ in 0..width {
            let mut chosen = Vec::with_capacity(needs);
            while chosen.len() < needs {
                let need = (layer - 1) * width + draw();
                if !chosen.contains(&need) {
                    chosen.push(need);
                }
            }
            dag.push(chosen);
        }
    }
    dag
}

/// A workflow whose task `i` needs the tasks that the `i`th item lists; `parallel` may run at once.
///
/// # Panics
/// Never for the names made here.
pub fn sample(dag: impl IntoIterator<Item = Vec<usize>>, parallel: usize) -> Arc<Workflow> {
    let name = |i: usize| TaskName::new(format!("t{i}")).expect("letters and digits");
    let mut workflow = Workflow::new("bench").expect("letters");
    workflow.max_parallel = Some(u32::try_from(parallel).unwrap_or(u32::MAX));
    for (i, needs) in dag.into_iter().enumerate() {
        let kind = TaskKind::Agent { agent: "noop".into(), prompt: String::new() };
        let mut task = TaskSpec::new(name(i), kind);
        task.needs = needs.into_iter().map(name).collect();
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
        .map(|task| Binding::new(task.name.clone(), vec![agent.clone()]))
        .collect();
    let moment = Moment { now: Timestamp(0), draw: 0 };
    let id = RunId::new("r_bench").expect("letters");
    let (mut run, mut log) =
        Run::create(id, StartRun::new(workflow.clone()), bindings, vec![spec], moment, &mut Open)
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
            cached: None,
            added: None,
        };
        log.extend(run.handle(command, moment, &mut Open).expect("the attempt is under way"));
        run.take_rows();
    }
}
