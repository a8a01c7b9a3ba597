//! What a request would do.

use super::{
    ExecuteRequest, estimate,
    forecast::{Forecast, Forecaster},
    prepare::Prepared,
};
use crate::{
    OrchestratorService, ServiceError,
    cassette::Unkept,
    roster::Member,
    views::{Estimate, ForecastView, PlanView, PlannedTask, PlannedWorkflow},
};
use orchestrator_core::{
    estimate::{Estimator, History},
    graph::Graph,
    id::{AgentName, WorkflowName},
    route::Complexity,
    run::StartRun,
    task::{TaskKind, TaskSpec},
    workflow::Workflow,
    workspace::LandMode,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// What one of the workflows of a plan would do.
struct Sketch {
    items: Vec<PlannedTask>,
    layers: usize,
    calls_models: bool,
    /// Whether what it calls is in the forecast; what programs call is their own affair.
    is_forecast: bool,
    estimate: Estimate,
    forecast: Forecast,
}

impl Sketch {
    /// What is likely to be used, where models are called.
    fn told(&self) -> Option<ForecastView> {
        self.is_forecast.then(|| self.forecast.view())
    }
}

/// What a plan is made with.
struct Known<'a> {
    estimator: &'a Estimator<'a>,
    sketches: BTreeMap<&'a str, Sketch>,
}

/// A run that could start, and what it is expected to cost.
///
/// Nothing has been spent, started or written; dropping it forgets it.
#[derive(Debug)]
pub struct Quote {
    /// Who starts it: a service that replays, where it is a replay.
    pub(super) service: OrchestratorService,
    pub(super) tape: Option<Unkept>,
    pub(super) prepared: Prepared,
    plan: Option<PlanView>,
}

impl Quote {
    /// What it would do; `None` when no model is called, so that there is nothing to be told beforehand.
    pub fn plan(&self) -> Option<&PlanView> {
        self.plan.as_ref()
    }
}

impl OrchestratorService {
    /// Says what a request would do, without doing it: nothing is spent, started or written.
    ///
    /// # Errors
    /// All that [`OrchestratorService::execute`] would refuse, and a store that cannot be read.
    pub async fn plan(&self, request: &ExecuteRequest) -> Result<PlanView, ServiceError> {
        let (this, _) = self.taped(request.tape.as_ref())?;
        let mut prepared = this.prepare(request)?;
        this.judge_places(&prepared.start.workflow, &prepared.start.library).await?;
        this.planned_run(&mut prepared).await
    }

    /// Prepares a run, and says what it is expected to cost when it calls models. One that is
    /// replayed calls none.
    ///
    /// # Errors
    /// As for [`OrchestratorService::plan`].
    pub async fn quote(&self, request: &ExecuteRequest) -> Result<Quote, ServiceError> {
        let (service, tape) = self.taped(request.tape.as_ref())?;
        let service = service.including_uncommitted(request.include_uncommitted);
        let mut prepared = service.prepare(request)?;
        service.judge_places(&prepared.start.workflow, &prepared.start.library).await?;
        let roster = service.roster()?;
        let mut everybody = prepared.bound.everybody().iter();
        let models = everybody.any(|name| roster.get(name.as_str()).is_ok_and(Member::calls_model));
        let plan = match models && service.replayed().is_none() {
            true => Some(service.planned_run(&mut prepared).await?),
            false => None,
        };
        let plan = plan.filter(|plan| plan.calls_models);
        Ok(Quote { service, tape, prepared, plan })
    }

    /// What the run of `prepared` would do. What is expected of it is noted there.
    async fn planned_run(&self, prepared: &mut Prepared) -> Result<PlanView, ServiceError> {
        let Prepared { start, bound } = &*prepared;
        let StartRun { workflow, library, .. } = start;
        let history = self.history(workflow, library).await?;
        let estimator = Estimator::new(&history);
        let mut agents = bound.agents.iter();
        let own = agents.next().map(Vec::as_slice).unwrap_or_default();
        let bound: BTreeMap<&str, &[Vec<AgentName>]> =
            library.keys().map(String::as_str).zip(agents.map(Vec::as_slice)).collect();
        // A child is estimated before whoever starts it: what a circle of `then` leads back to has
        // no bound, and a circle of children has been refused.
        let mut known = Known { estimator: &estimator, sketches: BTreeMap::new() };
        let mut open: Vec<(&str, bool)> = library.keys().map(|key| (key.as_str(), false)).collect();
        let mut begun: Vec<&str> = Vec::new();
        while let Some((key, seen)) = open.pop() {
            let Some(other) = library.get(key).filter(|_| !known.sketches.contains_key(key)) else {
                continue;
            };
            if !seen && !begun.contains(&key) {
                begun.push(key);
                open.push((key, true));
                open.extend(other.references().into_iter().map(|(_, name)| (name, false)));
            } else if seen {
                let agents = bound.get(key).copied().unwrap_or_default();
                let sketch = self.sketch(other, agents, &Value::Null, &known)?;
                known.sketches.insert(key, sketch);
            }
        }
        let sketch = self.sketch(workflow, own, &start.inputs, &known)?;
        let forecast = sketch.told();
        let children = library.iter().filter_map(|(key, other)| {
            let sketch = known.sketches.remove(key.as_str())?;
            Some(PlannedWorkflow {
                key: key.clone(),
                workflow: other.name.to_string(),
                version: other.version.clone(),
                mode: other.mode.as_str().to_owned(),
                layers: sketch.layers,
                calls_models: sketch.calls_models,
                estimate: sketch.estimate,
                forecast: sketch.told(),
                items: sketch.items,
            })
        });
        let children: Vec<PlannedWorkflow> = children.collect();
        let calls_models = sketch.calls_models || children.iter().any(|child| child.calls_models);
        let is_forecast =
            sketch.is_forecast || children.iter().any(|child| child.forecast.is_some());
        let view = PlanView {
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
            calls_models,
            estimate: sketch.estimate,
            forecast: forecast.or_else(|| is_forecast.then(|| sketch.forecast.view())),
            workflows: children,
        };
        prepared.start.estimate = is_forecast.then(|| sketch.forecast.estimate());
        Ok(view)
    }

    /// What tasks did that are like those of these workflows.
    async fn history(
        &self,
        workflow: &Workflow,
        library: &BTreeMap<String, Arc<Workflow>>,
    ) -> Result<History, ServiceError> {
        let Some(opened) = self.store_if_any()? else { return Ok(History::default()) };
        let all = library.values().map(|other| &other.name).chain([&workflow.name]);
        let mut names: Vec<WorkflowName> = all.cloned().collect();
        names.sort();
        names.dedup();
        opened.catalog().history(&names).await.map_err(|error| opened.failed(error))
    }

    fn sketch(
        &self,
        workflow: &Workflow,
        agents: &[Vec<AgentName>],
        inputs: &Value,
        known: &Known<'_>,
    ) -> Result<Sketch, ServiceError> {
        let graph = Graph::of(workflow)
            .map_err(|cycle| ServiceError::Internal(format!("a checked workflow has {cycle}")))?;
        let layers = graph.layers();
        let roster = self.roster()?;
        let forecaster = Forecaster::new(known.estimator, roster, workflow, &graph, inputs);
        let (mut items, mut total) = (Vec::new(), estimate::NOTHING);
        let (mut calls_models, mut is_forecast) = (false, false);
        let mut whole = forecaster.whole();
        // Programs and analysts are counted together: there may be many.
        let mut plain = 0_u32;
        for (layer, places) in layers.iter().enumerate() {
            for &place in places {
                let task = &workflow.tasks[place];
                let agents = agents.get(place).map(Vec::as_slice).unwrap_or_default();
                let first = agents.first().map(|name| roster.get(name.as_str())).transpose()?;
                let mut planned = self.planned(task, agents, inputs, &known.sketches)?;
                let child = |key: &str| known.sketches.get(key);
                let (models, programs) = match (&task.kind, first) {
                    (TaskKind::Agent { .. }, Some(first)) => {
                        (first.calls_model(), first.program.is_some())
                    }
                    (TaskKind::Workflow { workflow, .. }, _) => child(workflow)
                        .map_or((false, false), |child| (child.is_forecast, child.calls_models)),
                    _ => (false, false),
                };
                is_forecast |= models;
                calls_models |= models || programs;
                // A list may be empty or long, a condition false, a cached result at hand.
                let maybe = task.when.is_some() || task.for_each.is_some() || task.cache.is_some();
                let many = task.for_each.is_some();
                total = estimate::sum(&total, &planned.estimate, maybe, many);
                for then in &task.then {
                    total = estimate::sum(&total, &of(&known.sketches, &then.workflow), true, many);
                }
                let called = matches!(task.kind, TaskKind::Agent { .. } | TaskKind::Command { .. });
                if called && !models && !many {
                    plain = plain.saturating_add(1);
                } else {
                    let tokens = planned.estimate.input_tokens;
                    let child = |key: &str| child(key).map(|child| child.forecast.clone());
                    let forecast = forecaster.task(place, first, tokens, child);
                    planned.forecast = models.then(|| forecast.view());
                    whole.add(&forecast);
                }
                let mut needs: Vec<usize> = graph.needs(place).collect();
                needs.sort_unstable();
                planned.layer = layer;
                planned.needs =
                    needs.into_iter().map(|n| workflow.tasks[n].name.to_string()).collect();
                items.push(planned);
            }
        }
        whole.add(&Forecast::nothing(plain));
        for then in &workflow.then {
            total = estimate::sum(&total, &of(&known.sketches, &then.workflow), true, false);
        }
        let layers = layers.len();
        Ok(Sketch { items, layers, calls_models, is_forecast, estimate: total, forecast: whole })
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
            workspace: task.workspace.as_ref().map(|policy| policy.kind.as_str().to_owned()),
            checks: task
                .checks
                .iter()
                .flat_map(|checks| &checks.run)
                .map(|c| c.name.clone())
                .collect(),
            lands: task.landing().map(|land| match (land.target, land.mode) {
                (Some(target), _) => target,
                (None, LandMode::Branch) => "orchestrator/RUN/result".to_owned(),
                (None, LandMode::PullRequest) => "a pull request".to_owned(),
                (None, LandMode::Direct | LandMode::No) => "the branch checked out".to_owned(),
            }),
            estimate: estimate::NOTHING,
            forecast: None,
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
                planned.estimate = match (&member.program, member.calls_model()) {
                    // What a program does is its own affair, within the budget.
                    (Some(_), _) => estimate::UNKNOWN,
                    (None, true) => estimate::of(roster, &spec, task, inputs)?,
                    (None, false) => estimate::NOTHING,
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
