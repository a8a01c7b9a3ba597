//! What a request would do.

use super::{ExecuteRequest, estimate, prepare::Prepared};
use crate::{
    OrchestratorService, ServiceError,
    views::{Estimate, PlanView, PlannedTask, PlannedWorkflow},
};
use orchestrator_core::{
    graph::Graph,
    id::AgentName,
    route::Complexity,
    run::StartRun,
    task::{TaskKind, TaskSpec},
    workflow::Workflow,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What one of the workflows of a plan would do.
struct Sketch {
    items: Vec<PlannedTask>,
    layers: usize,
    calls_models: bool,
    estimate: Estimate,
}

impl OrchestratorService {
    /// Says what a request would do, without doing it: nothing is spent, started or written.
    ///
    /// # Errors
    /// All that [`OrchestratorService::execute`] would refuse, but for an unusable store.
    pub async fn plan(&self, request: &ExecuteRequest) -> Result<PlanView, ServiceError> {
        let (this, _) = self.taped(request.tape.as_ref())?;
        this.plan_here(request)
    }

    fn plan_here(&self, request: &ExecuteRequest) -> Result<PlanView, ServiceError> {
        let Prepared { start, bound } = self.prepare(request)?;
        let StartRun { workflow, library, .. } = &start;
        let mut agents = bound.agents.iter();
        let own = agents.next().map(Vec::as_slice).unwrap_or_default();
        let bound: BTreeMap<&str, &[Vec<AgentName>]> =
            library.keys().map(String::as_str).zip(agents.map(Vec::as_slice)).collect();
        // A child is estimated before whoever starts it: what a circle of `then` leads back to has
        // no bound, and a circle of children has been refused.
        let mut known: BTreeMap<&str, Sketch> = BTreeMap::new();
        let mut open: Vec<(&str, bool)> = library.keys().map(|key| (key.as_str(), false)).collect();
        let mut begun: Vec<&str> = Vec::new();
        while let Some((key, seen)) = open.pop() {
            let Some(other) = library.get(key).filter(|_| !known.contains_key(key)) else {
                continue;
            };
            if !seen && !begun.contains(&key) {
                begun.push(key);
                open.push((key, true));
                open.extend(other.references().into_iter().map(|(_, name)| (name, false)));
            } else if seen {
                let agents = bound.get(key).copied().unwrap_or_default();
                let sketch = self.sketch(other, agents, &Value::Null, &known)?;
                known.insert(key, sketch);
            }
        }
        let sketch = self.sketch(workflow, own, &start.inputs, &known)?;
        let children = library.iter().filter_map(|(key, other)| {
            let sketch = known.remove(key.as_str())?;
            Some(PlannedWorkflow {
                key: key.clone(),
                workflow: other.name.to_string(),
                version: other.version.clone(),
                mode: other.mode.as_str().to_owned(),
                items: sketch.items,
                layers: sketch.layers,
                calls_models: sketch.calls_models,
                estimate: sketch.estimate,
            })
        });
        let children: Vec<PlannedWorkflow> = children.collect();
        Ok(PlanView {
            schema: "orchestrator.plan/v1",
            workflow: workflow.name.to_string(),
            version: workflow.version.clone(),
            source: start.source.clone(),
            mode: workflow.mode.as_str().to_owned(),
            max_parallel: start.max_parallel,
            budget_usd: start.budget,
            inputs: start.inputs.clone(),
            items: sketch.items,
            layers: sketch.layers,
            calls_models: sketch.calls_models || children.iter().any(|child| child.calls_models),
            estimate: sketch.estimate,
            workflows: children,
        })
    }

    fn sketch(
        &self,
        workflow: &Workflow,
        agents: &[Vec<AgentName>],
        inputs: &Value,
        known: &BTreeMap<&str, Sketch>,
    ) -> Result<Sketch, ServiceError> {
        let graph = Graph::of(workflow)
            .map_err(|cycle| ServiceError::Internal(format!("a checked workflow has {cycle}")))?;
        let layers = graph.layers();
        let (mut items, mut total, mut calls_models) = (Vec::new(), estimate::NOTHING, false);
        for (layer, places) in layers.iter().enumerate() {
            for &place in places {
                let task = &workflow.tasks[place];
                let agents = agents.get(place).map(Vec::as_slice).unwrap_or_default();
                let mut planned = self.planned(task, agents, inputs, known)?;
                if let (TaskKind::Agent { .. }, Some(first)) = (&task.kind, agents.first()) {
                    let member = self.roster()?.get(first.as_str())?;
                    calls_models |= member.answers_prompts();
                }
                // A list may be empty or long, a condition false, a cached result at hand.
                let maybe = task.when.is_some() || task.for_each.is_some() || task.cache.is_some();
                let many = task.for_each.is_some();
                total = estimate::sum(&total, &planned.estimate, maybe, many);
                for then in &task.then {
                    total = estimate::sum(&total, &of(known, &then.workflow), true, many);
                }
                let mut needs: Vec<usize> = graph.needs(place).collect();
                needs.sort_unstable();
                planned.layer = layer;
                planned.needs =
                    needs.into_iter().map(|n| workflow.tasks[n].name.to_string()).collect();
                items.push(planned);
            }
        }
        for then in &workflow.then {
            total = estimate::sum(&total, &of(known, &then.workflow), true, false);
        }
        Ok(Sketch { items, layers: layers.len(), calls_models, estimate: total })
    }

    fn planned(
        &self,
        task: &TaskSpec,
        agents: &[AgentName],
        inputs: &Value,
        known: &BTreeMap<&str, Sketch>,
    ) -> Result<PlannedTask, ServiceError> {
        let roster = self.roster()?;
        let mut planned = PlannedTask {
            name: task.name.to_string(),
            layer: 0,
            needs: Vec::new(),
            agents: agents.iter().map(ToString::to_string).collect(),
            provider: String::new(),
            model: None,
            rule: None,
            models: Vec::new(),
            why: None,
            when: task.when.clone(),
            for_each: task.for_each.clone(),
            workflow: None,
            estimate: estimate::NOTHING,
        };
        match (&task.kind, agents.first()) {
            (TaskKind::Workflow { workflow, .. }, _) => {
                planned.provider = "workflow".into();
                planned.estimate = of(known, workflow);
                planned.workflow = Some(workflow.clone());
            }
            (TaskKind::Approval { .. }, _) => planned.provider = "person".into(),
            (TaskKind::Agent { .. } | TaskKind::Command { .. }, Some(first)) => {
                let member = roster.get(first.as_str())?;
                let mut spec = member.spec.clone();
                if let (Some(route), TaskKind::Agent { prompt, .. }) = (&spec.route, &task.kind) {
                    let facts = estimate::facts(&spec, task, prompt, inputs);
                    let choice = route.choose(&Complexity::of(&facts));
                    planned.rule = Some(route.rule.clone());
                    planned.models = choice.models.iter().map(ToString::to_string).collect();
                    planned.why = Some(choice.why);
                    if let Some(first) = choice.models.into_iter().next() {
                        (spec.provider, spec.model) = (first.provider, Some(first.model));
                    }
                }
                planned.provider = spec.provider.to_string();
                planned.model.clone_from(&spec.model);
                planned.estimate = match member.calls_model() {
                    true => estimate::of(roster, &spec, task, inputs),
                    false => estimate::NOTHING,
                };
            }
            (TaskKind::Agent { .. } | TaskKind::Command { .. }, None) => {}
        }
        Ok(planned)
    }
}

/// What a run of the workflow of that key would cost.
fn of(known: &BTreeMap<&str, Sketch>, key: &str) -> Estimate {
    known.get(key).map_or(estimate::UNKNOWN, |sketch| sketch.estimate)
}
